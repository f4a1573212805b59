//! Nothing that comes from outside makes a reader or a stream panic, whatever it is.

use std::fs;

use dialects::Dialect;
use proptest::prelude::*;

use super::{convert, golden::cases, reply};

/// Tries a request on every dialect.
fn requested(body: &[u8]) {
    for from in Dialect::ALL {
        for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
            for model in ["claude-sonnet-4-5", "gpt-5", "gemini-3-pro", ""] {
                if let Ok(converted) = convert(from, to, model, body) {
                    serde_json::from_slice::<serde_json::Value>(&converted.body).unwrap();
                }
            }
        }
    }
}

fn answered(body: &[u8], step: usize) {
    for upstream in Dialect::ALL {
        for client in Dialect::ALL.into_iter().filter(|client| *client != upstream) {
            let (Ok(out) | Err((_, out))) = reply(client, upstream).answer(body);
            serde_json::from_slice::<serde_json::Value>(&out).unwrap();
            let (mut stream, mut out) = (reply(client, upstream).stream(), Vec::new());
            body.chunks(step.max(1)).for_each(|piece| stream.push(piece, &mut out));
            stream.finish(&mut out);
            std::str::from_utf8(&out).unwrap();
        }
    }
}

/// Any JSON, with keys and words that readers look for.
fn json(words: &'static [&'static str]) -> impl Strategy<Value = serde_json::Value> {
    let word = prop::sample::select(words);
    let leaf = prop_oneof![
        word.clone().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|pairs| {
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            }),
        ]
    })
}

const WORDS: &[&str] = &[
    "messages",
    "role",
    "content",
    "user",
    "assistant",
    "system",
    "tool",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "input",
    "type",
    "text",
    "message",
    "function_call",
    "call_id",
    "output",
    "reasoning",
    "summary",
    "contents",
    "parts",
    "functionCall",
    "functionResponse",
    "response",
    "args",
    "thoughtSignature",
    "thinking",
    "signature",
    "tool_use",
    "tool_result",
    "image",
    "source",
    "data:image/png;base64,AA",
    "image_url",
    "url",
    "tools",
    "tool_choice",
    "candidates",
    "choices",
    "delta",
    "finish_reason",
    "finishReason",
    "STOP",
    "stop_reason",
    "usage",
    "input_tokens",
    "usageMetadata",
    "content_block_start",
    "content_block_delta",
    "content_block",
    "message_start",
    "message_delta",
    "index",
    "id",
    "{}",
    "response.output_text.delta",
    "response.completed",
    "response.output_item.added",
    "item",
    "output_index",
    "error",
    "custom",
    "namespace",
    "schema",
    "json_schema",
    "response_format",
    "generationConfig",
    "thinkingConfig",
    "stop",
    "max_tokens",
    "temperature",
    "crs1.g.x.y",
    "encrypted_content",
    "",
];

proptest! {
    #[test]
    fn on_any_json(value in json(WORDS)) {
        requested(value.to_string().as_bytes());
        answered(value.to_string().as_bytes(), 7);
        answered(format!("data: {value}\n\ndata: {value}\n\n").as_bytes(), 5);
    }

    #[test]
    fn on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), step in 1_usize..40) {
        requested(&bytes);
        answered(&bytes, step);
    }

    /// What is nearly right goes deeper than what is quite wrong.
    #[test]
    fn on_what_is_nearly_right(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut: bool) {
        for name in ["requests", "answers", "streams"] {
            let cases = cases(name);
            let mut body = fs::read(&cases[which.index(cases.len())].2).unwrap();
            let at = at.index(body.len());
            if cut { body.truncate(at) } else { body[at] = byte };
            if name == "requests" { requested(&body) } else { answered(&body, 64) }
        }
    }
}
