use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;
use crate::json::{Fault, tests::document};

const A: Dialect = Dialect::AnthropicMessages;

fn found(body: &str) -> Peek {
    peek(A, body.as_bytes()).unwrap()
}

fn refused(body: &str) -> PeekError {
    peek(A, body.as_bytes()).unwrap_err()
}

fn digest(parts: &[&[u8]]) -> Option<[u8; 32]> {
    Some(parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into())
}

fn of(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[test]
fn what_claude_code_sends() {
    let body = json!({
        "model": "claude-opus-5-5",
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "one"},
                {"type": "text", "text": "two", "cache_control": {"type": "ephemeral"}}]},
            {"role": "system", "content": "environment", "output_config": {"effort": "high"}},
        ],
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.329.abc;"},
            {"type": "text", "cache_control": {"type": "ephemeral", "ttl": "1h"}, "text": "You are"},
        ],
        "tools": [{"name": "Bash", "input_schema": {"model": 1, "stream": "x"}}],
        "metadata": {"user_id": "{\"session_id\":\"s\"}"},
        "max_tokens": 64000,
        "thinking": {"type": "adaptive"},
        "stream": true,
    })
    .to_string();
    let peek = found(&body);
    assert_eq!(peek.model.as_deref(), Some("claude-opus-5-5"));
    assert_eq!(&body[peek.model_span.clone().unwrap()], "\"claude-opus-5-5\"");
    assert_eq!((peek.stream, peek.max_output), (Some(true), Some(64000)));
    assert_eq!(peek.user_id.as_deref(), Some("{\"session_id\":\"s\"}"));
    assert_eq!((peek.has_messages, peek.messages, peek.has_tools), (true, 2, true));
    let first = digest(&[&of("one"), &of("two")]).unwrap();
    assert_eq!(peek.anchors.first_message, Some(first));
    let billing = of("x-anthropic-billing-header: cc_version=2.1.329.abc;");
    assert_eq!(peek.anchors.system, digest(&[&billing, &of("You are")]));
    assert_eq!(peek.anchors.cached, digest(&[&of("You are"), &first]));
    assert_eq!(peek.bytes, body.len() as u64);
}

#[test]
fn a_repeated_top_level_key_is_refused_also_with_escapes() {
    let repeated = |key| PeekError::RepeatedKey { key, at: 0 };
    for (body, key) in [
        (r#"{"model":"a","model":"b"}"#, Some("model")),
        (r#"{"model":"a","m\u006fdel":"b"}"#, Some("model")),
        (r#"{"\u006dodel":"a","model":"b"}"#, Some("model")),
        (r#"{"stream":true,"x":1,"str\u0065am":false}"#, Some("stream")),
        (r#"{"x":1,"y":2,"x":3}"#, None),
        (r#"{"":1,"":3}"#, None),
        (r#"{"\u00e9":1,"é":3}"#, None),
        (r#"{"metadata":{"user_id":"a","user_id":"b"}}"#, Some("metadata.user_id")),
    ] {
        let PeekError::RepeatedKey { key: found, .. } = refused(body) else { panic!("{body}") };
        assert_eq!(repeated(found), repeated(key), "{body}");
    }
    assert!(
        peek(A, br#"{"a":{"model":1,"model":2},"model":"m"}"#).is_ok(),
        "further in it is the upstream's matter"
    );
}

#[test]
fn a_known_key_in_another_case_is_refused() {
    assert_eq!(refused(r#"{"Model":"a"}"#), PeekError::AmbiguousKey { key: "model", at: 1 });
    assert!(matches!(
        refused(r#"{"model":"a","STREAM":true}"#),
        PeekError::AmbiguousKey { key: "stream", .. }
    ));
}

#[test]
fn wrong_types_are_named() {
    for (body, field) in [
        (r#"{"model":1}"#, "model"),
        (r#"{"model":null}"#, "model"),
        (r#"{"model":["a"]}"#, "model"),
        (r#"{"model":"\ud800"}"#, "model"),
        (r#"{"stream":"true"}"#, "stream"),
        (r#"{"stream":1}"#, "stream"),
        (r#"{"max_tokens":"1"}"#, "max_tokens"),
        (r#"{"max_tokens":-1}"#, "max_tokens"),
        (r#"{"max_tokens":1.5}"#, "max_tokens"),
        (r#"{"messages":{}}"#, "messages"),
        (r#"{"messages":"hi"}"#, "messages"),
        (r#"{"metadata":[]}"#, "metadata"),
        (r#"{"metadata":{"user_id":7}}"#, "metadata.user_id"),
        (r#"{"system":{}}"#, "system"),
        (r#"{"tools":{}}"#, "tools"),
    ] {
        let PeekError::WrongType { field: named, .. } = refused(body) else { panic!("{body}") };
        assert_eq!(named, field, "{body}");
    }
    assert_eq!(found(r#"{"max_tokens":1e3}"#).max_output, Some(1000));
    assert_eq!(found(r#"{"stream":null,"metadata":null,"system":null,"tools":null}"#).stream, None);
    for body in ["[]", "1", "\"a\"", "null"] {
        assert_eq!(refused(body), PeekError::NotAnObject);
    }
}

#[test]
fn what_is_malformed_is_refused_with_its_place() {
    let PeekError::Malformed(malformed) = refused(r#"{"model":"a","#) else { panic!() };
    assert_eq!((malformed.fault, malformed.at), (Fault::Truncated, 13));
    assert_eq!(
        refused("{\"model\":\"a\"} {").to_string(),
        "the request body is not valid JSON: trailing characters at byte 14"
    );
}

#[test]
fn nothing_endless_is_kept() {
    let long = "a".repeat(5000);
    let long_model = refused(&format!(r#"{{"model":"{long}"}}"#));
    assert_eq!(long_model, PeekError::TooLong { field: Some("model"), at: 9 });
    assert!(matches!(refused(&format!(r#"{{"{long}":1}}"#)), PeekError::TooLong { field: None, .. }));
    let many: Vec<String> = (0..600).map(|n| format!("\"k{n}\":{n}")).collect();
    assert_eq!(refused(&format!("{{{}}}", many.join(","))), PeekError::TooManyKeys);
}

#[test]
fn files_are_not_counted_as_text() {
    let picture = "iVBORw0KGgo".repeat(20_000);
    let body = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "what is this? ".repeat(100)},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": picture}}]}]})
    .to_string();
    for size in [1500, 64 * 1024, usize::MAX] {
        let mut scanner = Scanner::new(A);
        body.as_bytes().chunks(size).for_each(|piece| scanner.push(piece).unwrap());
        let peek = scanner.finish().unwrap();
        assert_eq!(peek.files, 1);
        assert!((1400..4400).contains(&peek.text_bytes), "{} in pieces of {size}", peek.text_bytes);
        assert!((1900..2800).contains(&peek.input_tokens()));
    }
}

#[test]
fn without_anchors_no_text_is_digested() {
    let body = br#"{"model":"m","system":"s","messages":[{"content":"hi"}]}"#;
    let mut scanner = Scanner::new(A).without_anchors();
    scanner.push(body).unwrap();
    let peek = scanner.finish().unwrap();
    assert_eq!(peek.anchors, Anchors::default());
    assert!(peek.has_messages && peek.model.is_some());
}

#[test]
fn the_other_dialects_own_fields() {
    let responses =
        br#"{"model":"gpt","input":"hi","max_output_tokens":5,"prompt_cache_key":"k","instructions":"i"}"#;
    let found = peek(Dialect::OpenaiResponses, responses).unwrap();
    assert_eq!((found.max_output, found.prompt_cache_key.as_deref()), (Some(5), Some("k")));
    assert!(found.has_messages && found.anchors.system.is_some());
    let chat = br#"{"max_tokens":5,"max_completion_tokens":9,"user":"u","messages":[]}"#;
    let found = peek(Dialect::OpenaiChat, chat).unwrap();
    assert_eq!((found.max_output, found.user_id.as_deref(), found.messages), (Some(9), Some("u"), 0));
    assert!(peek(Dialect::Gemini, br#"{"contents":[{}],"model":7}"#).unwrap().has_messages);
}

fn body() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        Just("hi"),
        Just(""),
        Just("a\\n\\u00e9"),
        Just("long text, very long indeed, over eight")
    ];
    let cache = prop_oneof![Just(""), Just(",\"cache_control\":{\"type\":\"ephemeral\"}")];
    let block = (text.clone(), cache)
        .prop_map(|(text, cache)| format!("{{\"type\":\"text\",\"text\":\"{text}\"{cache}}}"));
    let content = prop_oneof![
        text.prop_map(|text| format!("\"{text}\"")),
        proptest::collection::vec(block.clone(), 0..3).prop_map(|blocks| format!("[{}]", blocks.join(","))),
    ];
    let messages = proptest::collection::vec(
        content.clone().prop_map(|c| format!("{{\"role\":\"user\",\"content\":{c}}}")),
        0..3,
    );
    (messages, content, document(), any::<bool>(), 0..5_u32).prop_map(|(messages, system, other, stream, max)| {
        format!(
            "{{\"max_tokens\":{max}, \"other\":{other},\"messages\":[{}],\n\"system\":{system},\"model\":\"m\\u0041\",\"stream\":{stream}}}",
            messages.join(",")
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_split_finds_the_same_and_it_is_what_serde_finds(body in body()) {
        let whole = found(&body);
        let value: Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(whole.model.as_deref(), value["model"].as_str());
        prop_assert_eq!(whole.stream, value["stream"].as_bool());
        prop_assert_eq!(whole.max_output, value["max_tokens"].as_u64());
        prop_assert_eq!(whole.messages as usize, value["messages"].as_array().unwrap().len());
        prop_assert_eq!(&body[whole.model_span.clone().unwrap()], "\"m\\u0041\"");
        for cut in 0..=body.len() {
            let mut scanner = Scanner::new(A);
            scanner.push(&body.as_bytes()[..cut]).unwrap();
            scanner.push(&body.as_bytes()[cut..]).unwrap();
            prop_assert_eq!(&scanner.finish().unwrap(), &whole);
        }
        let mut scanner = Scanner::new(A);
        body.as_bytes().chunks(1).for_each(|byte| scanner.push(byte).unwrap());
        prop_assert_eq!(&scanner.finish().unwrap(), &whole);
    }

    #[test]
    fn no_bytes_make_it_panic(body in body(), at in any::<prop::sample::Index>(), with in proptest::collection::vec(any::<u8>(), 0..4)) {
        let mut bytes = body.into_bytes();
        let at = at.index(bytes.len());
        bytes.splice(at..at, with);
        for dialect in Dialect::ALL {
            let _ = peek(dialect, &bytes);
        }
    }
}

#[test]
fn gemini_in_both_spellings_and_within_its_own_api() {
    for body in [
        r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":7},"tools":[{}]}"#,
        r#"{"contents":[{"parts":[{"text":"hi"}]}],"generation_config":{"max_output_tokens":7},"tools":[{}]}"#,
        r#"{"model":"m","project":"p","request":{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":7},"tools":[{}]}}"#,
    ] {
        let found = peek(Dialect::Gemini, body.as_bytes()).unwrap();
        assert_eq!((found.messages, found.max_output, found.has_tools), (1, Some(7), true), "{body}");
        assert!(found.has_messages && found.anchors.first_message.is_some(), "{body}");
    }
    let twice = br#"{"contents":[],"\u0063ontents":[]}"#;
    assert!(matches!(peek(Dialect::Gemini, twice), Err(PeekError::RepeatedKey { .. })));
}

#[test]
fn responses_take_a_text_or_items_and_name_what_they_build_on() {
    let found = peek(
        Dialect::OpenaiResponses,
        br#"{"model":"gpt-5.4","input":"hi","previous_response_id":"resp_1","store":false,"max_output_tokens":9}"#,
    );
    let found = found.unwrap();
    assert_eq!((found.messages, found.has_messages, found.max_output), (1, true, Some(9)));
    assert_eq!(found.kept_state, Some(("previous_response_id", "resp_1".into())));
    assert_eq!(found.store, Some(false));
    let items = br#"{"input":[{"role":"developer","content":"d"},{"role":"user","content":[{"type":"input_text","text":"t"}]}]}"#;
    let found = peek(Dialect::OpenaiResponses, items).unwrap();
    assert_eq!(found.messages, 2);
    assert!(found.anchors.system.is_some() && found.anchors.first_message.is_some());
}
