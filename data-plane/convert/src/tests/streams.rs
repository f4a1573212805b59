//! Streams: any split gives the same bytes, ends are visible, and what is whole is passed on at once.

use std::fs;

use dialects::{
    Dialect,
    error::{Kind, Problem},
};

use super::{convert, golden::cases, reply};
use crate::{Ended, StreamConverter};

fn converted(mut stream: StreamConverter, pieces: &[&[u8]]) -> (Vec<u8>, Ended) {
    let mut out = Vec::new();
    pieces.iter().for_each(|piece| stream.push(piece, &mut out));
    let ended = stream.finish(&mut out);
    (out, ended)
}

#[test]
fn a_split_at_any_byte_changes_nothing() {
    for (case, upstream, path) in cases("streams") {
        let body = fs::read(&path).unwrap();
        for client in Dialect::ALL.into_iter().filter(|client| *client != upstream) {
            let whole = converted(reply(client, upstream).stream(), &[&body]);
            for at in 0..=body.len() {
                let parts = converted(reply(client, upstream).stream(), &[&body[..at], &body[at..]]);
                assert!(parts == whole, "{case} for {client}, split at {at}");
            }
            let bytes: Vec<&[u8]> = body.chunks(1).collect();
            assert!(
                converted(reply(client, upstream).stream(), &bytes) == whole,
                "{case} for {client}, byte by byte"
            );
        }
    }
}

/// Wherever an upstream breaks off, the client is told, once, and never of a clean end.
#[test]
fn a_stream_cut_anywhere_ends_visibly() {
    for (case, upstream, path) in cases("streams") {
        let body = fs::read(&path).unwrap();
        for client in Dialect::ALL.into_iter().filter(|client| *client != upstream) {
            let (whole, ended) = converted(reply(client, upstream).stream(), &[&body]);
            for at in 0..body.len() {
                let (out, cut) = converted(reply(client, upstream).stream(), &[&body[..at]]);
                let reason = ["\"finish_reason\":\"", "\"finishReason\":"]
                    .iter()
                    .any(|reason| memchr::memmem::find(&body[..at], reason.as_bytes()).is_some());
                if cut == Ended::Whole {
                    // Two dialects say that an answer has ended before they say what it used, and their servers end
                    // their streams without more.
                    let fine = ended == Ended::Whole && (out == whole || reason);
                    assert!(fine, "{case} for {client}, cut at {at}");
                } else {
                    let text = String::from_utf8(out).unwrap();
                    assert!(text.contains("\"error\""), "{case} for {client}, cut at {at}: {text}");
                }
            }
        }
    }
}

#[test]
fn each_event_is_passed_on_at_once() {
    let mut stream = reply(Dialect::OpenaiChat, Dialect::AnthropicMessages).stream();
    let mut out = Vec::new();
    let mut said = |event: &str| {
        out.clear();
        stream.push(format!("data: {event}\n\n").as_bytes(), &mut out);
        String::from_utf8(out.clone()).unwrap()
    };
    assert!(
        said(r#"{"type":"message_start","message":{"id":"msg_1","model":"c","usage":{}}}"#).contains("role")
    );
    said(r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#);
    let delta = said(r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#);
    assert!(delta.contains(r#""delta":{"content":"a"}"#), "{delta}");
}

#[test]
fn an_upstreams_error_within_the_stream_is_told_in_the_clients_words() {
    let start =
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
    let error = "data: {\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_exceeded\"}}\n\n";
    let (out, ended) = converted(
        reply(Dialect::AnthropicMessages, Dialect::OpenaiChat).stream(),
        &[start.as_bytes(), error.as_bytes()],
    );
    assert_eq!(ended, Ended::Broken);
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains(
            "event: error\ndata: {\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\""
        ),
        "{text}"
    );
    let (out, _) = converted(
        reply(Dialect::OpenaiResponses, Dialect::OpenaiChat).stream(),
        &[start.as_bytes(), error.as_bytes()],
    );
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("event: response.failed") && text.contains("rate_limit_exceeded"), "{text}");
}

#[test]
fn the_relay_can_break_a_stream_off_once() {
    for client in Dialect::ALL.into_iter().filter(|client| *client != Dialect::AnthropicMessages) {
        let mut stream = reply(client, Dialect::AnthropicMessages).stream();
        let (mut out, problem) = (Vec::new(), Problem::new(Kind::Timeout, "silent", "req_1"));
        stream.broke_off(&problem, &mut out);
        assert!(String::from_utf8(out.clone()).unwrap().contains("silent"));
        let length = out.len();
        stream.broke_off(&problem, &mut out);
        assert_eq!(stream.finish(&mut out), Ended::Broken);
        assert_eq!(out.len(), length);
    }
}

#[test]
fn usage_comes_in_its_own_chunk_and_only_when_asked_for() {
    let body = |options: &str| {
        format!(r#"{{"model":"m","stream":true,{options}"messages":[{{"role":"user","content":"a"}}]}}"#)
    };
    let upstream = b"data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"c\",\"usage\":{\"input_tokens\":3}}}\n\n\
        data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n\
        data: {\"type\":\"message_stop\"}\n\n";
    let run = |options: &str| {
        let converted = convert(
            Dialect::OpenaiChat,
            Dialect::AnthropicMessages,
            "claude-opus-5-5",
            body(options).as_bytes(),
        );
        String::from_utf8(self::converted(converted.unwrap().reply.stream(), &[upstream]).0).unwrap()
    };
    assert!(!run("").contains("usage"));
    let asked = run(r#""stream_options":{"include_usage":true},"#);
    assert!(
        asked.contains(r#""choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5"#),
        "{asked}"
    );
    assert!(asked.ends_with("data: [DONE]\n\n"));
}

#[test]
fn geminis_stream_can_be_one_array() {
    let mut way = reply(Dialect::Gemini, Dialect::OpenaiChat);
    way.array = true;
    let stream = way.stream();
    assert_eq!(stream.content_type(), "application/json");
    let upstream =
        b"data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n\
        data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let (out, ended) = converted(stream, &[upstream]);
    assert_eq!(ended, Ended::Whole);
    let array: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(array[0]["candidates"][0]["content"]["parts"][0]["text"], "a");
    assert_eq!(array[1]["candidates"][0]["finishReason"], "STOP");
}
