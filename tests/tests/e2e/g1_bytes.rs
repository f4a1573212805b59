//! G1: bytes arrive as they were sent, both ways, when they were sent.

use std::time::Duration;

use e2e::{
    mock::{Behaviour, Encoding, Fault, scenario},
    sandbox::body,
    wire::{self, Conn},
};
use serde_json::json;

use crate::bed::{Bed, Test, sha256};

#[tokio::test]
async fn g1_a_body_arrives_byte_identical() -> Test {
    let bed = Bed::start().await?;
    let big = "x".repeat(1 << 20);
    let texts = ["plain", "Ωmega 😀 \u{7f} \" \\ / \u{2028}", "line\nline\r\n\ttab", big.as_str()];
    for (at, text) in texts.iter().enumerate() {
        for stream in [false, true] {
            let tag = format!("g1-{at}-{stream}");
            let bytes = body(&format!("[mock::{tag}] {text}"), stream);
            let reply = bed.talk.ask(&bytes).await?;
            assert_eq!(reply.status, 200, "{}", reply.text());
            let entry = &bed.mock.ledger().tagged(&tag)[0];
            let lengths = (entry.body.len(), bytes.len());
            assert!(
                entry.body == bytes,
                "{tag}: the body was changed on the way, bytes there and here: {lengths:?}"
            );
            assert_eq!(entry.answer_sha256, sha256(&reply.body), "{tag}: the answer was changed on the way");
        }
    }
    bed.close().await
}

#[tokio::test]
async fn g1_a_chunked_body_arrives_byte_identical() -> Test {
    let bed = Bed::start().await?;
    let bytes = body("[mock::g1-chunked] in many pieces", true);
    let mut conn = Conn::connect(bed.crs.relay).await?;
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\nanthropic-version: 2023-06-01\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        bed.talk.secret
    );
    conn.send(head.as_bytes()).await?;
    for piece in bytes.chunks(7) {
        conn.send(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
        conn.send(piece).await?;
        conn.send(b"\r\n").await?;
    }
    conn.send(b"0\r\n\r\n").await?;
    let reply = conn.reply().await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(bed.mock.ledger().tagged("g1-chunked")[0].body == bytes, "the body was changed on the way");
    bed.close().await
}

#[tokio::test]
async fn g1_odd_streams_reach_the_client_byte_identical() -> Test {
    let bed = Bed::start().await?;
    let plain = Behaviour::default;
    let raw = |events: &[&str]| Behaviour {
        raw_events: events.iter().map(|event| (*event).to_owned()).collect(),
        ..plain()
    };
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n";
    let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let odd = [
        ("gzip", Behaviour { encoding: Some(Encoding::Gzip), ..plain() }),
        ("br", Behaviour { encoding: Some(Encoding::Br), ..plain() }),
        ("zstd", Behaviour { encoding: Some(Encoding::Zstd), ..plain() }),
        ("huge", scenario::fault(Fault::HugeEvent { bytes: 3_000_000 })),
        ("utf8", scenario::fault(Fault::InvalidUtf8)),
        (
            "comments",
            Behaviour { leading: ": hello\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n".into(), ..plain() },
        ),
        ("crlf", raw(&[&start.replace('\n', "\r\n"), &stop.replace('\n', "\r\n")])),
        ("cr", raw(&[&start.replace('\n', "\r"), &stop.replace('\n', "\r")])),
        ("split", raw(&[&start[..30], &start[30..60], &start[60..], stop])),
        ("bom", raw(&["\u{feff}", start, stop])),
        ("burst", Behaviour { burst: true, deltas: 300, ..plain() }),
    ];
    for (name, behaviour) in odd {
        bed.mock.scenarios().name(name, behaviour);
        let reply = bed.talk.stream(&format!("[mock:{name}:g1-{name}]")).await?;
        assert_eq!((reply.status, reply.complete), (200, true), "{name}: {}", reply.text());
        let entry = &bed.mock.ledger().tagged(&format!("g1-{name}"))[0];
        assert_eq!(entry.answer_sha256, sha256(&reply.body), "{name}: changed on the way");
        assert!(entry.finished, "{name}");
    }
    bed.close().await
}

#[tokio::test]
async fn g1_no_event_waits_for_the_next() -> Test {
    let bed = Bed::start().await?;
    let behaviour =
        Behaviour { deltas: 40, interval_ms: 50, delta_bytes: 40, stamp: true, ..Behaviour::default() };
    bed.mock.scenarios().name("paced", behaviour);
    let mut conn = bed.talk.begin(&body("[mock:paced:g1-paced]", true)).await?;
    let head = conn.head().await?.unwrap();
    let (mut framing, mut late, mut seen) = (head.framing()?, Vec::new(), 0);
    while let Some(piece) = conn.piece(&mut framing).await? {
        let now = e2e::mock::now_us();
        for at in memchr::memmem::find_iter(&piece, b"\"text\":\"") {
            let digits = piece.get(at + 8..at + 24).and_then(|digits| std::str::from_utf8(digits).ok());
            if let Some(sent) = digits.and_then(|digits| digits.parse::<i64>().ok()) {
                seen += 1;
                late.push(now - sent);
            }
        }
    }
    late.sort_unstable();
    assert_eq!(seen, 40);
    // A delta that waited for the next one would be 50 ms late; a busy machine may be late once or twice.
    assert!(late[35] < 40_000, "µs from written to read: {late:?}");
    bed.close().await
}

#[tokio::test]
async fn g1_a_mapped_model_is_a_splice_and_nothing_else() -> Test {
    let mapping = json!({"model_mapping": {"claude-sonnet-4-5-20250929": "claude-haiku-4-5-20251001"}});
    let bed = Bed::with(Default::default(), mapping, json!({})).await?;
    let bytes = body("[mock::g1-mapped] the model is claude-sonnet-4-5-20250929 here too", true);
    let reply = bed.talk.ask(&bytes).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let expected =
        String::from_utf8(bytes)?.replacen("claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001", 1);
    let entry = &bed.mock.ledger().tagged("g1-mapped")[0];
    assert_eq!(String::from_utf8_lossy(&entry.body), expected);
    assert_eq!(entry.header("content-length"), Some(expected.len().to_string().as_str()));
    bed.close().await
}

#[tokio::test]
async fn g1_headers_and_query_that_belong_to_the_platform_pass() -> Test {
    let bed = Bed::start().await?;
    let beta = "claude-code-20250219,context-1m-2025-08-07,  made-up-2026-01-01";
    let headers = [
        ("x-api-key", bed.talk.secret.as_str()),
        ("anthropic-version", "2026-10-21"),
        ("anthropic-beta", beta),
        ("content-type", "application/json"),
        ("user-agent", "claude-cli/2.1.329 (external, sdk-cli)"),
        ("x-app", "cli"),
        ("x-stainless-lang", "js"),
    ];
    let body = body("[mock::g1-headers]", false);
    let reply = wire::call(bed.crs.relay, "POST", "/api/v1/messages?beta=true", &headers, &body).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let entry = &bed.mock.ledger().tagged("g1-headers")[0];
    assert_eq!(entry.target, "/v1/messages?beta=true");
    for (name, value) in &headers[1..] {
        assert_eq!(entry.header(name), Some(*value), "{name}");
    }
    bed.close().await
}

#[tokio::test]
async fn g1_a_slow_reader_gets_every_byte() -> Test {
    let bed = Bed::start().await?;
    let behaviour = Behaviour { deltas: 400, delta_bytes: 100_000, ..Behaviour::default() };
    bed.mock.scenarios().name("much", behaviour);
    let mut conn = bed.talk.begin(&body("[mock:much:g1-slow]", true)).await?;
    let head = conn.head().await?.unwrap();
    // Nothing is read for a while: the relay must hold the upstream back, not drop.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let entry = &bed.mock.ledger().tagged("g1-slow")[0];
    assert!(!entry.finished, "40 MB went into buffers while nobody read");
    let (mut framing, mut all) = (head.framing()?, Vec::new());
    while let Some(piece) = conn.piece(&mut framing).await? {
        all.extend_from_slice(&piece);
    }
    let sent = e2e::sandbox::eventually("the mock has finished", Duration::from_secs(5), || async {
        bed.mock.ledger().tagged("g1-slow").pop().filter(|entry| entry.finished)
    });
    assert_eq!(sent.await?.answer_sha256, sha256(&all));
    bed.close().await
}
