//! Whole generateContent answers, read and written.

use dialects::Dialect;

use crate::{
    Reply,
    anthropic::write_request,
    json::{Json, Object, object},
    loss::Losses,
    neutral::{Answer, Call, Fault, Part, Seal, Stop, Text, Thinking, Usage},
    seal,
};

/// Reads an answer.
///
/// # Errors
/// It is none.
pub(crate) fn read<'a>(body: Object<'a>) -> Result<Answer<'a>, Fault<'a>> {
    let mut body = unwrapped(body);
    let candidates = body.take("candidates").map(Json::into_elements).unwrap_or_default();
    let blocked = body.get("promptFeedback").and_then(|feedback| feedback.get("blockReason")).is_some();
    if candidates.is_empty() && !blocked {
        return Err(Fault {
            kind: "api_error".into(),
            message: "the upstream's answer has no candidate".into(),
        });
    }
    let mut candidate = candidates.into_iter().next().unwrap_or_default().into_object();
    let mut content = candidate.take("content").map(Json::into_object).unwrap_or_default();
    let mut parts = Vec::new();
    for part in content.take("parts").map(Json::into_elements).unwrap_or_default() {
        read_part(part.into_object(), &mut parts);
    }
    let calls = parts.iter().any(|part| matches!(part, Part::Call(_)));
    let stop = match candidate.text("finishReason") {
        None if blocked => Stop::Refusal,
        reason => stop(reason.unwrap_or_default(), calls)?,
    };
    Ok(Answer {
        id: body.take_text("responseId").unwrap_or_default(),
        model: body.take_text("modelVersion").unwrap_or_default(),
        parts,
        stop,
        usage: body.get("usageMetadata").map(usage).unwrap_or_default(),
    })
}

/// An answer of the internal API stands in an envelope.
pub(crate) fn unwrapped(mut body: Object<'_>) -> Object<'_> {
    match body.take("response") {
        Some(Json::Object(inner)) if body.get("candidates").is_none() => inner,
        _ => body,
    }
}

/// Reads one part into one or two.
fn read_part<'a>(mut part: Object<'a>, parts: &mut Vec<Part<'a>>) {
    let seal =
        part.take_either("thoughtSignature", "thought_signature").and_then(Json::into_text).map(signature);
    let thought = part.take("thought").and_then(|thought| thought.as_bool()).unwrap_or(false);
    let text = part.take_text("text");
    if thought {
        return parts.push(Part::Thinking(Thinking { text: text.unwrap_or_default(), seal }));
    }
    if let Some(seal) = seal {
        // It is of the part that it stands at, so it stands before that part: alone, or with the thoughts there.
        match parts.last_mut() {
            Some(Part::Thinking(thinking)) if thinking.seal.is_none() => thinking.seal = Some(seal),
            _ => parts.push(Part::Thinking(Thinking { text: Text::default(), seal: Some(seal) })),
        }
    }
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        match parts.last_mut() {
            Some(Part::Text(before)) => before.to_mut().push_str(&text),
            _ => parts.push(Part::Text(text)),
        }
    }
    let call = part.take_either("functionCall", "function_call").map(Json::into_object);
    if let Some(mut call) = call {
        parts.push(Part::Call(Call {
            id: call.take_text("id").unwrap_or_default(),
            name: call.take_text("name").unwrap_or_default(),
            namespace: None,
            arguments: call.take("args").unwrap_or(Json::Object(Object::default())).to_text().into(),
            is_custom: false,
        }));
    }
}

/// The seal of a part.
pub(crate) fn signature(value: Text<'_>) -> Seal<'_> {
    Seal { origin: Dialect::Gemini, value, tag: Text::default() }
}

/// Why an answer ended.
///
/// # Errors
/// The model broke off in a way that the user can but try again.
pub(crate) fn stop(reason: &str, calls: bool) -> Result<Stop<'static>, Fault<'static>> {
    Ok(match reason {
        "MAX_TOKENS" => Stop::MaxTokens,
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII"
        | "IMAGE_SAFETY" => Stop::Refusal,
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "MISSING_THOUGHT_SIGNATURE" => {
            let message = format!("the model broke off: {reason}");
            return Err(Fault { kind: "api_error".into(), message: message.into() });
        }
        _ if calls => Stop::ToolUse,
        _ => Stop::End,
    })
}

/// Reads usage.
pub(crate) fn usage(said: &Json<'_>) -> Usage {
    let number = |key: &str| said.get(key).and_then(Json::as_u64).unwrap_or(0);
    let prompt = number("promptTokenCount").saturating_add(number("toolUsePromptTokenCount"));
    let cache_read = number("cachedContentTokenCount").min(prompt);
    let reasoning = number("thoughtsTokenCount");
    let mut output = number("candidatesTokenCount").saturating_add(reasoning);
    if output == 0 {
        output = number("totalTokenCount").saturating_sub(prompt);
    }
    Usage { input: prompt - cache_read, cache_read, output, reasoning, ..Usage::default() }
}

/// Usage in this dialect's words.
pub(crate) fn usage_words(usage: &Usage) -> Object<'static> {
    object! {
        "promptTokenCount": usage.prompt(),
        "cachedContentTokenCount": (usage.cache_read > 0).then_some(usage.cache_read),
        "candidatesTokenCount": usage.output.saturating_sub(usage.reasoning),
        "thoughtsTokenCount": (usage.reasoning > 0).then_some(usage.reasoning),
        "totalTokenCount": usage.total(),
    }
}

/// This dialect's word for why an answer ended.
pub(crate) fn stop_word(stop: &Stop<'_>) -> &'static str {
    match stop {
        Stop::MaxTokens => "MAX_TOKENS",
        Stop::Refusal => "SAFETY",
        Stop::End | Stop::ToolUse | Stop::Sequence(_) => "STOP",
    }
}

/// Writes an answer.
pub(crate) fn write(answer: &Answer<'_>, reply: &Reply) -> Vec<u8> {
    let mut parts: Vec<Json<'_>> = Vec::new();
    let mut pending = None;
    for part in &answer.parts {
        match part {
            Part::Text(text) if !text.is_empty() => {
                parts.push(signed(object! { "text": text.as_ref() }, &mut pending));
            }
            Part::Thinking(thinking) => {
                if !thinking.text.is_empty() {
                    parts.push(object! { "text": thinking.text.as_ref(), "thought": true }.into());
                }
                pending = thinking.seal.as_ref().map(|seal| seal::write(seal, Dialect::Gemini)).or(pending);
            }
            Part::Call(call) => parts.push(signed(function_call(call), &mut pending)),
            _ => {}
        }
    }
    if pending.is_some() {
        parts.push(signed(object! { "text": "" }, &mut pending));
    }
    let candidate = object! {
        "content": object! { "parts": parts, "role": "model" },
        "finishReason": stop_word(&answer.stop),
        "index": 0_u64,
    };
    let body: Json<'_> = object! {
        "candidates": vec![Json::from(candidate)],
        "usageMetadata": usage_words(&answer.usage),
        "modelVersion": reply.model(&answer.model).to_owned(),
        "responseId": reply.id("", &answer.id),
    }
    .into();
    body.to_bytes()
}

fn signed<'a>(mut part: Object<'a>, pending: &mut Option<Text<'a>>) -> Json<'a> {
    part.put("thoughtSignature", pending.take());
    part.into()
}

fn function_call<'a>(call: &'a Call<'_>) -> Object<'a> {
    let mut losses = Losses::new(Dialect::Gemini, Dialect::Gemini);
    let args = write_request::input(call, &mut losses).unwrap_or_default();
    object! { "functionCall": object! { "id": call.id.as_ref(), "name": call.name.as_ref(), "args": args } }
}
