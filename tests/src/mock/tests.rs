//! The mock against the raw client: what it serves when all is well, and each misbehaviour.

use std::{io::Read as _, time::Duration};

use serde_json::{Value, json};

use super::*;
use crate::wire::{self, Conn, Reply};

const HEADERS: [(&str, &str); 3] =
    [("x-api-key", "sk-good"), ("anthropic-version", "2023-06-01"), ("content-type", "application/json")];

async fn mock() -> Mock {
    Mock::start(Options { keys: vec!["sk-good".into()], ..Options::default() }).await.unwrap()
}

fn body(text: &str, stream: bool) -> Vec<u8> {
    let message = json!({"role": "user", "content": text});
    json!({"model": "claude-sonnet-4-5", "max_tokens": 50, "stream": stream, "messages": [message]})
        .to_string()
        .into_bytes()
}

async fn ask(mock: &Mock, text: &str, stream: bool) -> Reply {
    wire::call(mock.address, "POST", "/v1/messages", &HEADERS, &body(text, stream)).await.unwrap()
}

async fn with(mock: &Mock, behaviour: Behaviour, stream: bool) -> Reply {
    mock.scenarios().name("s", behaviour);
    ask(mock, "hello [mock:s]", stream).await
}

fn names(reply: &Reply) -> Vec<String> {
    let text = reply.text();
    text.lines().filter_map(|line| line.strip_prefix("event: ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_whole_answer_and_its_entry() {
    let mock = mock().await;
    let reply = ask(&mock, "hello [mock::tag-1]", false).await;
    assert_eq!((reply.status, reply.complete), (200, true));
    let entry = &mock.ledger().tagged("tag-1")[0];
    let counted = entry.counted.unwrap();
    assert_eq!(reply.json()["usage"]["input_tokens"], counted.input);
    assert_eq!(reply.json()["usage"]["output_tokens"], counted.output);
    assert_eq!(reply.header("request-id"), Some(entry.request_id.as_str()));
    assert_eq!(entry.body_sha256, hex::encode(count::digest(&body("hello [mock::tag-1]", false))));
    assert_eq!(entry.answer_sha256, hex::encode(count::digest(&reply.body)));
    assert!(entry.finished && !entry.client_left);
}

#[tokio::test]
async fn a_stream_has_the_events_in_order() {
    let mock = mock().await;
    let reply = ask(&mock, "hello", true).await;
    let names = names(&reply);
    assert_eq!(names[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(names[names.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    assert_eq!(names.iter().filter(|name| *name == "content_block_delta").count(), 8);
    assert!(reply.pieces.len() >= 5, "{:?}", reply.pieces.len());
}

#[tokio::test]
async fn tools_are_used_when_asked_for() {
    let mock = mock().await;
    let tool = json!({"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}});
    let message = json!({"role": "user", "content": "use the tool get_weather"});
    let request = json!({"model": "m", "max_tokens": 50, "tools": [tool], "messages": [message]});
    let reply = wire::call(mock.address, "POST", "/v1/messages", &HEADERS, request.to_string().as_bytes())
        .await
        .unwrap();
    assert_eq!(reply.json()["stop_reason"], "tool_use");
    assert_eq!(reply.json()["content"][1]["input"], json!({"city": "Paris"}));
}

#[tokio::test]
async fn refuses_what_the_api_refuses() {
    let mock = mock().await;
    let call = async |path: &str, headers: &[(&str, &str)], body: &str| {
        let reply = wire::call(mock.address, "POST", path, headers, body.as_bytes()).await.unwrap();
        (reply.status, reply.json()["error"]["type"].as_str().unwrap_or_default().to_owned())
    };
    let bad_key = [("x-api-key", "sk-bad"), HEADERS[1]];
    assert_eq!(call("/v1/messages", &bad_key, "{}").await, (401, "authentication_error".into()));
    assert_eq!(call("/v1/messages", &HEADERS[..1], "{}").await, (400, "invalid_request_error".into()));
    assert_eq!(call("/v1/messages", &HEADERS, "{").await, (400, "invalid_request_error".into()));
    assert_eq!(call("/v1/nothing", &HEADERS, "{}").await, (404, "not_found_error".into()));
    let bearer = [("authorization", "Bearer sk-good"), HEADERS[1]];
    let counted = r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#;
    assert_eq!(call("/v1/messages/count_tokens", &bearer, counted).await.0, 200);
}

#[tokio::test]
async fn compressed_answers_can_be_read() {
    let mock = mock().await;
    let expected = names(&ask(&mock, "hello", true).await);
    for encoding in [Encoding::Gzip, Encoding::Br, Encoding::Zstd] {
        let mut reply =
            with(&mock, Behaviour { encoding: Some(encoding), ..Behaviour::default() }, true).await;
        let mut plain = Vec::new();
        match encoding {
            Encoding::Gzip => flate2::read::GzDecoder::new(&reply.body[..]).read_to_end(&mut plain).unwrap(),
            Encoding::Br => brotli::Decompressor::new(&reply.body[..], 4096).read_to_end(&mut plain).unwrap(),
            Encoding::Zstd => zstd::Decoder::new(&reply.body[..]).unwrap().read_to_end(&mut plain).unwrap(),
        };
        reply.body = plain;
        assert_eq!(names(&reply), expected, "{encoding:?}");
    }
}

#[tokio::test]
async fn usage_is_told_as_it_is_told_to() {
    let mock = mock().await;
    let told = async |usage: UsageQuirk| {
        let reply = with(&mock, Behaviour { usage, ..Behaviour::default() }, true).await;
        let text = reply.text();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let values: Vec<Value> = data.map(|data| serde_json::from_str(data).unwrap()).collect();
        let start = values[0]["message"]["usage"]["input_tokens"].clone();
        let deltas: Vec<Value> = values
            .iter()
            .filter(|value| value["type"] == "message_delta")
            .map(|value| value["usage"].clone())
            .collect();
        (start, deltas)
    };
    assert!(told(UsageQuirk::Right).await.0.is_i64());
    assert!(told(UsageQuirk::LastOnly).await.0.is_null());
    assert!(told(UsageQuirk::LastOnly).await.1[0]["input_tokens"].is_i64());
    assert_eq!(told(UsageQuirk::Twice).await.1.len(), 2);
    assert_eq!(told(UsageQuirk::Never).await, (Value::Null, vec![Value::Null]));
    assert!(told(UsageQuirk::Negative).await.0.as_i64().unwrap() < 0);
    assert!(told(UsageQuirk::Text).await.0.is_string());
}

#[tokio::test]
async fn streams_break_as_they_are_told_to() {
    let mock = mock().await;
    let at = |at| Fault::ErrorEvent { at, error_type: "overloaded_error".into() };
    assert_eq!(names(&with(&mock, scenario::fault(at(1)), true).await), ["error"]);
    let tenth = names(&with(&mock, scenario::fault(at(10)), true).await);
    assert_eq!((tenth.len(), tenth.last().unwrap().as_str()), (10, "error"));
    let empty = with(&mock, scenario::fault(Fault::EmptyStream), true).await;
    assert!(empty.complete && empty.body.is_empty());
    let no_stop = names(&with(&mock, scenario::fault(Fault::MissingStop), true).await);
    assert_eq!(no_stop.last().unwrap(), "message_delta");
    let huge = with(&mock, scenario::fault(Fault::HugeEvent { bytes: 300_000 }), true).await;
    assert!(huge.body.len() > 300_000);
    let broken = with(&mock, scenario::fault(Fault::InvalidUtf8), true).await;
    assert!(std::str::from_utf8(&broken.body).is_err());
    let closed = with(&mock, scenario::fault(Fault::CloseAfter { events: 4 }), true).await;
    assert!(!closed.complete && names(&closed).len() == 4);
    let reset = with(&mock, scenario::fault(Fault::ResetAfter { events: 4 }), true).await;
    assert!(!reset.complete);
    let long = with(&mock, scenario::fault(Fault::WrongLength { by: 10 }), false).await;
    assert!(!long.complete && long.status == 200);
}

#[tokio::test]
async fn a_client_that_leaves_is_seen() {
    let mock = mock().await;
    mock.scenarios().name("slow", Behaviour { interval_ms: 30, deltas: 200, ..Behaviour::default() });
    let mut conn = Conn::connect(mock.address).await.unwrap();
    let bytes = wire::request("POST", "/v1/messages", &HEADERS, &body("[mock:slow:t]", true));
    conn.send(&bytes).await.unwrap();
    let head = conn.head().await.unwrap().unwrap();
    let mut framing = head.framing().unwrap();
    conn.piece(&mut framing).await.unwrap().unwrap();
    drop(conn);
    let left = async {
        while !mock.ledger().tagged("t")[0].client_left {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), left).await.unwrap();
}

#[tokio::test]
async fn other_processes_can_set_and_read() {
    let mock = mock().await;
    let scenario = json!({"steps": [{"status": 529}], "once": true}).to_string();
    let set = wire::call(mock.address, "PUT", "/_mock/keys/sk-good", &[], scenario.as_bytes()).await.unwrap();
    assert_eq!(set.status, 200);
    assert_eq!(ask(&mock, "a", false).await.status, 529);
    assert_eq!(ask(&mock, "b", false).await.status, 200);
    let book = wire::call(mock.address, "GET", "/_mock/ledger?after=1", &[], b"").await.unwrap();
    assert_eq!(book.json().as_array().unwrap().len(), 1);
    let wrong = wire::call(mock.address, "PUT", "/_mock/keys/k", &[], br#"{"stauts":1}"#).await.unwrap();
    assert_eq!(wrong.status, 400);
}
