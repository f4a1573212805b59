//! The exchange against upstreams written by hand, both ways.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use http_body_util::BodyExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{Guard, Options, Target};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// Reads up to the end of a request with no or a known-length body; `None` at the end of the connection.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => text.extend_from_slice(&buffer[..n]),
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text);
            }
        }
    }
}

struct Upstream {
    route: Arc<Route>,
    connections: Arc<AtomicUsize>,
}

/// Serves each connection with `serve`, which is given the connection's number.
async fn upstream<F>(serve: impl Fn(usize, TcpStream) -> F + Send + 'static) -> Upstream
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    Tasks::new("test").spawn("upstream", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let number = counted.fetch_add(1, SeqCst);
            Tasks::new("test").spawn("connection", serve(number, stream));
        }
    });
    Upstream { route: Arc::new(Route { target: Target::of(&url).unwrap(), proxy: None }), connections }
}

fn exchange(mode: Mode) -> Exchange {
    let options = Options { guard: Guard::default().with_loopback(), ..Options::default() };
    Exchange::new(Connector::new(options).unwrap(), mode, Tasks::new("test"))
}

fn post(body: &'static str) -> Request<Pieces> {
    Request::post("http://named.example/v1/messages?beta=true").body(Pieces::from(Bytes::from(body))).unwrap()
}

async fn whole(answer: Response<Answer>) -> Result<Bytes, Error> {
    Ok(answer.into_body().collect().await?.to_bytes())
}

#[tokio::test]
async fn connections_are_kept_for_answers_of_known_length_chunked_and_empty() {
    for mode in [Mode::Inline, Mode::Pooled] {
        let up = upstream(|_, mut stream| async move {
            let mut n = 0;
            while let Some(text) = request(&mut stream).await {
                assert!(text.starts_with("POST /v1/messages?beta=true HTTP/1.1\r\n"), "{text}");
                assert!(text.contains("host: named.example\r\n") && text.ends_with("hello"), "{text}");
                n += 1;
                let answer = match n % 3 {
                    0 => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi".to_owned(),
                    1 => format!("{CHUNKED}2\r\nhi\r\n0\r\n\r\n"),
                    _ => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
                };
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        })
        .await;
        let exchange = exchange(mode);
        for n in 1..=9 {
            let body = whole(exchange.send(&up.route, post("hello")).await.unwrap()).await.unwrap();
            assert_eq!(body, if n % 3 == 2 { "" } else { "hi" }, "{mode:?} {n}");
        }
        assert_eq!(up.connections.load(SeqCst), 1, "{mode:?}");
        assert_eq!(exchange.sweep(Instant::now()), 1);
        assert_eq!(exchange.sweep(Instant::now() + Duration::from_secs(60)), 0);
    }
}

#[tokio::test]
async fn pieces_that_are_ready_together_come_as_one_and_none_waits() {
    let up = upstream(|_, mut stream| async move {
        request(&mut stream).await;
        let burst = "5\r\ndelta\r\n".repeat(40);
        stream.write_all(format!("{CHUNKED}{burst}").as_bytes()).await.unwrap();
        // The reader's word that it has the burst: nothing may wait for what comes later.
        stream.read_u8().await.unwrap_err();
    })
    .await;
    let mut body = exchange(Mode::Inline).send(&up.route, post("x")).await.unwrap().into_body();
    let (mut bytes, mut frames) = (0, 0);
    while bytes < 200 {
        bytes += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
        frames += 1;
    }
    assert_eq!(bytes, 200);
    assert!(frames <= 3, "{frames} frames");
    assert!(!body.is_end_stream());
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced_unseen() {
    for mode in [Mode::Inline, Mode::Pooled] {
        let up = upstream(|_, mut stream| async move {
            request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
        })
        .await;
        let exchange = exchange(mode);
        for n in 1..=4 {
            assert_eq!(whole(exchange.send(&up.route, post("x")).await.unwrap()).await.unwrap(), "hi");
            // Until the close has been seen by the runtime: the connection is the server's to end.
            while up.connections.load(SeqCst) < n {
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(up.connections.load(SeqCst), 4);
    }
}

#[tokio::test]
async fn a_kept_connection_that_dies_under_the_request_is_told_as_stale() {
    for mode in [Mode::Inline, Mode::Pooled] {
        let up = upstream(|number, mut stream| async move {
            request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
            if number == 0 {
                // Reads the second request whole, then closes without a word.
                request(&mut stream).await;
            }
        })
        .await;
        let exchange = exchange(mode);
        whole(exchange.send(&up.route, post("x")).await.unwrap()).await.unwrap();
        let Err(error) = exchange.send(&up.route, post("x")).await else { panic!("an answer") };
        assert!(matches!(error, Error::Stale), "{mode:?}: {error}");
        whole(exchange.send(&up.route, post("x")).await.unwrap()).await.unwrap();
        assert_eq!(up.connections.load(SeqCst), 2);
    }
}

#[tokio::test]
async fn a_cut_answer_is_an_error_behind_what_had_come() {
    for mode in [Mode::Inline, Mode::Pooled] {
        let up = upstream(|_, mut stream| async move {
            request(&mut stream).await;
            stream.write_all(format!("{CHUNKED}5\r\ndelta\r\n").as_bytes()).await.unwrap();
        })
        .await;
        let exchange = exchange(mode);
        let mut body = exchange.send(&up.route, post("x")).await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "delta");
        assert!(!body.is_end_stream());
        assert!(matches!(body.frame().await, Some(Err(Error::Broken(_)))), "{mode:?}");
        assert!(body.frame().await.is_none());
        assert_eq!(exchange.sweep(Instant::now()), 0);
    }
}

#[tokio::test]
async fn an_answer_given_up_closes_its_connection() {
    for mode in [Mode::Inline, Mode::Pooled] {
        let (told, mut closed) = tokio::sync::mpsc::unbounded_channel();
        let up = upstream(move |_, mut stream| {
            let told = told.clone();
            async move {
                request(&mut stream).await;
                stream.write_all(format!("{CHUNKED}5\r\ndelta\r\n").as_bytes()).await.unwrap();
                let _ = stream.read_u8().await;
                told.send(()).unwrap();
            }
        })
        .await;
        let exchange = exchange(mode);
        let mut body = exchange.send(&up.route, post("x")).await.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        drop(body);
        tokio::time::timeout(Duration::from_secs(5), closed.recv()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_answer_may_be_read_on_another_thread() {
    let up = upstream(|_, mut stream| async move {
        request(&mut stream).await;
        stream.write_all(format!("{CHUNKED}5\r\ndelta\r\n").as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.write_all(b"3\r\nend\r\n0\r\n\r\n").await.unwrap();
        request(&mut stream).await;
    })
    .await;
    let exchange = exchange(Mode::Inline);
    let answer = exchange.send(&up.route, post("x")).await.unwrap();
    let other = std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(whole(answer))
    });
    let body = tokio::task::spawn_blocking(move || other.join().unwrap()).await.unwrap().unwrap();
    assert_eq!(body, "deltaend");
    assert_eq!(exchange.sweep(Instant::now()), 1);
}
