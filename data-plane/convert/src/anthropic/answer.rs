//! Whole Messages answers, read and written.

use dialects::Dialect;

use super::write_request;
use crate::{
    Reply,
    json::{Json, Object, object},
    loss::Losses,
    neutral::{Answer, Call, Fault, Part, Seal, Stop, Text, Thinking, Usage},
    seal,
};

/// Reads an answer.
///
/// # Errors
/// It is none.
pub(crate) fn read<'a>(mut body: Object<'a>) -> Result<Answer<'a>, Fault<'a>> {
    let Some(Json::Array(blocks)) = body.take("content") else {
        return Err(Fault {
            kind: "api_error".into(),
            message: "the upstream's answer has no content".into(),
        });
    };
    let mut usage = Usage::default();
    update_usage(&mut usage, body.get("usage"));
    let sequence = body.take_text("stop_sequence");
    Ok(Answer {
        id: body.take_text("id").unwrap_or_default(),
        model: body.take_text("model").unwrap_or_default(),
        parts: blocks.into_iter().filter_map(|block| read_block(block.into_object())).collect(),
        stop: stop(body.text("stop_reason").unwrap_or_default(), sequence),
        usage,
    })
}

fn read_block(mut block: Object<'_>) -> Option<Part<'_>> {
    Some(match block.text("type")? {
        "text" => Part::Text(block.take_text("text")?),
        "thinking" => {
            let seal = block.take_text("signature").filter(|value| !value.is_empty()).map(signature);
            Part::Thinking(Thinking { text: block.take_text("thinking").unwrap_or_default(), seal })
        }
        "redacted_thinking" => {
            Part::Thinking(Thinking { text: Text::default(), seal: Some(redacted(block.take_text("data")?)) })
        }
        "tool_use" => Part::Call(Call {
            id: block.take_text("id").unwrap_or_default(),
            name: block.take_text("name").unwrap_or_default(),
            namespace: None,
            arguments: block.take("input").unwrap_or(Json::Object(Object::default())).to_text().into(),
            is_custom: false,
        }),
        _ => return None,
    })
}

/// The seal of a thinking block.
pub(crate) fn signature(value: Text<'_>) -> Seal<'_> {
    Seal { origin: Dialect::AnthropicMessages, value, tag: Text::default() }
}

/// The seal of encrypted thoughts.
pub(crate) fn redacted(value: Text<'_>) -> Seal<'_> {
    Seal { origin: Dialect::AnthropicMessages, value, tag: "redacted".into() }
}

/// Why an answer ended.
pub(crate) fn stop<'a>(reason: &str, sequence: Option<Text<'a>>) -> Stop<'a> {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Stop::MaxTokens,
        "tool_use" => Stop::ToolUse,
        "stop_sequence" => Stop::Sequence(sequence),
        "refusal" => Stop::Refusal,
        _ => Stop::End,
    }
}

/// Takes figures over that usage says; those that it does not say stay.
pub(crate) fn update_usage(usage: &mut Usage, said: Option<&Json<'_>>) {
    let Some(said) = said else { return };
    let take = |key: &str, into: &mut u64| {
        if let Some(figure) = said.get(key).and_then(Json::as_u64) {
            *into = figure;
        }
    };
    take("input_tokens", &mut usage.input);
    take("cache_read_input_tokens", &mut usage.cache_read);
    take("cache_creation_input_tokens", &mut usage.cache_write);
    take("output_tokens", &mut usage.output);
    let long = said.get("cache_creation").and_then(|of| of.get("ephemeral_1h_input_tokens"));
    if let Some(figure) = long.and_then(Json::as_u64) {
        usage.cache_write_long = figure.min(usage.cache_write);
    }
    let thoughts = said.get("output_tokens_details").and_then(|of| of.get("thinking_tokens"));
    if let Some(figure) = thoughts.and_then(Json::as_u64) {
        usage.reasoning = figure;
    }
}

/// Usage in this dialect's words.
pub(crate) fn usage(usage: &Usage) -> Object<'static> {
    object! {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }
}

/// This dialect's words for why an answer ended.
pub(crate) fn stop_words<'a>(stop: &'a Stop<'_>) -> (&'static str, Option<&'a str>) {
    match stop {
        Stop::End => ("end_turn", None),
        Stop::MaxTokens => ("max_tokens", None),
        Stop::ToolUse => ("tool_use", None),
        // Whoever does not say at which text it ended cannot be said to have ended at one.
        Stop::Sequence(None) => ("end_turn", None),
        Stop::Sequence(Some(text)) => ("stop_sequence", Some(text)),
        Stop::Refusal => ("refusal", None),
    }
}

/// Writes an answer.
pub(crate) fn write(answer: &Answer<'_>, reply: &Reply) -> Vec<u8> {
    let mut content: Vec<Json<'_>> = Vec::new();
    for part in &answer.parts {
        if let Some(block) = write_block(part) {
            content.push(block.into());
        }
    }
    let (reason, sequence) = stop_words(&answer.stop);
    let body: Json<'_> = object! {
        "id": reply.id("msg_", &answer.id),
        "type": "message",
        "role": "assistant",
        "model": reply.model(&answer.model).to_owned(),
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence.map_or(Json::Null, Json::from),
        "usage": usage(&answer.usage),
    }
    .into();
    body.to_bytes()
}

fn write_block<'a>(part: &'a Part<'_>) -> Option<Object<'a>> {
    Some(match part {
        Part::Text(text) if text.is_empty() => return None,
        Part::Text(text) => object! { "type": "text", "text": text.as_ref() },
        Part::Thinking(Thinking { seal: Some(seal), .. })
            if seal.origin == Dialect::AnthropicMessages && seal.tag == "redacted" =>
        {
            object! { "type": "redacted_thinking", "data": seal.value.as_ref() }
        }
        Part::Thinking(thinking) => {
            let signature = thinking.seal.as_ref().map(|seal| seal::write(seal, Dialect::AnthropicMessages));
            object! {
                "type": "thinking",
                "thinking": thinking.text.as_ref(),
                "signature": signature.unwrap_or_default(),
            }
        }
        Part::Call(call) => {
            let mut losses = Losses::new(Dialect::AnthropicMessages, Dialect::AnthropicMessages);
            let input = write_request::input(call, &mut losses).unwrap_or_default();
            object! {
                "type": "tool_use", "id": call.id.as_ref(), "name": call.name.as_ref(), "input": input,
            }
        }
        Part::Media(_) | Part::Answer(_) => return None,
    })
}
