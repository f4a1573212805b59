use std::io::Write as _;

use super::*;

const STREAM: &[u8] = include_bytes!("../../testdata/stream.sse");
const BROTLI: &[u8] = include_bytes!("../../testdata/stream.sse.br");
const ERROR: &[u8] =
    b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";

fn judged(pieces: &[&[u8]]) -> Gate {
    let mut gate = FirstEvent::new(Dialect::AnthropicMessages, Framing::Sse, None);
    for piece in pieces {
        gate.push(piece);
    }
    gate.finish()
}

fn overloaded() -> Gate {
    Gate::Error { error_type: "overloaded_error".into(), message: "Overloaded".into() }
}

#[test]
fn rule_19_the_first_event_that_is_neither_comment_nor_ping_decides() {
    assert_eq!(judged(&[STREAM]), Gate::Release);
    assert_eq!(judged(&[ERROR]), overloaded());
    let quiet = b": hello\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\nretry: 5\n\n";
    assert_eq!(judged(&[quiet, ERROR]), overloaded());
    assert_eq!(judged(&[quiet, STREAM, ERROR]), Gate::Release);
    assert_eq!(judged(&[quiet]), Gate::Empty);
    assert_eq!(judged(&[]), Gate::Empty);
    assert_eq!(
        judged(&[b"event: message_start\ndata: {\"type\":"]),
        Gate::Empty,
        "broken off within the first event"
    );
}

#[test]
fn it_holds_no_longer_than_needed() {
    let mut gate = FirstEvent::new(Dialect::AnthropicMessages, Framing::Sse, None);
    let end = memchr::memmem::find(STREAM, b"\n\n").unwrap() + 2;
    for byte in STREAM[..end - 1].chunks(1) {
        assert_eq!(gate.push(byte), Gate::Hold);
    }
    assert_eq!(gate.push(&STREAM[end - 1..end]), Gate::Release);
    assert_eq!(gate.push(ERROR), Gate::Release, "what was judged stands");
}

#[test]
fn errors_in_other_forms() {
    for (event, kind, text) in [
        (
            "data: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}\n\n",
            "api_error",
            "m",
        ),
        (
            "event: error\ndata: {\"error\":\"Claude API error\",\"status\":429}\n\n",
            "error",
            "Claude API error",
        ),
        (
            "data: {\"error\":{\"message\":\"m\",\"code\":\"rate_limit_exceeded\"}}\n\n",
            "rate_limit_exceeded",
            "m",
        ),
        ("event: error\ndata: out of luck\n\n", "error", "out of luck"),
    ] {
        let expected = Gate::Error { error_type: kind.into(), message: text.into() };
        assert_eq!(judged(&[event.as_bytes()]), expected, "{event}");
    }
    assert_eq!(judged(&[b"data: {\"type\":\"message_start\",\"error\":null}\n\n"]), Gate::Release);
}

#[test]
fn no_more_than_64_kib_are_held() {
    let mut gate = FirstEvent::new(Dialect::AnthropicMessages, Framing::Sse, None);
    let mut held = 0;
    while gate.push(&[b'x'; 1000]) == Gate::Hold {
        held += 1000;
    }
    assert!((MAX_HELD - 1000..=MAX_HELD).contains(&held));
    assert_eq!(gate.finish(), Gate::Release);
}

#[test]
fn coded_streams_are_judged_by_what_they_mean() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(ERROR).unwrap();
    let mut gate = FirstEvent::new(Dialect::AnthropicMessages, Framing::Sse, Some("gzip"));
    let coded = gzip.finish().unwrap();
    assert_eq!(
        coded.chunks(4).map(|piece| gate.push(piece)).find(|gate| *gate != Gate::Hold),
        Some(overloaded())
    );

    let mut gate = FirstEvent::new(Dialect::AnthropicMessages, Framing::Sse, Some("br"));
    let held = BROTLI.chunks(16).take_while(|piece| gate.push(piece) == Gate::Hold).count() * 16;
    assert!(
        held < BROTLI.len() / 2,
        "the first event is known long before the end: {held} of {}",
        BROTLI.len()
    );

    assert_eq!(
        FirstEvent::new(Dialect::AnthropicMessages, Framing::Sse, Some("br"))
            .push(b"\xff\xff\xff not brotli"),
        Gate::Release
    );
    let bomb = zstd::encode_all(&vec![b'\n'; 8 << 20][..], 3).unwrap();
    assert_eq!(
        FirstEvent::new(Dialect::AnthropicMessages, Framing::Sse, Some("zstd")).push(&bomb),
        Gate::Release
    );
}

#[test]
fn every_dialect_has_its_own_errors_and_silence() {
    let judged = |dialect, framing, body: &str| {
        let mut gate = FirstEvent::new(dialect, framing, None);
        body.as_bytes().chunks(5).for_each(|piece| drop(gate.push(piece)));
        gate.finish()
    };
    let error = |kind: &str| Gate::Error { error_type: kind.into(), message: "m".into() };
    let (chat, responses, gemini) = (Dialect::OpenaiChat, Dialect::OpenaiResponses, Dialect::Gemini);
    let (sse, array) = (Framing::Sse, Framing::JsonArray);
    let limited = r#"{"error":{"message":"m","type":"tokens","code":"rate_limit_exceeded"}}"#;
    let away = r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#;
    let failed = r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"m"}}}"#;
    for (dialect, framing, body, expected) in [
        (chat, sse, format!(": PROCESSING\n\ndata: {limited}\n\n"), error("rate_limit_exceeded")),
        (chat, sse, "data: {\"choices\":[]}\n\n".into(), Gate::Release),
        (chat, sse, "data: [DONE]\n\n".into(), Gate::Empty),
        (responses, sse, format!("event: response.failed\ndata: {failed}\n\n"), error("server_error")),
        (responses, sse, format!("event: error\ndata: {limited}\n\n"), error("rate_limit_exceeded")),
        (
            responses,
            sse,
            "data: {\"type\":\"response.created\",\"response\":{\"error\":null}}\n\n".into(),
            Gate::Release,
        ),
        (responses, sse, "data: {\"type\":\"keepalive\"}\n\n".into(), Gate::Empty),
        (gemini, sse, format!("data: {away}\r\n\r\n"), error("UNAVAILABLE")),
        (gemini, sse, "data: {\"candidates\":[]}\r\n\r\n".into(), Gate::Release),
        (gemini, array, format!("[{away}\n]"), error("UNAVAILABLE")),
        (gemini, array, "[{\"candidates\":[]}".into(), Gate::Release),
        (gemini, array, "[]".into(), Gate::Empty),
        (gemini, array, "[{\"candi".into(), Gate::Empty),
    ] {
        assert_eq!(judged(dialect, framing, &body), expected, "{body}");
    }
}
