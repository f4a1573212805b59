//! Against a real server on loopback.

use std::convert::Infallible;

use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use upstream::{Guard, Options};

use super::*;

fn http(guard: Guard) -> Http {
    Http::new(Connector::new(Options { guard, ..Options::default() }).unwrap())
}

/// A server that answers one request with its body and a redirect's status.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    process::tasks::Tasks::new("test").spawn("echo", async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let answer = Response::builder().status(302).header("location", "http://127.0.0.1:1/");
            Ok::<_, Infallible>(answer.body(Full::new(body)).unwrap())
        });
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
    });
    format!("http://{address}/v1/messages")
}

#[tokio::test]
async fn a_whole_answer_comes_back_and_a_redirect_is_not_followed() {
    let request = Request::post(echo().await).body(Bytes::from_static(b"{\"a\":1}")).unwrap();
    let answer = http(Guard::default().with_loopback()).send(request, "").await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.body(), &Bytes::from_static(b"{\"a\":1}"));
}

#[tokio::test]
async fn private_addresses_are_guarded() {
    let request = Request::post(echo().await).body(Bytes::new()).unwrap();
    assert!(matches!(http(Guard::default()).send(request, "").await, Err(Error::Upstream(_))));
}

#[tokio::test]
async fn a_proxy_that_is_none_is_told_without_its_password() {
    let request = Request::post("http://127.0.0.1:9/").body(Bytes::new()).unwrap();
    let error = http(Guard::default()).send(request, "ftp://user:hunter2@x").await.unwrap_err();
    assert!(matches!(error, Error::Proxy(_)) && !error.to_string().contains("hunter2"), "{error}");
}
