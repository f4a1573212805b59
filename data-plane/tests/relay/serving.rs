//! HTTP/2, many requests on one connection, and the end of a node.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use process::tasks::Tasks;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bed::*;

#[tokio::test]
async fn http2_is_served_too() {
    let up = Upstream::start([Act::Say(stream(&EVENTS))]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    let io = TokioIo::new(bed.connect().await);
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = Tasks::new("test").spawn("http2", connection);
    let request = |path: &str, body: &'static str| {
        Request::post(format!("http://relay{path}"))
            .version(Version::HTTP_2)
            .header("x-api-key", SECRET)
            .body(Full::new(Bytes::from(body)))
            .unwrap()
    };
    let answer = client.send_request(request("/v1/messages", STREAMING)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), EVENTS.concat());
    let refused = client.send_request(request("/v1//messages", BODY)).await.unwrap();
    assert_eq!(refused.status(), 400);
    assert!(!refused.headers().contains_key("connection"));
    let refused = client.send_request(request("/v1/messages", "{")).await.unwrap();
    assert_eq!(refused.status(), 400);
    drop((client, connection));
    assert_eq!(bed.records().await.len(), 1);
}

#[tokio::test]
async fn tls_is_served_where_it_is_configured() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/upstream/testdata");
    let up = Upstream::start([]).await;
    let bed = Bed::start_with(vec![account("a", &up)], key(), settings(), |config| {
        config.server.tls = Some(data_plane::config::TlsFiles {
            certificate: format!("{data}/server.pem").into(),
            key: format!("{data}/server.key").into(),
        });
    })
    .await;
    let extra_ca = Some(format!("{data}/ca.pem").into());
    let guard = upstream::Guard::default().with_loopback();
    let options = upstream::Options { guard, extra_ca, ..upstream::Options::default() };
    let request = Request::post(format!("https://localhost:{}/v1/messages", bed.address.port()))
        .header("x-api-key", SECRET)
        .body(Bytes::from(BODY))
        .unwrap();
    let connector = upstream::Connector::new(options).unwrap();
    let got = connector.fetch(request, None, upstream::FetchLimits::default()).await.unwrap();
    assert_eq!((got.status().as_u16(), got.body().as_ref()), (200, answer().as_bytes()));
    // Plain text on that port is no request.
    assert_eq!(bed.post("/v1/messages", BODY).await.find("200 OK"), None);
}

#[tokio::test]
async fn requests_that_come_before_their_turn_are_answered_in_order() {
    let up = Upstream::start([]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    let mut client = bed.connect().await;
    let three = [post("/v1/messages", BODY), post("/v1/messages", "{"), post("/v1/messages", BODY)].concat();
    client.write_all(three.as_bytes()).await.unwrap();
    let mut got = String::new();
    while got.matches("HTTP/1.1 ").count() < 2 || !got.contains("400 Bad Request") {
        let mut buffer = [0; 4096];
        let n = client.read(&mut buffer).await.unwrap();
        assert!(n > 0, "{got}");
        got.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    assert!(got.find("200 OK") < got.find("400 Bad Request"), "{got}");
}

#[tokio::test]
async fn g12_a_drain_lets_streams_end_and_takes_nobody_new() {
    let up = Upstream::start([Act::Say(format!("{}{}", stream_head(), chunk(EVENTS[0])))]).await;
    let bed = Bed::start(vec![account("a", &up)]).await;
    let (mut streaming, mut idle) = (bed.connect().await, bed.connect().await);
    let address = bed.address;
    streaming.write_all(post("/v1/messages", STREAMING).as_bytes()).await.unwrap();
    let mut head = [0; 64];
    streaming.read_exact(&mut head).await.unwrap();
    let records = Tasks::new("test").spawn("drain", bed.records());
    // An idle connection is ended at once; nobody new gets in.
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
    let deadline = Instant::now() + Duration::from_secs(5);
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < deadline, "it still listens");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!records.is_finished());
    let rest: String = EVENTS[1..].iter().map(|event| chunk(event)).collect();
    up.say_more(&format!("{rest}0\r\n\r\n")).await;
    let mut got = Vec::new();
    streaming.read_to_end(&mut got).await.unwrap();
    let got = String::from_utf8_lossy(&got).into_owned();
    assert!(got.contains("message_stop") && got.ends_with("0\r\n\r\n"), "{got}");
    let records = records.await.unwrap();
    assert_eq!((records.len(), records[0].outcome.as_str()), (1, "ok"));
}
