//! Google's generateContent, in both framings of its streams.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Block, Question},
    faults::{self, Odd},
    ledger::Counted,
    scenario::{Behaviour, UsageQuirk},
};

/// What a request asks. The model stands in its path.
pub fn question(request: &Value, model: &str) -> Question {
    let declared = request["tools"].as_array().into_iter().flatten();
    let declared = declared.flat_map(|tool| {
        ["functionDeclarations", "function_declarations"]
            .into_iter()
            .filter_map(|key| tool[key].as_array())
            .flatten()
    });
    let tool = |tool: &Value| {
        let schema = ["parametersJsonSchema", "parameters_json_schema", "parameters"]
            .into_iter()
            .map(|key| &tool[key])
            .find(|schema| schema.is_object());
        Some((tool["name"].as_str()?.to_owned(), schema.cloned().unwrap_or_default()))
    };
    let config = &request["generationConfig"];
    let calling = &request["toolConfig"]["functionCallingConfig"];
    let schema = ["responseJsonSchema", "responseSchema"].into_iter().map(|key| config[key].clone());
    Question {
        model: model.to_owned(),
        tools: declared.filter_map(tool).collect(),
        forced: (calling["mode"] == "ANY")
            .then(|| calling["allowedFunctionNames"][0].as_str().unwrap_or_default().to_owned()),
        no_tool: calling["mode"] == "NONE",
        said: request["contents"].as_array().and_then(|contents| said(contents.last()?)),
        thinks: config["thinkingConfig"]["includeThoughts"] == true,
        schema: schema.into_iter().find(Value::is_object),
    }
}

fn said(content: &Value) -> Option<String> {
    let parts = content["parts"].as_array()?;
    if content["role"] == "model" || parts.iter().any(|part| part["functionResponse"].is_object()) {
        return None;
    }
    Some(parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"))
}

/// The usage object.
pub fn usage(counted: &Counted) -> Value {
    let prompt = counted.input + counted.cache_read;
    let mut usage = json!({
        "promptTokenCount": prompt,
        "candidatesTokenCount": counted.output - counted.reasoning,
        "totalTokenCount": prompt + counted.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    });
    if counted.cache_read > 0 {
        usage["cachedContentTokenCount"] = counted.cache_read.into();
        usage["cacheTokensDetails"] = json!([{"modality": "TEXT", "tokenCount": counted.cache_read}]);
    }
    if counted.reasoning > 0 {
        usage["thoughtsTokenCount"] = counted.reasoning.into();
    }
    usage
}

/// The whole answer.
pub fn whole(answer: &Answer, behaviour: &Behaviour) -> Value {
    let parts = answer.blocks.iter().flat_map(|block| match block {
        Block::Thinking(pieces, _) => vec![json!({"text": pieces.concat(), "thought": true})],
        Block::Text(pieces) => vec![json!({"text": pieces.concat()})],
        Block::ToolUse(..) => parts(block),
    });
    let told = faults::told(usage(&answer.counted), behaviour.usage);
    element(answer, parts.collect(), true, told)
}

/// A block in the parts in which a stream tells it.
fn parts(block: &Block) -> Vec<Value> {
    match block {
        Block::Thinking(pieces, _) => {
            pieces.iter().map(|piece| json!({"text": piece, "thought": true})).collect()
        }
        Block::Text(pieces) => pieces.iter().map(|piece| json!({"text": piece})).collect(),
        Block::ToolUse(id, name, pieces) => {
            let args: Value = serde_json::from_str(&pieces.concat()).unwrap_or_default();
            vec![json!({
                "functionCall": {"id": id, "name": name, "args": args},
                "thoughtSignature": "c2lnbmVk",
            })]
        }
    }
}

fn element(answer: &Answer, parts: Vec<Value>, last: bool, usage: Value) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if last {
        candidate["finishReason"] = "STOP".into();
    }
    let mut element = json!({
        "candidates": [candidate], "modelVersion": answer.model, "responseId": answer.id,
    });
    if !usage.is_null() {
        element["usageMetadata"] = usage;
    }
    element
}

/// The elements of an answer, in order: each says the usage so far.
pub fn stream(answer: &Answer, as_events: bool, behaviour: &Behaviour) -> Vec<Bytes> {
    let parts: Vec<Value> = answer.blocks.iter().flat_map(parts).collect();
    let count = parts.len();
    let mut elements = Vec::new();
    for (at, part) in parts.into_iter().enumerate() {
        let last = at + 1 == count;
        let share = if last {
            answer.counted.output
        } else {
            answer.counted.output * (at as i64 + 1) / (count as i64 + 1)
        };
        let so_far = Counted { output: share.max(answer.counted.reasoning), ..answer.counted };
        let untold = behaviour.usage == UsageQuirk::LastOnly && !last;
        let told = if untold { Value::Null } else { faults::told(usage(&so_far), behaviour.usage) };
        elements.push(element(answer, vec![part], last, told));
    }
    let mut events: Vec<Bytes> =
        elements.iter().enumerate().map(|(at, element)| framed(element, at, as_events)).collect();
    if !as_events {
        events.push(Bytes::from_static(b"\n]"));
    }
    let error = |kind: &str| {
        let error = json!({"error": {"code": 503, "message": "Overloaded", "status": kind}});
        framed(&error, 0, as_events)
    };
    let broken = b"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\xff\xfe\x80 \"}]}}]}\r\n\r\n";
    faults::apply(events, behaviour, &Odd { error: &error, broken, ends: if as_events { 1 } else { 2 } })
}

fn framed(element: &Value, at: usize, as_event: bool) -> Bytes {
    match (as_event, at) {
        (true, _) => format!("data: {element}\r\n\r\n"),
        (false, 0) => format!("[{element}"),
        (false, _) => format!("\n,\r\n{element}"),
    }
    .into()
}

/// The body of an error.
pub fn error_body(status: u16, kind: &str, message: &str) -> Vec<u8> {
    let usual = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    };
    let kind = if kind.is_empty() { usual } else { kind };
    json!({"error": {"code": status, "message": message, "status": kind}}).to_string().into_bytes()
}

/// The list of models.
pub fn models() -> Value {
    let model = |id: &str| json!({"name": format!("models/{id}"), "version": "001", "displayName": id, "supportedGenerationMethods": ["generateContent", "countTokens"]});
    json!({"models": [model("gemini-2.5-flash"), model("gemini-2.5-pro")]})
}
