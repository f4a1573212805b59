//! OpenAI's Chat Completions and embeddings.

use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Block, Question, Stop},
    faults::{self, Odd},
    ledger::Counted,
    scenario::{Behaviour, UsageQuirk},
};

/// Numbers of an embedding.
const DIMENSIONS: usize = 8;

/// What a request asks.
pub fn question(request: &Value) -> Question {
    let choice = &request["tool_choice"];
    let tool = |tool: &Value| {
        let function = &tool["function"];
        Some((function["name"].as_str()?.to_owned(), function["parameters"].clone()))
    };
    let format = &request["response_format"]["json_schema"]["schema"];
    Question {
        model: request["model"].as_str().unwrap_or_default().to_owned(),
        tools: request["tools"].as_array().into_iter().flatten().filter_map(tool).collect(),
        forced: match choice.as_str() {
            Some("required") => Some(String::new()),
            _ => choice["function"]["name"].as_str().map(str::to_owned),
        },
        no_tool: choice == "none",
        said: request["messages"].as_array().and_then(|messages| said(messages.last()?)),
        thinks: !request["reasoning_effort"].is_null(),
        schema: Some(format.clone()).filter(Value::is_object),
    }
}

/// A user's text, as a string or in parts.
pub fn said(message: &Value) -> Option<String> {
    if message["role"] != "user" {
        return None;
    }
    let content = &message["content"];
    let parts = || {
        content
            .as_array()
            .map(|parts| parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"))
    };
    content.as_str().map(str::to_owned).or_else(parts)
}

/// The usage object.
pub fn usage(counted: &Counted) -> Value {
    let prompt = counted.input + counted.cache_read;
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": counted.output,
        "total_tokens": prompt + counted.output,
        "prompt_tokens_details": {"cached_tokens": counted.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": counted.reasoning, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

/// The whole answer.
pub fn whole(answer: &Answer, behaviour: &Behaviour) -> Value {
    let mut message = json!({"role": "assistant", "content": null, "refusal": null, "annotations": []});
    for block in &answer.blocks {
        match block {
            Block::Thinking(..) => {}
            Block::Text(pieces) => message["content"] = pieces.concat().into(),
            Block::ToolUse(id, name, pieces) => {
                let function = json!({"name": name, "arguments": pieces.concat()});
                message["tool_calls"] =
                    json!([{"id": format!("call_{id}"), "type": "function", "function": function}]);
            }
        }
    }
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish(answer)});
    let mut whole = base(answer, "chat.completion");
    whole["choices"] = json!([choice]);
    let told = faults::told(usage(&answer.counted), behaviour.usage);
    if !told.is_null() {
        whole["usage"] = told;
    }
    whole
}

fn base(answer: &Answer, object: &str) -> Value {
    json!({
        "id": format!("chatcmpl-{}", answer.id), "object": object, "created": 1_790_000_000,
        "model": answer.model, "service_tier": "default", "system_fingerprint": "fp_mock",
    })
}

fn finish(answer: &Answer) -> &'static str {
    if answer.stop == Stop::Tool { "tool_calls" } else { "stop" }
}

/// The chunks of an answer, in order; with usage only where the request asks for it.
pub fn stream(answer: &Answer, request: &Value, behaviour: &Behaviour) -> Vec<Bytes> {
    let asked = request["stream_options"]["include_usage"] == true;
    let chunk = |delta: Value, finish: Value| {
        let mut chunk = base(answer, "chat.completion.chunk");
        chunk["choices"] = json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
        if asked {
            chunk["usage"] = Value::Null;
        }
        event(&chunk)
    };
    let delta = |delta: Value| chunk(delta, Value::Null);
    let mut events = vec![delta(json!({"role": "assistant", "content": "", "refusal": null}))];
    for block in &answer.blocks {
        match block {
            Block::Thinking(..) => {}
            Block::Text(pieces) => {
                events.extend(pieces.iter().map(|piece| delta(json!({"content": piece}))));
            }
            Block::ToolUse(id, name, pieces) => {
                let function = json!({"name": name, "arguments": ""});
                let call =
                    json!({"index": 0, "id": format!("call_{id}"), "type": "function", "function": function});
                events.push(delta(json!({"tool_calls": [call]})));
                let part = |piece| json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]});
                events.extend(pieces.iter().map(|piece| delta(part(piece))));
            }
        }
    }
    events.push(chunk(json!({}), finish(answer).into()));
    let mut ends = 2;
    let told = faults::told(usage(&answer.counted), behaviour.usage);
    if asked && !told.is_null() {
        if behaviour.usage == UsageQuirk::Twice {
            let early = Counted { output: answer.counted.output / 2, ..answer.counted };
            events.push(usage_chunk(answer, usage(&early)));
            ends += 1;
        }
        events.push(usage_chunk(answer, told));
        ends += 1;
    }
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    let error = |kind: &str| event(&json!({"error": error(kind, "Overloaded")}));
    let broken = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xff\xfe\x80 \"},\"finish_reason\":null}]}\n\n";
    faults::apply(events, behaviour, &Odd { error: &error, broken, ends })
}

fn usage_chunk(answer: &Answer, usage: Value) -> Bytes {
    let mut chunk = base(answer, "chat.completion.chunk");
    chunk["choices"] = json!([]);
    chunk["usage"] = usage;
    event(&chunk)
}

fn event(data: &Value) -> Bytes {
    format!("data: {data}\n\n").into()
}

/// An error as both of OpenAI's dialects have it.
pub fn error(kind: &str, message: &str) -> Value {
    let code = match kind {
        "rate_limit_error" => json!("rate_limit_exceeded"),
        "insufficient_quota" => json!("insufficient_quota"),
        "authentication_error" => json!("invalid_api_key"),
        _ => Value::Null,
    };
    json!({"message": message, "type": kind, "param": null, "code": code})
}

/// The body of an error.
pub fn error_body(status: u16, kind: &str, message: &str) -> Vec<u8> {
    let usual = match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    };
    let kind = if kind.is_empty() { usual } else { kind };
    json!({"error": error(kind, message)}).to_string().into_bytes()
}

/// The list of models.
pub fn models() -> Value {
    let model =
        |id: &str| json!({"id": id, "object": "model", "created": 1_790_000_000, "owned_by": "openai"});
    json!({"object": "list", "data": [model("gpt-4.1"), model("gpt-5"), model("text-embedding-3-small")]})
}

/// Vectors for texts, made of the texts' digests, with what was counted.
pub fn embeddings(request: &Value, counted: &Counted) -> Value {
    let texts = match &request["input"] {
        Value::Array(texts) => texts.clone(),
        text => vec![text.clone()],
    };
    let as_text = request["encoding_format"] == "base64";
    let embed = |(index, text): (usize, &Value)| {
        let digest = super::count::digest(text.to_string().as_bytes());
        let numbers: Vec<f32> = digest[..DIMENSIONS].iter().map(|byte| f32::from(*byte) / 256.0).collect();
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let coded = base64::engine::general_purpose::STANDARD.encode(bytes);
        let embedding = if as_text { json!(coded) } else { json!(numbers) };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    json!({
        "object": "list",
        "data": texts.iter().enumerate().map(embed).collect::<Vec<_>>(),
        "model": request["model"],
        "usage": {"prompt_tokens": counted.input, "total_tokens": counted.input},
    })
}
