//! Anthropic's Messages: what a request asks, and the answer to it, misbehaving as told.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Block, Question, Stop},
    count,
    faults::{self, Odd},
    ledger::Counted,
    scenario::{Behaviour, UsageQuirk},
};

/// One event's bytes.
pub fn event(name: &str, data: &Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// What a request asks.
pub fn question(request: &Value) -> Question {
    let choice = &request["tool_choice"];
    let tool = |tool: &Value| Some((tool["name"].as_str()?.to_owned(), tool["input_schema"].clone()));
    Question {
        model: request["model"].as_str().unwrap_or_default().to_owned(),
        tools: request["tools"].as_array().into_iter().flatten().filter_map(tool).collect(),
        forced: match choice["type"].as_str() {
            Some("any") => Some(String::new()),
            Some("tool") => choice["name"].as_str().map(str::to_owned),
            _ => None,
        },
        no_tool: choice["type"] == "none",
        said: last_user_text(request),
        thinks: request["thinking"]["type"] == "enabled",
        schema: None,
    }
}

/// The last message's text where it is the user's; a tool's result is no text.
fn last_user_text(request: &Value) -> Option<String> {
    let user = |message: &&Value| message["role"] == "user";
    let last = request["messages"].as_array()?.iter().rev().find(user)?;
    if let Some(text) = last["content"].as_str() {
        return Some(text.to_owned());
    }
    let blocks = last["content"].as_array()?;
    if blocks.iter().any(|block| block["type"] == "tool_result") {
        return None;
    }
    Some(blocks.iter().filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n"))
}

/// The usage object with its quirk; `Null`: none is told.
pub fn told(counted: &Counted, quirk: UsageQuirk) -> Value {
    faults::told(count::usage(counted), quirk)
}

/// The whole answer as JSON, with the usage object as it is to be told.
pub fn whole(answer: &Answer, usage: &Value) -> Value {
    let mut message = json!({
        "id": format!("msg_{}", answer.id),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": answer.blocks.iter().map(block).collect::<Vec<_>>(),
        "stop_reason": stop_reason(answer),
        "stop_sequence": null,
    });
    if !usage.is_null() {
        message["usage"] = usage.clone();
    }
    message
}

fn stop_reason(answer: &Answer) -> &'static str {
    if answer.stop == Stop::Tool { "tool_use" } else { "end_turn" }
}

/// A block as a whole answer has it.
fn block(block: &Block) -> Value {
    match block {
        Block::Thinking(pieces, signature) => {
            json!({"type": "thinking", "thinking": pieces.concat(), "signature": signature})
        }
        Block::Text(pieces) => json!({"type": "text", "text": pieces.concat()}),
        Block::ToolUse(id, name, pieces) => {
            let input: Value = serde_json::from_str(&pieces.concat()).unwrap_or_default();
            json!({"type": "tool_use", "id": format!("toolu_{id}"), "name": name, "input": input})
        }
    }
}

/// The body of an error.
pub fn error_body(status: u16, kind: &str, message: &str, request_id: &str) -> Vec<u8> {
    let usual = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    let error = json!({"type": if kind.is_empty() { usual } else { kind }, "message": message});
    json!({"type": "error", "error": error, "request_id": request_id}).to_string().into_bytes()
}

/// The list of models.
pub fn models() -> Value {
    let model = |id: &str, name: &str| json!({"type": "model", "id": id, "display_name": name, "created_at": "2026-01-01T00:00:00Z"});
    let data = [
        model("claude-opus-4-5-20251101", "Claude Opus 4.5"),
        model("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5"),
        model("claude-haiku-4-5-20251001", "Claude Haiku 4.5"),
    ];
    json!({"data": data, "has_more": false, "first_id": data[0]["id"], "last_id": data[2]["id"]})
}

/// The events of an answer, in order.
pub fn stream(answer: &Answer, behaviour: &Behaviour) -> Vec<Bytes> {
    let mut events = vec![start(answer, behaviour.usage)];
    for (index, block) in answer.blocks.iter().enumerate() {
        push_block(&mut events, index, block);
        if index == 0 {
            events.insert(2, event("ping", &json!({"type": "ping"})));
        }
    }
    push_end(&mut events, answer, behaviour.usage);
    faults::apply(
        events,
        behaviour,
        &Odd {
            error: &|kind| {
                let error = json!({"type": "error", "error": {"type": kind, "message": "Overloaded"}});
                event("error", &error)
            },
            broken: b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
            \"delta\":{\"type\":\"text_delta\",\"text\":\"\xff\xfe\x80 \"}}\n\n",
            ends: 1,
        },
    )
}

fn start(answer: &Answer, quirk: UsageQuirk) -> Bytes {
    let first = Counted { output: 1, ..answer.counted };
    let usage = if quirk == UsageQuirk::LastOnly { Value::Null } else { told(&first, quirk) };
    let mut message = json!({
        "id": format!("msg_{}", answer.id), "type": "message", "role": "assistant", "model": answer.model,
        "content": [], "stop_reason": null, "stop_sequence": null,
    });
    if !usage.is_null() {
        message["usage"] = usage;
    }
    event("message_start", &json!({"type": "message_start", "message": message}))
}

fn push_block(events: &mut Vec<Bytes>, index: usize, block: &Block) {
    let begin = match block {
        Block::Thinking(..) => json!({"type": "thinking", "thinking": "", "signature": ""}),
        Block::Text(_) => json!({"type": "text", "text": ""}),
        Block::ToolUse(id, name, _) => {
            json!({"type": "tool_use", "id": format!("toolu_{id}"), "name": name, "input": {}})
        }
    };
    let begin = json!({"type": "content_block_start", "index": index, "content_block": begin});
    events.push(event("content_block_start", &begin));
    let mut delta = |delta: Value| {
        let data = json!({"type": "content_block_delta", "index": index, "delta": delta});
        events.push(event("content_block_delta", &data));
    };
    match block {
        Block::Thinking(pieces, signature) => {
            pieces.iter().for_each(|piece| delta(json!({"type": "thinking_delta", "thinking": piece})));
            delta(json!({"type": "signature_delta", "signature": signature}));
        }
        Block::Text(pieces) => {
            pieces.iter().for_each(|piece| delta(json!({"type": "text_delta", "text": piece})));
        }
        Block::ToolUse(_, _, pieces) => {
            pieces.iter().for_each(|piece| delta(json!({"type": "input_json_delta", "partial_json": piece})));
        }
    }
    let end = json!({"type": "content_block_stop", "index": index});
    events.push(event("content_block_stop", &end));
}

fn push_end(events: &mut Vec<Bytes>, answer: &Answer, quirk: UsageQuirk) {
    let usage = match quirk {
        UsageQuirk::LastOnly => told(&answer.counted, quirk),
        UsageQuirk::Never => Value::Null,
        _ => json!({"output_tokens": told(&answer.counted, quirk)["output_tokens"]}),
    };
    let mut delta = json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(answer), "stop_sequence": null},
    });
    if quirk == UsageQuirk::Twice {
        let mut early = delta.clone();
        early["delta"]["stop_reason"] = Value::Null;
        early["usage"] = json!({"output_tokens": answer.counted.output / 2});
        events.push(event("message_delta", &early));
    }
    if !usage.is_null() {
        delta["usage"] = usage;
    }
    events.push(event("message_delta", &delta));
    events.push(event("message_stop", &json!({"type": "message_stop"})));
}
