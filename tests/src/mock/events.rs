//! An answer as server-sent events, misbehaving as told.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Block},
    count,
    ledger::Counted,
    scenario::{Behaviour, Fault, UsageQuirk},
};

/// One event's bytes.
pub fn event(name: &str, data: &Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// The usage object with its quirk; `Null`: none is told.
pub fn told(counted: &Counted, quirk: UsageQuirk) -> Value {
    let mut usage = count::usage(counted);
    let change = |value: &mut Value, to: &dyn Fn(i64) -> Value| {
        if let Some(fields) = value.as_object_mut() {
            for field in fields.values_mut() {
                if let Some(number) = field.as_i64() {
                    *field = to(number);
                }
            }
        }
    };
    match quirk {
        UsageQuirk::Never => return Value::Null,
        UsageQuirk::Negative => change(&mut usage, &|number| json!(-number - 1)),
        UsageQuirk::Text => change(&mut usage, &|number| json!(number.to_string())),
        UsageQuirk::Right | UsageQuirk::LastOnly | UsageQuirk::Twice => {}
    }
    usage
}

/// The events of an answer, in order.
pub fn stream(answer: &Answer, behaviour: &Behaviour) -> Vec<Bytes> {
    if !behaviour.raw_events.is_empty() {
        return behaviour.raw_events.iter().map(|event| Bytes::from(event.clone())).collect();
    }
    let mut events = vec![start(answer, behaviour.usage)];
    for (index, block) in answer.blocks.iter().enumerate() {
        push_block(&mut events, index, block);
        if index == 0 {
            events.insert(2, event("ping", &json!({"type": "ping"})));
        }
    }
    push_end(&mut events, answer, behaviour.usage);
    match &behaviour.fault {
        Some(Fault::EmptyStream) => events.clear(),
        Some(Fault::MissingStop) => drop(events.pop()),
        Some(Fault::ErrorEvent { at, error_type }) => {
            events.truncate(at.saturating_sub(1) as usize);
            let error = json!({"type": "error", "error": {"type": error_type, "message": "Overloaded"}});
            events.push(event("error", &error));
        }
        Some(Fault::InvalidUtf8) => {
            let broken = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
                \"delta\":{\"type\":\"text_delta\",\"text\":\"\xff\xfe\x80 \"}}\n\n";
            events.insert(3, Bytes::from_static(broken));
        }
        _ => {}
    }
    if let (false, Some(first)) = (behaviour.leading.is_empty(), events.first_mut()) {
        *first = [behaviour.leading.as_bytes(), first].concat().into();
    }
    events
}

fn start(answer: &Answer, quirk: UsageQuirk) -> Bytes {
    let first = Counted { output: 1, ..answer.counted };
    let usage = if quirk == UsageQuirk::LastOnly { Value::Null } else { told(&first, quirk) };
    let mut message = json!({
        "id": answer.id, "type": "message", "role": "assistant", "model": answer.model,
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
        Block::ToolUse(id, name, _) => json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
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
        "delta": {"stop_reason": answer.stop_reason, "stop_sequence": null},
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
