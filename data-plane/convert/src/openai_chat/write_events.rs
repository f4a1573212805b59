//! Writes streamed Chat Completions answers: a chunk with the role first, then one for each piece, then the reason why
//! it ended, then usage if it was asked for, then `[DONE]`.

use dialects::Dialect;

use super::answer;
use crate::{
    Reply,
    json::{Json, object, quote},
    neutral::{Event, Seal, Stop, Usage},
};

/// Writes one stream.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Of a chunk, what stands before its delta.
    head: Vec<u8>,
    /// Of a chunk without a reason, what stands after its delta.
    tail: &'static [u8],
    /// Of the chunk of usage, what stands before its choices.
    envelope: Vec<u8>,
    usage: Usage,
    usage_wanted: bool,
    calls: u64,
    custom: bool,
    finished: bool,
    signature: Option<Seal<'static>>,
}

impl Writer {
    /// A writer for the client of a reply.
    pub(crate) fn new(reply: &Reply) -> Self {
        let plain: &[u8] = b",\"logprobs\":null,\"finish_reason\":null}]}\n\n";
        let asked: &[u8] = b",\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n";
        Self {
            head: Vec::new(),
            tail: if reply.stream_usage { asked } else { plain },
            envelope: Vec::new(),
            usage: Usage::default(),
            usage_wanted: reply.stream_usage,
            calls: 0,
            custom: false,
            finished: false,
            signature: None,
        }
    }

    /// Writes what an event is for the client.
    pub(crate) fn event(&mut self, event: &Event<'_>, reply: &Reply, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model } => {
                self.start(&reply.id("chatcmpl-", id), reply.model(model), reply.now_s, out)
            }
            Event::Text(text) if !text.is_empty() => self.piece(b"{\"content\":", text, b"}", out),
            Event::Thinking(text) if !text.is_empty() => {
                self.piece(b"{\"reasoning_content\":", text, b"}", out);
            }
            Event::Seal(seal) if seal.origin == Dialect::Gemini => self.signature = Some(owned(seal)),
            Event::Call { id, name, is_custom, .. } => self.call(id, name, *is_custom, out),
            Event::Arguments(text) if !text.is_empty() && self.calls > 0 => {
                let field = if self.custom { "custom\":{\"input" } else { "function\":{\"arguments" };
                let head = format!("{{\"tool_calls\":[{{\"index\":{},\"{field}\":", self.calls - 1);
                self.piece(head.as_bytes(), text, b"}}]}", out);
            }
            Event::Usage(usage) => self.usage = *usage,
            Event::Finish(stop) => self.finish(stop, out),
            Event::End => self.end(out),
            _ => {}
        }
    }

    fn start(&mut self, id: &str, model: &str, created: u64, out: &mut Vec<u8>) {
        let mut envelope = b"data: {\"id\":".to_vec();
        quote(id, &mut envelope);
        envelope.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        envelope.extend_from_slice(created.to_string().as_bytes());
        envelope.extend_from_slice(b",\"model\":");
        quote(model, &mut envelope);
        envelope.extend_from_slice(b",\"choices\":[");
        self.head = [envelope.as_slice(), b"{\"index\":0,\"delta\":"].concat();
        self.envelope = envelope;
        self.chunk(b"{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}", out);
    }

    fn chunk(&self, delta: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(delta);
        out.extend_from_slice(self.tail);
    }

    fn piece(&self, before: &[u8], text: &str, after: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(before);
        quote(text, out);
        out.extend_from_slice(after);
        out.extend_from_slice(self.tail);
    }

    fn call(&mut self, id: &str, name: &str, is_custom: bool, out: &mut Vec<u8>) {
        let (kind, field) = if is_custom { ("custom", "input") } else { ("function", "arguments") };
        let mut of = object! { "name": name };
        of.put(field, "");
        let mut call = object! { "index": self.calls, "id": id, "type": kind };
        call.put(kind, of);
        let signature = self.signature.take();
        call.put("extra_content", signature.as_ref().map(answer::extra));
        let delta: Json<'_> = object! { "tool_calls": vec![Json::from(call)] }.into();
        self.chunk(&delta.to_bytes(), out);
        self.calls += 1;
        self.custom = is_custom;
    }

    fn finish(&mut self, stop: &Stop<'_>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{},\"logprobs\":null,\"finish_reason\":\"");
        out.extend_from_slice(answer::stop_word(stop).as_bytes());
        let end: &[u8] = if self.usage_wanted { b"\"}],\"usage\":null}\n\n" } else { b"\"}]}\n\n" };
        out.extend_from_slice(end);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.finish(&Stop::End, out);
        if self.usage_wanted {
            out.extend_from_slice(&self.envelope);
            out.extend_from_slice(b"],\"usage\":");
            out.extend_from_slice(&Json::from(answer::usage(&self.usage)).to_bytes());
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

/// A seal with texts of its own.
pub(crate) fn owned(seal: &Seal<'_>) -> Seal<'static> {
    Seal { origin: seal.origin, value: seal.value.to_string().into(), tag: seal.tag.to_string().into() }
}
