//! Whole Chat Completions answers, read and written.

use dialects::Dialect;

use crate::{
    Reply,
    json::{Json, Object, object},
    neutral::{Answer, Call, Fault, Part, Seal, Stop, Text, Thinking, Usage},
    openai, seal,
};

/// Reads an answer.
///
/// # Errors
/// It is none.
pub(crate) fn read<'a>(mut body: Object<'a>) -> Result<Answer<'a>, Fault<'a>> {
    let choices = body.take("choices").map(Json::into_elements).unwrap_or_default();
    let Some(choice) = choices.into_iter().next() else {
        return Err(Fault {
            kind: "api_error".into(),
            message: "the upstream's answer has no choice".into(),
        });
    };
    let mut choice = choice.into_object();
    let mut message = choice.take("message").map(Json::into_object).unwrap_or_default();
    let mut parts = Vec::new();
    let thoughts = message.take_text("reasoning_content").or_else(|| message.take_text("reasoning"));
    if let Some(text) = thoughts.filter(|text| !text.is_empty()) {
        parts.push(Part::Thinking(Thinking { text, seal: None }));
    }
    match message.take("content") {
        Some(Json::String(text)) if !text.is_empty() => parts.push(Part::Text(text)),
        Some(Json::Array(texts)) => parts.extend(texts.into_iter().filter_map(|part| {
            part.into_object().take_text("text").filter(|text| !text.is_empty()).map(Part::Text)
        })),
        _ => {}
    }
    let refusal = message.take_text("refusal").filter(|text| !text.is_empty());
    let refused = refusal.is_some();
    parts.extend(refusal.map(Part::Text));
    for call in message.take("tool_calls").map(Json::into_elements).unwrap_or_default() {
        read_call(call.into_object(), &mut parts);
    }
    let calls = parts.iter().any(|part| matches!(part, Part::Call(_)));
    let stop = match choice.text("finish_reason") {
        _ if refused => Stop::Refusal,
        reason => stop(reason.unwrap_or_default(), calls),
    };
    Ok(Answer {
        id: body.take_text("id").unwrap_or_default(),
        model: body.take_text("model").unwrap_or_default(),
        parts,
        stop,
        usage: body.get("usage").map(openai::usage).unwrap_or_default(),
    })
}

fn read_call<'a>(mut call: Object<'a>, parts: &mut Vec<Part<'a>>) {
    let google = call.take("extra_content").and_then(|extra| extra.into_object().take("google"));
    if let Some(value) = google.and_then(|google| google.into_object().take_text("thought_signature")) {
        let seal = Some(Seal { origin: Dialect::Gemini, value, tag: Text::default() });
        parts.push(Part::Thinking(Thinking { text: Text::default(), seal }));
    }
    let id = call.take_text("id").unwrap_or_default();
    let custom = call.take("custom").map(Json::into_object);
    let is_custom = custom.is_some();
    let mut of = custom.or_else(|| call.take("function").map(Json::into_object)).unwrap_or_default();
    let name = of.take_text("name").unwrap_or_default();
    let arguments = of.take_text(if is_custom { "input" } else { "arguments" }).unwrap_or_default();
    parts.push(Part::Call(Call { id, name, namespace: None, arguments, is_custom }));
}

/// Why an answer ended. Some gateways say `stop` where tools are called.
pub(crate) fn stop(reason: &str, calls: bool) -> Stop<'static> {
    match reason {
        "length" => Stop::MaxTokens,
        "content_filter" => Stop::Refusal,
        "tool_calls" | "function_call" => Stop::ToolUse,
        _ if calls => Stop::ToolUse,
        _ => Stop::End,
    }
}

/// This dialect's word for why an answer ended.
pub(crate) fn stop_word(stop: &Stop<'_>) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) => "stop",
        Stop::MaxTokens => "length",
        Stop::ToolUse => "tool_calls",
        Stop::Refusal => "content_filter",
    }
}

/// Usage in this dialect's words.
pub(crate) fn usage(usage: &Usage) -> Object<'static> {
    object! {
        "prompt_tokens": usage.prompt(),
        "completion_tokens": usage.output,
        "total_tokens": usage.total(),
        "prompt_tokens_details": object! {
            "cached_tokens": usage.cache_read,
            "cache_creation_tokens": (usage.cache_write > 0).then_some(usage.cache_write),
            "audio_tokens": 0_u64,
        },
        "completion_tokens_details": object! { "reasoning_tokens": usage.reasoning, "audio_tokens": 0_u64 },
    }
}

/// Writes an answer.
pub(crate) fn write(answer: &Answer<'_>, reply: &Reply) -> Vec<u8> {
    let (mut text, mut thoughts, mut said) = (String::new(), String::new(), false);
    let mut calls: Vec<Json<'_>> = Vec::new();
    let mut signature = None;
    for part in &answer.parts {
        match part {
            Part::Text(more) => {
                said = true;
                text.push_str(more);
            }
            Part::Thinking(thinking) => {
                thoughts.push_str(&thinking.text);
                signature =
                    thinking.seal.as_ref().filter(|seal| seal.origin == Dialect::Gemini).or(signature);
            }
            Part::Call(call) => calls.push(write_call(call, signature.take())),
            Part::Media(_) | Part::Answer(_) => {}
        }
    }
    let message = object! {
        "role": "assistant",
        "content": if said || calls.is_empty() { Json::from(text) } else { Json::Null },
        "refusal": Json::Null,
        "reasoning_content": (!thoughts.is_empty()).then_some(thoughts),
        "tool_calls": (!calls.is_empty()).then_some(calls),
    };
    let choice = object! {
        "index": 0_u64,
        "message": message,
        "logprobs": Json::Null,
        "finish_reason": stop_word(&answer.stop),
    };
    let body: Json<'_> = object! {
        "id": reply.id("chatcmpl-", &answer.id),
        "object": "chat.completion",
        "created": reply.now_s,
        "model": reply.model(&answer.model).to_owned(),
        "choices": vec![Json::from(choice)],
        "usage": usage(&answer.usage),
    }
    .into();
    body.to_bytes()
}

fn write_call<'a>(call: &'a Call<'_>, signature: Option<&'a Seal<'_>>) -> Json<'a> {
    let (kind, of) = if call.is_custom {
        ("custom", object! { "name": call.name.as_ref(), "input": call.arguments.as_ref() })
    } else {
        ("function", object! { "name": call.name.as_ref(), "arguments": call.arguments.as_ref() })
    };
    let mut written = object! { "id": call.id.as_ref(), "type": kind };
    written.put(kind, of);
    written.put("extra_content", signature.map(extra));
    written.into()
}

/// Where Google's own OpenAI endpoint writes thought signatures.
pub(crate) fn extra<'a>(signature: &'a Seal<'_>) -> Object<'a> {
    let signature = seal::write(signature, Dialect::Gemini);
    object! { "google": object! { "thought_signature": signature } }
}
