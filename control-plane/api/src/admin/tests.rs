//! Tests of the port: protocols, headers, limits.

use http::{Method, Request};
use http_body_util::Full;
use proto::admin::{self, key_service_client::KeyServiceClient};

use super::*;
use crate::testing::Bench;

fn request(method: Method, uri: &str) -> http::request::Builder {
    Request::builder().method(method).uri(uri)
}

#[tokio::test]
async fn every_answer_carries_security_headers_and_its_id() {
    let bench = Bench::start().await;
    for path in ["/", "/docs", "/openapi.json", "/health", "/api/v2/keys", "/nowhere"] {
        let call = request(Method::GET, path).header("x-request-id", "my-id");
        let answer = bench.send(call.body(Full::default()).unwrap()).await;
        assert_eq!(answer.headers["x-request-id"], "my-id", "{path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
    }
    let answer = bench.call("", "GET /health", "").await;
    assert_eq!(answer.headers["x-request-id"].len(), 36);
    bench.stop().await;
}

#[tokio::test]
async fn the_docs_load_nothing_from_elsewhere() {
    let bench = Bench::start().await;
    for path in ["/", "/docs", "/docs/docs.js", "/docs/docs.css"] {
        let answer = bench.call("", &format!("GET {path}"), "").await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text.contains("://"), "{path}");
        assert!(!answer.text.contains("innerHTML"), "{path}");
    }
    let document = bench.ok("", "GET /openapi.json", "").await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(bench.call("", "POST /docs", "").await.status, 405);
    bench.stop().await;
}

#[tokio::test]
async fn cors_is_closed_but_for_named_origins() {
    let options =
        Options { cors_origins: vec!["https://ui.example".into(), "*".into()], ..Options::default() };
    let bench = Bench::start_with(options).await;
    for (origin, allowed) in [("https://ui.example", true), ("https://evil.example", false), ("*", false)] {
        let preflight = request(Method::OPTIONS, "/api/v2/keys")
            .header("origin", origin)
            .header("access-control-request-method", "PUT");
        let answer = bench.send(preflight.body(Full::default()).unwrap()).await;
        assert_eq!(answer.status == 204, allowed, "{origin}");
        let answer = bench
            .send(request(Method::GET, "/health").header("origin", origin).body(Full::default()).unwrap())
            .await;
        assert_eq!(answer.headers.contains_key("access-control-allow-origin"), allowed, "{origin}");
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    }
    bench.stop().await;
}

#[tokio::test]
async fn grpc_and_grpc_web_reach_the_same_services() {
    let bench = Bench::start().await;
    let token = bench.token().await;
    let mut client =
        KeyServiceClient::with_interceptor(bench.admin.clone(), move |mut call: tonic::Request<()>| {
            call.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
            Ok(call)
        });
    let key = proto::types::Key { name: "by grpc".into(), ..Default::default() };
    let made = client
        .create_key(admin::CreateKeyRequest { key: Some(key), ..Default::default() })
        .await
        .unwrap()
        .into_inner();
    assert!(made.secret.starts_with("cr_"));
    let web = request(Method::POST, "/crs.admin.v1.AuthService/GetMe")
        .header("content-type", "application/grpc-web-text+proto")
        .body(Full::from("AAAAAAA="))
        .unwrap();
    let answer = bench.send(web).await;
    assert_eq!(answer.headers["grpc-status"], "16");
    bench.stop().await;
}

#[tokio::test]
async fn strangers_of_one_address_are_limited_and_others_are_not() {
    let options = Options { strangers_burst: 3, strangers_per_second: 1, ..Options::default() };
    let bench = Bench::start_with(options).await;
    let from = |host: u8| {
        let peer = Peer(([203, 0, 113, host], 1).into());
        request(Method::GET, "/api/v2/keys").extension(peer).body(Full::default()).unwrap()
    };
    for _ in 0..3 {
        assert_eq!(bench.send(from(1)).await.status, 401);
    }
    let answer = bench.send(from(1)).await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (429, "TOO_MANY_REQUESTS"));
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(bench.send(from(2)).await.status, 401);
    bench.stop().await;
}
