//! Bad input: each shape gets the dialect's clear error, nothing reaches an upstream, nothing is lost or leaked.

use std::time::Duration;

use e2e::{
    mock::{
        Encoding,
        compress::{self, Compressor},
    },
    sandbox::body,
    wire::{self, Conn, Reply},
};
use serde_json::json;

use crate::bed::{Bed, Test};

async fn raw(bed: &Bed, bytes: &[u8]) -> Option<Reply> {
    let mut conn = Conn::connect(bed.crs.relay).await.ok()?;
    conn.send(bytes).await.ok()?;
    tokio::time::timeout(Duration::from_secs(10), conn.reply()).await.ok()?.ok()
}

fn with_key(bed: &Bed, rest: &str) -> Vec<u8> {
    format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\nanthropic-version: 2023-06-01\r\n{rest}",
        bed.talk.secret
    )
    .into_bytes()
}

/// The book has nothing but the warm-up.
fn nothing_arrived(bed: &Bed) {
    let arrived = bed.mock.ledger().matching(|entry| entry.tag != "warm-up");
    assert!(arrived.is_empty(), "an upstream was asked: {:?}", arrived[0].target);
}

fn coded(coding: &str, plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let encodings = [Encoding::Gzip, Encoding::Br, Encoding::Zstd];
    let encoding = encodings.into_iter().find(|encoding| compress::name(*encoding) == coding);
    let mut compressor = Compressor::new(encoding)?;
    Ok([compressor.event(plain)?, compressor.finish()?].concat())
}

/// A body in a coding: known ones arrive plain, others are 415, and a bomb is refused before it unfolds.
#[tokio::test]
async fn coded_bodies_are_decoded_within_bounds() -> Test {
    let bed = Bed::start().await?;
    let plain = body("coded [mock::coded]", false);
    let post = |coding: &str, coded: &[u8]| {
        let head = format!("content-encoding: {coding}\r\ncontent-length: {}\r\n\r\n", coded.len());
        [with_key(&bed, &head), coded.to_vec()].concat()
    };
    for coding in ["gzip", "br", "zstd"] {
        let reply = raw(&bed, &post(coding, &coded(coding, &plain)?)).await.expect("an answer");
        assert_eq!(reply.status, 200, "{coding}: {}", reply.text());
    }
    let arrived = bed.mock.ledger().matching(|entry| entry.tag == "coded");
    assert_eq!(arrived.len(), 3);
    for entry in &arrived {
        assert_eq!(entry.body, plain);
        assert!(entry.headers.iter().all(|(name, _)| name != "content-encoding"), "{:?}", entry.headers);
    }
    let unfolds = vec![b' '; 80 << 20];
    let bomb = coded("gzip", &unfolds)?;
    for (coding, coded, expected) in
        [("gzip, br", &plain, 415), ("compress", &plain, 415), ("gzip", &plain, 400), ("gzip", &bomb, 413)]
    {
        let reply = raw(&bed, &post(coding, coded)).await.expect("an answer");
        assert_eq!(reply.status, expected, "{coding}: {}", reply.text());
        assert_eq!(reply.json()["type"], "error", "{coding}");
    }
    assert_eq!(bed.mock.ledger().matching(|entry| entry.tag == "coded").len(), 3);
    bed.close().await
}

#[tokio::test]
async fn malformed_bodies_are_refused_in_the_dialects_shape() -> Test {
    let bed = Bed::start().await?;
    let good = r#""max_tokens":5,"messages":[{"role":"user","content":"x"}]"#;
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", b"".to_vec()),
        ("no JSON", b"hello".to_vec()),
        ("cut", br#"{"model":"claude-sonnet-4-5-20250929","messages":[{"#.to_vec()),
        ("array", b"[]".to_vec()),
        ("trailing", format!(r#"{{"model":"m",{good}}} x"#).into_bytes()),
        ("twice", format!(r#"{{"model":"m","model":"n",{good}}}"#).into_bytes()),
        ("twice escaped", format!(r#"{{"model":"m","mod\u0065l":"n",{good}}}"#).into_bytes()),
        ("no model", format!(r"{{{good}}}").into_bytes()),
        ("model is a number", format!(r#"{{"model":5,{good}}}"#).into_bytes()),
        ("deep", [vec![b'['; 200_000]].concat()),
        ("bad escape", br#"{"model":"\x"}"#.to_vec()),
        ("bad UTF-8", b"{\"model\":\"\xff\xfe\"}".to_vec()),
        ("NUL", b"{\"model\":\"a\0b\"}".to_vec()),
    ];
    for (name, body) in bodies {
        let reply = bed.talk.ask(&body).await?;
        assert_eq!(reply.status, 400, "{name}: {}", reply.text());
        let error = reply.json();
        assert_eq!(
            (error["type"].as_str(), error["error"]["type"].as_str()),
            (Some("error"), Some("invalid_request_error")),
            "{name}: {error}"
        );
        assert!(error["error"]["message"].as_str().is_some_and(|text| text.len() > 5), "{name}: {error}");
        assert!(reply.header("request-id").is_some(), "{name}");
    }
    nothing_arrived(&bed);
    assert_eq!(bed.talk.say("still well").await?.status, 200);
    bed.close().await
}

#[tokio::test]
async fn oversize_is_refused_before_it_is_read() -> Test {
    let bed = Bed::start().await?;
    let reply = raw(&bed, &with_key(&bed, "content-length: 99999999999\r\n\r\n{")).await.expect("an answer");
    assert_eq!(reply.status, 413, "{}", reply.text());
    assert_eq!(reply.json()["error"]["type"], "request_too_large");
    let long = format!("x-long: {}\r\n", "a".repeat(400_000));
    let reply = raw(&bed, &with_key(&bed, &format!("{long}content-length: 2\r\n\r\n{{}}"))).await;
    assert!(reply.is_none_or(|reply| [400, 431].contains(&reply.status)));
    let many: String = (0..500).map(|n| format!("x-h{n}: 1\r\n")).collect();
    let reply = raw(&bed, &with_key(&bed, &format!("{many}content-length: 2\r\n\r\n{{}}"))).await;
    assert!(reply.is_none_or(|reply| [400, 431].contains(&reply.status)));
    let path = "a".repeat(100_000);
    let reply = raw(&bed, format!("GET /{path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
    assert!(reply.is_none_or(|reply| [400, 404, 414, 431].contains(&reply.status)));
    // A body that has no length and no end is cut off at the limit, whatever it costs the sender.
    let mut conn = Conn::connect(bed.crs.relay).await?;
    conn.send(&with_key(&bed, "transfer-encoding: chunked\r\n\r\n")).await?;
    let piece = [b"100000\r\n".to_vec(), vec![b' '; 1 << 20], b"\r\n".to_vec()].concat();
    let endless = async {
        for _ in 0..200 {
            if conn.send(&piece).await.is_err() {
                break;
            }
        }
        conn.reply().await
    };
    let reply = tokio::time::timeout(Duration::from_secs(30), endless).await?;
    assert!(reply.is_err() || reply.is_ok_and(|reply| reply.status == 413 || reply.status == 400));
    nothing_arrived(&bed);
    assert_eq!(bed.talk.say("still well").await?.status, 200);
    bed.close().await
}

#[tokio::test]
async fn unknown_routes_and_wrong_methods_have_their_dialects_shape() -> Test {
    let bed = Bed::start().await?;
    let key = [("x-api-key", bed.talk.secret.as_str()), ("anthropic-version", "2023-06-01")];
    let ask = async |method: &str, target: &str| {
        wire::call(bed.crs.relay, method, target, &key, b"").await.map(|reply| (reply.status, reply.json()))
    };
    for target in
        ["/", "/nothing", "/api/v1/nothing", "/v1/message", "/api/v1/messages/", "/claude/v2/messages"]
    {
        let (status, error) = ask("POST", target).await?;
        assert_eq!(status, 404, "{target}: {error}");
        assert!(error["error"].is_object(), "{target}: {error}");
    }
    for (method, target) in [
        ("GET", "/v1/messages"),
        ("DELETE", "/api/v1/messages"),
        ("PUT", "/v1/messages/count_tokens"),
        ("POST", "/api/v1/models"),
    ] {
        let (status, error) = ask(method, target).await?;
        assert_eq!(status, 405, "{method} {target}: {error}");
    }
    let reply =
        wire::call(bed.crs.relay, "GET", "/v1/messages", &[("x-api-key", &bed.talk.secret)], b"").await?;
    assert!(reply.header("allow").is_some_and(|allow| allow.contains("POST")), "{:?}", reply.head);
    for target in ["/", "/api/v1/messages", "/whatever"] {
        let mut conn = Conn::connect(bed.crs.relay).await?;
        conn.send(format!("HEAD {target} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await?;
        assert_eq!(conn.head().await?.map(|head| head.status), Some(200), "HEAD {target}");
    }
    let upgrade = "GET /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
    assert_eq!(raw(&bed, upgrade.as_bytes()).await.map(|reply| reply.status), Some(426));
    nothing_arrived(&bed);
    bed.close().await
}

#[tokio::test]
async fn two_views_of_one_request_are_refused() -> Test {
    let bed = Bed::start().await?;
    let body = String::from_utf8(body("[mock::smuggled]", false))?;
    let (length, chunked) = (body.len(), format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    let key = &bed.talk.secret;
    let start =
        |line: &str| format!("{line}\r\nhost: x\r\nx-api-key: {key}\r\nanthropic-version: 2023-06-01\r\n");
    let post = start("POST /v1/messages HTTP/1.1");
    let shapes: Vec<(&str, String)> = vec![
        (
            "CL and TE",
            format!("{post}content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n{chunked}"),
        ),
        ("TE and CL", format!("{post}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n{chunked}")),
        ("two lengths", format!("{post}content-length: {length}\r\ncontent-length: 5\r\n\r\n{body}")),
        ("length list", format!("{post}content-length: {length}, 5\r\n\r\n{body}")),
        ("length sign", format!("{post}content-length: +{length}\r\n\r\n{body}")),
        (
            "TE twice",
            format!("{post}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n{chunked}"),
        ),
        ("TE other", format!("{post}transfer-encoding: xchunked\r\n\r\n{chunked}")),
        ("TE space", format!("{post}transfer-encoding : chunked\r\n\r\n{chunked}")),
        ("chunk size", format!("{post}transfer-encoding: chunked\r\n\r\n0x{chunked}")),
        ("obs-fold", format!("{post}x-a: 1\r\n folded\r\ncontent-length: {length}\r\n\r\n{body}")),
        ("bare LF in header", format!("{post}x-a: 1\nx-b: 2\rx\r\ncontent-length: {length}\r\n\r\n{body}")),
        ("two hosts", format!("{post}host: y\r\ncontent-length: {length}\r\n\r\n{body}")),
        ("NUL", format!("{post}x-a: \0\r\ncontent-length: {length}\r\n\r\n{body}")),
        ("//", format!("{}content-length: {length}\r\n\r\n{body}", start("POST //v1/messages HTTP/1.1"))),
        ("%2f", format!("{}content-length: {length}\r\n\r\n{body}", start("POST /v1%2fmessages HTTP/1.1"))),
        (
            "dots",
            format!("{}content-length: {length}\r\n\r\n{body}", start("POST /x/../v1/messages HTTP/1.1")),
        ),
        (
            "absolute",
            format!(
                "{}content-length: {length}\r\n\r\n{body}",
                start("POST http://evil.invalid/v1/messages HTTP/1.1")
            ),
        ),
        ("version", format!("{}content-length: {length}\r\n\r\n{body}", start("POST /v1/messages HTTP/3.1"))),
    ];
    for (name, bytes) in shapes {
        let reply = raw(&bed, bytes.as_bytes()).await;
        let status = reply.as_ref().map(|reply| reply.status);
        assert!(status.is_none_or(|status| (400..=405).contains(&status)), "{name}: answered {status:?}");
        nothing_arrived(&bed);
    }
    assert_eq!(bed.talk.say("still well").await?.status, 200);
    bed.close().await
}

#[tokio::test]
async fn slow_and_idle_clients_cost_nothing_but_a_connection() -> Test {
    let bed = Bed::start().await?;
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut conn = Conn::connect(bed.crs.relay).await?;
        conn.send(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-slow: ").await?;
        slow.push(conn);
    }
    for _ in 0..20 {
        assert_eq!(bed.talk.say("beside").await?.status, 200);
    }
    bed.close().await
}

#[tokio::test]
async fn the_admin_api_refuses_what_it_does_not_know() -> Test {
    let bed = Bed::start().await?;
    let admin = &bed.crs.admin;
    let bodies = [
        json!({"name": "x", "no_such_field": 1}),
        json!({"name": ""}),
        json!({"name": "x".repeat(200)}),
        json!({"name": 5}),
        json!({"name": "x", "networks": ["999.0.0.0/8"]}),
        json!({"name": "x", "permissions": ["nonsense"]}),
        json!({"name": "x", "status": "expired"}),
        json!([1]),
    ];
    for body in bodies {
        let reply = admin.raw("POST", "/api/v2/keys", &body).await?;
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        assert!(reply.json()["message"].is_string() || reply.json()["error"].is_object(), "{}", reply.text());
    }
    for (platform, account) in [
        (
            "claude-console",
            json!({"name": "x", "base_url": "file:///etc/passwd", "credentials": {"api_key": "k-0123456789"}}),
        ),
        (
            "claude-console",
            json!({"name": "x", "base_url": "http://169.254.169.254/", "credentials": {"api_key": "k-0123456789"}}),
        ),
        (
            "claude-console",
            json!({"name": "x", "base_url": "http://u:p@127.0.0.1/", "credentials": {"api_key": "k-0123456789"}}),
        ),
        ("claude-console", json!({"name": "x", "base_url": "http://127.0.0.1/"})),
        (
            "claude-console",
            json!({"name": "x", "base_url": "http://127.0.0.1/", "credentials": {"api_key": "k-0123456789\r\nx: y"}}),
        ),
        ("no-such-platform", json!({"name": "x", "credentials": {"api_key": "k-0123456789"}})),
    ] {
        let reply = admin.raw("POST", &format!("/api/v2/accounts/{platform}"), &account).await?;
        assert!(
            [400, 404].contains(&reply.status),
            "{platform} {account}: {} {}",
            reply.status,
            reply.text()
        );
    }
    assert_eq!(admin.raw("GET", "/api/v2/keys/no-such-id", &json!(null)).await?.status, 404);
    assert_eq!(admin.raw("GET", "/api/v2/nothing", &json!(null)).await?.status, 404);
    let nobody = wire::call(bed.crs.control, "GET", "/api/v2/keys", &[], b"").await?;
    assert_eq!(nobody.status, 401);
    bed.close().await
}
