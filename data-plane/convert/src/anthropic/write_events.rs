//! Writes streamed Messages answers: `message_start`, blocks one after the other, `message_delta`, `message_stop`.

use dialects::Dialect;

use super::answer;
use crate::{
    Reply,
    json::{Json, Object, object, quote},
    neutral::{Event, Stop, Usage},
    seal,
};

/// Writes one stream.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    index: u64,
    open: Open,
    usage: Usage,
    stop: Option<Stop<'static>>,
}

/// The block that is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    None,
    Text,
    Thinking,
    Call,
}

impl Writer {
    /// Writes what an event is for the client.
    pub(crate) fn event(&mut self, event: &Event<'_>, reply: &Reply, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model } => self.start(&reply.id("msg_", id), reply.model(model), out),
            Event::Text(text) if !text.is_empty() => {
                self.need(Open::Text, || object! { "type": "text", "text": "" }, out);
                self.delta("text_delta", "text", text, out);
            }
            Event::Thinking(text) => {
                self.need(Open::Thinking, thinking, out);
                if !text.is_empty() {
                    self.delta("thinking_delta", "thinking", text, out);
                }
            }
            Event::Seal(seal) => {
                self.need(Open::Thinking, thinking, out);
                let signature = seal::write(seal, Dialect::AnthropicMessages);
                self.delta("signature_delta", "signature", &signature, out);
                self.close(out);
            }
            Event::Call { id, name, .. } => {
                self.close(out);
                let (id, name) = (id.to_string(), name.to_string());
                let block = || {
                    let input = Object::default();
                    object! { "type": "tool_use", "id": id, "name": name, "input": input }
                };
                self.need(Open::Call, block, out);
            }
            Event::Arguments(json) if self.open == Open::Call && !json.is_empty() => {
                self.delta("input_json_delta", "partial_json", json, out);
            }
            Event::BlockEnd => self.close(out),
            Event::Usage(usage) => self.usage = *usage,
            Event::Finish(stop) => self.stop = Some(owned(stop)),
            Event::End => self.end(out),
            _ => {}
        }
    }

    fn start(&mut self, id: &str, model: &str, out: &mut Vec<u8>) {
        let message = object! {
            "id": id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": Vec::<Json<'_>>::new(),
            "stop_reason": Json::Null,
            "stop_sequence": Json::Null,
            "usage": answer::usage(&self.usage),
        };
        send("message_start", object! { "type": "message_start", "message": message }, out);
    }

    /// Opens a block unless one of its kind is open.
    fn need<'a>(&mut self, kind: Open, block: impl FnOnce() -> Object<'a>, out: &mut Vec<u8>) {
        if self.open == kind {
            return;
        }
        self.close(out);
        self.open = kind;
        let event = object! { "type": "content_block_start", "index": self.index, "content_block": block() };
        send("content_block_start", event, out);
    }

    fn delta(&self, kind: &str, field: &str, text: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":",
        );
        out.extend_from_slice(self.index.to_string().as_bytes());
        out.extend_from_slice(b",\"delta\":{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"");
        out.extend_from_slice(field.as_bytes());
        out.extend_from_slice(b"\":");
        quote(text, out);
        out.extend_from_slice(b"}}\n\n");
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.open) != Open::None {
            let event = object! { "type": "content_block_stop", "index": self.index };
            send("content_block_stop", event, out);
            self.index += 1;
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.close(out);
        let stop = self.stop.take().unwrap_or_default();
        let (reason, sequence) = answer::stop_words(&stop);
        let delta = object! {
            "stop_reason": reason,
            "stop_sequence": sequence.map_or(Json::Null, Json::from),
        };
        let event = object! { "type": "message_delta", "delta": delta, "usage": answer::usage(&self.usage) };
        send("message_delta", event, out);
        send("message_stop", object! { "type": "message_stop" }, out);
    }
}

fn thinking() -> Object<'static> {
    object! { "type": "thinking", "thinking": "", "signature": "" }
}

/// A reason with texts of its own.
pub(crate) fn owned(stop: &Stop<'_>) -> Stop<'static> {
    match stop {
        Stop::End => Stop::End,
        Stop::MaxTokens => Stop::MaxTokens,
        Stop::ToolUse => Stop::ToolUse,
        Stop::Sequence(text) => Stop::Sequence(text.as_ref().map(|text| text.to_string().into())),
        Stop::Refusal => Stop::Refusal,
    }
}

/// Writes an event with its name.
pub(crate) fn send(name: &str, data: Object<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    // Writing to a vector does not fail.
    let _ = serde_json::to_writer(&mut *out, &data);
    out.extend_from_slice(b"\n\n");
}
