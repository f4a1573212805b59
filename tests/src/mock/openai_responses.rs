//! OpenAI's Responses, with answers kept for those who build on them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Block, Question},
    faults::{self, Odd},
    ledger::Counted,
    openai_chat::{self, said},
    scenario::{Behaviour, UsageQuirk},
};

/// What a request asks.
pub fn question(request: &Value) -> Question {
    let mut tools = Vec::new();
    collect(&request["tools"], &mut tools);
    for item in request["input"].as_array().into_iter().flatten() {
        collect(&item["tools"], &mut tools);
    }
    let choice = &request["tool_choice"];
    Question {
        model: request["model"].as_str().unwrap_or_default().to_owned(),
        tools,
        forced: match choice.as_str() {
            Some("required") => Some(String::new()),
            _ => choice["name"].as_str().map(str::to_owned),
        },
        no_tool: choice == "none",
        said: match &request["input"] {
            Value::Array(items) => items.last().and_then(said),
            text => text.as_str().map(str::to_owned),
        },
        thinks: !request["reasoning"].is_null(),
        schema: Some(request["text"]["format"]["schema"].clone()).filter(Value::is_object),
    }
}

/// Functions, also those within a name space.
fn collect(tools: &Value, found: &mut Vec<(String, Value)>) {
    for tool in tools.as_array().into_iter().flatten() {
        match (tool["type"].as_str(), tool["name"].as_str()) {
            (Some("function"), Some(name)) => found.push((name.to_owned(), tool["parameters"].clone())),
            _ => collect(&tool["tools"], found),
        }
    }
}

/// The usage object.
pub fn usage(counted: &Counted) -> Value {
    let input = counted.input + counted.cache_read;
    json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": counted.cache_read},
        "output_tokens": counted.output,
        "output_tokens_details": {"reasoning_tokens": counted.reasoning},
        "total_tokens": input + counted.output,
    })
}

/// The id under which an answer is kept.
pub fn id(answer: &Answer) -> String {
    format!("resp_{}", answer.id)
}

/// The whole answer.
pub fn whole(answer: &Answer, request: &Value, behaviour: &Behaviour) -> Value {
    let output = answer.blocks.iter().enumerate().map(|(at, block)| item(answer, at, block, true));
    let usage = faults::told(usage(&answer.counted), behaviour.usage);
    response(answer, request, "completed", output.collect(), usage)
}

/// A shorter conversation.
pub fn compacted(answer: &Answer) -> Value {
    json!({
        "id": id(answer), "object": "response.compaction", "created_at": 1_790_000_000,
        "output": [{"type": "compaction", "id": format!("cmp_{}", answer.id), "encrypted_content": "c2VhbGVk"}],
        "usage": usage(&answer.counted),
    })
}

fn response(answer: &Answer, request: &Value, status: &str, output: Vec<Value>, usage: Value) -> Value {
    json!({
        "id": id(answer), "object": "response", "created_at": 1_790_000_000, "status": status,
        "background": false, "error": null, "incomplete_details": null, "instructions": null,
        "max_output_tokens": null, "model": answer.model, "output": output, "parallel_tool_calls": true,
        "previous_response_id": request["previous_response_id"], "prompt_cache_key": null,
        "reasoning": {"effort": null, "summary": null}, "service_tier": "default",
        "store": request["store"] != false, "temperature": 1.0, "text": {"format": {"type": "text"}},
        "tool_choice": "auto", "tools": [], "top_p": 1.0, "truncation": "disabled", "usage": usage,
        "user": null, "metadata": {},
    })
}

fn item(answer: &Answer, at: usize, block: &Block, done: bool) -> Value {
    let status = if done { "completed" } else { "in_progress" };
    let shown = |pieces: &[String]| if done { pieces.concat() } else { String::new() };
    let id = &answer.id;
    match block {
        Block::Thinking(pieces, _) => {
            let summary = json!([{"type": "summary_text", "text": shown(pieces)}]);
            json!({"id": format!("rs_{id}{at}"), "type": "reasoning", "summary": if done { summary } else { json!([]) }})
        }
        Block::Text(pieces) => {
            let part = json!([part(&shown(pieces))]);
            json!({
                "id": format!("msg_{id}{at}"), "type": "message", "status": status, "role": "assistant",
                "content": if done { part } else { json!([]) },
            })
        }
        Block::ToolUse(call, name, pieces) => json!({
            "id": format!("fc_{id}{at}"), "type": "function_call", "status": status,
            "call_id": format!("call_{call}"), "name": name, "arguments": shown(pieces),
        }),
    }
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// The events of an answer, in order.
pub fn stream(answer: &Answer, request: &Value, behaviour: &Behaviour) -> Vec<Bytes> {
    let mut events = Events::default();
    let open = response(answer, request, "in_progress", Vec::new(), Value::Null);
    events.push("response.created", json!({"response": open}));
    events.push("response.in_progress", json!({"response": open}));
    for (at, block) in answer.blocks.iter().enumerate() {
        let item_id = item(answer, at, block, false)["id"].clone();
        let within = |mut data: Value| {
            data["item_id"] = item_id.clone();
            data["output_index"] = at.into();
            data
        };
        let added = json!({"output_index": at, "item": item(answer, at, block, false)});
        events.push("response.output_item.added", added);
        match block {
            Block::Thinking(..) => {}
            Block::Text(pieces) => events.text(pieces, &within),
            Block::ToolUse(_, _, pieces) => {
                for piece in pieces {
                    events.push("response.function_call_arguments.delta", within(json!({"delta": piece})));
                }
                let all = within(json!({"arguments": pieces.concat()}));
                events.push("response.function_call_arguments.done", all);
            }
        }
        let done = json!({"output_index": at, "item": item(answer, at, block, true)});
        events.push("response.output_item.done", done);
    }
    if behaviour.usage == UsageQuirk::Twice {
        let early = Counted { output: answer.counted.output / 2, ..answer.counted };
        let open = response(answer, request, "in_progress", Vec::new(), usage(&early));
        events.push("response.in_progress", json!({"response": open}));
    }
    events.push("response.completed", json!({"response": whole(answer, request, behaviour)}));
    let error = |kind: &str| {
        let mut failed = response(answer, request, "failed", Vec::new(), Value::Null);
        failed["error"] = json!({"code": kind, "message": "Overloaded"});
        named(
            "response.failed",
            &json!({"type": "response.failed", "sequence_number": 99, "response": failed}),
        )
    };
    let broken = b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"\xff\xfe\x80 \"}\n\n";
    faults::apply(events.0, behaviour, &Odd { error: &error, broken, ends: 1 })
}

#[derive(Default)]
struct Events(Vec<Bytes>);

impl Events {
    fn push(&mut self, kind: &str, mut data: Value) {
        data["type"] = kind.into();
        data["sequence_number"] = self.0.len().into();
        self.0.push(named(kind, &data));
    }

    fn text(&mut self, pieces: &[String], within: &dyn Fn(Value) -> Value) {
        let text = pieces.concat();
        self.push("response.content_part.added", within(json!({"content_index": 0, "part": part("")})));
        for piece in pieces {
            let delta = json!({"content_index": 0, "delta": piece, "logprobs": []});
            self.push("response.output_text.delta", within(delta));
        }
        let done = json!({"content_index": 0, "text": text, "logprobs": []});
        self.push("response.output_text.done", within(done));
        self.push("response.content_part.done", within(json!({"content_index": 0, "part": part(&text)})));
    }
}

fn named(name: &str, data: &Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// What is answered to a request that builds on an answer that is not kept.
pub fn not_kept(id: &str) -> Vec<u8> {
    let mut error =
        openai_chat::error("invalid_request_error", &format!("Previous response with id '{id}' not found."));
    error["code"] = "previous_response_not_found".into();
    error["param"] = "previous_response_id".into();
    json!({"error": error}).to_string().into_bytes()
}
