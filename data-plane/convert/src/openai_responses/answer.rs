//! Whole Responses answers, read and written.

use dialects::Dialect;

use super::items::{self, CallItem};
use crate::{
    Reply,
    json::{Json, Object, object},
    neutral::{Answer, Call, Fault, Part, Seal, Stop, Text, Thinking, Usage},
    openai,
    openai_chat::{read_events::fault, write_request::joined},
    seal,
};

/// Reads an answer.
///
/// # Errors
/// It is none.
pub(crate) fn read<'a>(mut body: Object<'a>) -> Result<Answer<'a>, Fault<'a>> {
    if body.text("status") == Some("failed") {
        let error = body.take("error").unwrap_or_default().into_owned();
        let fault = fault(&error);
        return Err(Fault {
            kind: fault.kind.into_owned().into(),
            message: fault.message.into_owned().into(),
        });
    }
    let Some(Json::Array(output)) = body.take("output") else {
        return Err(Fault {
            kind: "api_error".into(),
            message: "the upstream's answer has no output".into(),
        });
    };
    let (mut parts, mut refused) = (Vec::new(), false);
    for item in output {
        read_item(item.into_object(), &mut parts, &mut refused);
    }
    let calls = parts.iter().any(|part| matches!(part, Part::Call(_)));
    Ok(Answer {
        id: body.take_text("id").unwrap_or_default(),
        model: body.take_text("model").unwrap_or_default(),
        parts,
        stop: stop(&body, calls, refused),
        usage: body.get("usage").map(openai::usage).unwrap_or_default(),
    })
}

/// Why an answer ended, by its response object.
pub(crate) fn stop(response: &Object<'_>, calls: bool, refused: bool) -> Stop<'static> {
    let reason = response.get("incomplete_details").and_then(|details| details.text("reason"));
    match reason {
        Some("content_filter") => Stop::Refusal,
        Some(_) => Stop::MaxTokens,
        None if refused => Stop::Refusal,
        None if calls => Stop::ToolUse,
        None => Stop::End,
    }
}

fn read_item<'a>(mut item: Object<'a>, parts: &mut Vec<Part<'a>>, refused: &mut bool) {
    match item.text("type") {
        Some("message") => {
            for part in item.take("content").map(Json::into_elements).unwrap_or_default() {
                let mut part = part.into_object();
                let refusal = part.take_text("refusal");
                *refused |= refusal.is_some();
                let text = part.take_text("text").or(refusal);
                parts.extend(text.filter(|text| !text.is_empty()).map(Part::Text));
            }
        }
        Some("reasoning") => {
            let summary = item.take("summary").map(Json::into_elements).unwrap_or_default();
            let content = item.take("content").map(Json::into_elements).unwrap_or_default();
            let texts = summary.into_iter().chain(content);
            let texts: Vec<Text<'a>> =
                texts.filter_map(|part| part.into_object().take_text("text")).collect();
            let tag = item.take_text("id").unwrap_or_default();
            let seal = item.take_text("encrypted_content").map(|value| sealed(value, tag));
            if seal.is_some() || !texts.is_empty() {
                parts.push(Part::Thinking(Thinking { text: joined(texts, "\n\n"), seal }));
            }
        }
        Some(kind @ ("function_call" | "custom_tool_call")) => {
            let is_custom = kind == "custom_tool_call";
            parts.push(Part::Call(Call {
                id: item.take_text("call_id").unwrap_or_default(),
                name: item.take_text("name").unwrap_or_default(),
                namespace: None,
                arguments: item.take_text(if is_custom { "input" } else { "arguments" }).unwrap_or_default(),
                is_custom,
            }));
        }
        _ => {}
    }
}

/// The seal of an item of thoughts.
pub(crate) fn sealed<'a>(value: Text<'a>, tag: Text<'a>) -> Seal<'a> {
    Seal { origin: Dialect::OpenaiResponses, value, tag }
}

/// Usage in this dialect's words.
pub(crate) fn usage(usage: &Usage) -> Object<'static> {
    object! {
        "input_tokens": usage.prompt(),
        "input_tokens_details": object! { "cached_tokens": usage.cache_read },
        "output_tokens": usage.output,
        "output_tokens_details": object! { "reasoning_tokens": usage.reasoning },
        "total_tokens": usage.total(),
    }
}

/// A response object; `output` is its JSON array.
pub(crate) struct Response<'r> {
    /// The response's id.
    pub(crate) id: &'r str,
    /// `in_progress`, `completed`, `incomplete` or `failed`.
    pub(crate) status: &'static str,
    /// Why it is incomplete.
    pub(crate) incomplete: Option<&'static str>,
    /// Code and message of a failure.
    pub(crate) error: Option<(&'r str, &'r str)>,
    /// The model that served.
    pub(crate) model: &'r str,
    /// The items so far, as JSON.
    pub(crate) output: &'r [u8],
    /// What it used; none while it is under way.
    pub(crate) usage: Option<&'r Usage>,
    /// When it was made, seconds since 1970.
    pub(crate) created_at: u64,
}

impl Response<'_> {
    /// Writes it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let incomplete = self.incomplete.map(|reason| object! { "reason": reason });
        let error = self.error.map(|(code, message)| object! { "code": code, "message": message });
        let or_null =
            |object: Option<Object<'_>>| object.map_or(Json::Null, |object| Json::from(object.into_owned()));
        let head: Json<'_> = object! {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "status": self.status,
            "background": false,
            "error": or_null(error),
            "incomplete_details": or_null(incomplete),
            "instructions": Json::Null,
            "max_output_tokens": Json::Null,
            "model": self.model,
        }
        .into();
        let tail: Json<'_> = object! {
            "parallel_tool_calls": true,
            "previous_response_id": Json::Null,
            "reasoning": object! { "effort": Json::Null, "summary": Json::Null },
            "store": false,
            "temperature": Json::Null,
            "text": object! { "format": object! { "type": "text" } },
            "tool_choice": "auto",
            "tools": Vec::<Json<'_>>::new(),
            "top_p": Json::Null,
            "truncation": "disabled",
            "usage": self.usage.map_or(Json::Null, |of| Json::from(usage(of))),
            "user": Json::Null,
            "metadata": Json::Object(Object::default()),
        }
        .into();
        let (head, tail) = (head.to_bytes(), tail.to_bytes());
        out.extend_from_slice(&head[..head.len() - 1]);
        out.extend_from_slice(b",\"output\":[");
        out.extend_from_slice(self.output);
        out.extend_from_slice(b"],");
        out.extend_from_slice(&tail[1..]);
    }
}

/// Status and reason of an answer that ended so.
pub(crate) fn status(stop: &Stop<'_>) -> (&'static str, Option<&'static str>) {
    match stop {
        Stop::MaxTokens => ("incomplete", Some("max_output_tokens")),
        Stop::Refusal => ("incomplete", Some("content_filter")),
        Stop::End | Stop::ToolUse | Stop::Sequence(_) => ("completed", None),
    }
}

/// Writes an answer.
pub(crate) fn write(answer: &Answer<'_>, reply: &Reply) -> Vec<u8> {
    let id = reply.id("resp_", &answer.id);
    let bare = id.trim_start_matches("resp_").to_owned();
    let mut output: Vec<Json<'_>> = Vec::new();
    for (number, part) in answer.parts.iter().enumerate() {
        match part {
            Part::Text(text) if !text.is_empty() => {
                output.push(items::output_message(&format!("msg_{bare}_{number}"), "completed", text).into());
            }
            Part::Thinking(thinking) => {
                output.push(thoughts(thinking, &format!("rs_{bare}_{number}")).into())
            }
            Part::Call(call) => {
                let item = CallItem {
                    id: format!("{}_{bare}_{number}", if call.is_custom { "ctc" } else { "fc" }),
                    call_id: call.id.to_string(),
                    name: call.name.to_string(),
                    namespace: call.namespace.as_ref().map(ToString::to_string),
                    is_custom: call.is_custom,
                };
                output.push(item.json("completed", &call.arguments).into());
            }
            _ => {}
        }
    }
    let items = Json::Array(output).to_bytes();
    let (status, incomplete) = status(&answer.stop);
    let response = Response {
        id: &id,
        status,
        incomplete,
        error: None,
        model: reply.model(&answer.model),
        output: &items[1..items.len() - 1],
        usage: Some(&answer.usage),
        created_at: reply.now_s,
    };
    let mut body = Vec::new();
    response.write(&mut body);
    body
}

fn thoughts<'a>(thinking: &'a Thinking<'_>, id: &str) -> Object<'a> {
    let sealed = thinking.seal.as_ref().map(|seal| seal::write(seal, Dialect::OpenaiResponses).into_owned());
    items::reasoning(id, &thinking.text, sealed)
}
