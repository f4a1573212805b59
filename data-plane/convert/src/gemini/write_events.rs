//! Writes streamed generateContent answers: a document for each piece, as events or as the elements of one array. This
//! dialect tells calls whole, so that a call's arguments are held until they are.

use dialects::{
    Dialect,
    error::{Problem, stream_event},
};

use super::answer;
use crate::{
    Reply,
    anthropic::{write_events::owned, write_request},
    json::{Json, Object, object, quote},
    loss::Losses,
    neutral::{Call, Event, Stop, Usage},
    seal,
};

/// A call's arguments may not be longer.
const MAX_HELD: usize = 16 << 20;

/// Writes one stream.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Whether the client wants an array.
    array: bool,
    begun: bool,
    /// Of a document, what follows its candidates.
    tail: Vec<u8>,
    call: Option<(String, String)>,
    arguments: String,
    signature: Option<String>,
    usage: Usage,
    stop: Stop<'static>,
}

impl Writer {
    /// A writer for the client of a reply.
    pub(crate) fn new(reply: &Reply) -> Self {
        Self {
            array: reply.array,
            begun: false,
            tail: Vec::new(),
            call: None,
            arguments: String::new(),
            signature: None,
            usage: Usage::default(),
            stop: Stop::End,
        }
    }

    /// Writes what an event is for the client; `false`: the answer is too long to be held.
    pub(crate) fn event(&mut self, event: &Event<'_>, reply: &Reply, out: &mut Vec<u8>) -> bool {
        match event {
            Event::Start { id, model } => {
                let tail: Json<'_> = object! {
                    "modelVersion": reply.model(model).to_owned(),
                    "responseId": reply.id("", id),
                }
                .into();
                self.tail = tail.to_bytes();
            }
            Event::Text(text) if !text.is_empty() => {
                self.release(out);
                self.piece(text, b"", out);
            }
            Event::Thinking(text) if !text.is_empty() => {
                self.release(out);
                self.thought(text, out);
            }
            Event::Seal(seal) => {
                self.release(out);
                self.signature = Some(seal::write(seal, Dialect::Gemini).into_owned());
            }
            Event::Call { id, name, .. } => {
                self.release(out);
                self.call = Some((id.to_string(), name.to_string()));
            }
            Event::Arguments(text) => self.arguments.push_str(text),
            Event::BlockEnd => self.release(out),
            Event::Usage(usage) => self.usage = *usage,
            Event::Finish(stop) => self.stop = owned(stop),
            Event::End => {
                self.release(out);
                self.end(out);
            }
            _ => {}
        }
        self.arguments.len() <= MAX_HELD
    }

    /// What stands before a document.
    fn before(&mut self, out: &mut Vec<u8>) {
        let first = !std::mem::replace(&mut self.begun, true);
        out.extend_from_slice(match (self.array, first) {
            (false, _) => b"data: ".as_slice(),
            (true, true) => b"[".as_slice(),
            (true, false) => b"\n,\n".as_slice(),
        });
    }

    /// What stands after a document.
    fn after(&self, out: &mut Vec<u8>) {
        if !self.array {
            out.extend_from_slice(b"\r\n\r\n");
        }
    }

    fn thought(&mut self, text: &str, out: &mut Vec<u8>) {
        let waiting = self.signature.take();
        self.piece(text, b",\"thought\":true", out);
        self.signature = waiting;
    }

    /// A document with one text.
    fn piece(&mut self, text: &str, mark: &[u8], out: &mut Vec<u8>) {
        self.before(out);
        out.extend_from_slice(b"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":");
        quote(text, out);
        out.extend_from_slice(mark);
        if let Some(signature) = self.signature.take() {
            out.extend_from_slice(b",\"thoughtSignature\":");
            quote(&signature, out);
        }
        out.extend_from_slice(b"}],\"role\":\"model\"},\"index\":0}],");
        out.extend_from_slice(self.tail.get(1..).unwrap_or_default());
        self.after(out);
    }

    /// A document with these parts and what is told at the end.
    fn document(&mut self, part: Object<'_>, end: bool, out: &mut Vec<u8>) {
        self.before(out);
        let candidate = object! {
            "content": object! { "parts": vec![Json::from(part)], "role": "model" },
            "finishReason": end.then(|| answer::stop_word(&self.stop)),
            "index": 0_u64,
        };
        let document: Json<'_> = object! {
            "candidates": vec![Json::from(candidate)],
            "usageMetadata": end.then(|| answer::usage_words(&self.usage)),
        }
        .into();
        let bytes = document.to_bytes();
        out.extend_from_slice(&bytes[..bytes.len() - 1]);
        out.push(b',');
        out.extend_from_slice(self.tail.get(1..).unwrap_or_default());
        self.after(out);
    }

    /// The open call is whole.
    fn release(&mut self, out: &mut Vec<u8>) {
        let Some((id, name)) = self.call.take() else { return };
        let arguments = std::mem::take(&mut self.arguments);
        let call = Call {
            id: id.as_str().into(),
            name: name.as_str().into(),
            namespace: None,
            arguments: arguments.as_str().into(),
            is_custom: false,
        };
        let mut losses = Losses::new(Dialect::Gemini, Dialect::Gemini);
        let args = write_request::input(&call, &mut losses).unwrap_or_default();
        let call = object! { "id": id.as_str(), "name": name.as_str(), "args": args };
        let signature = self.signature.take();
        let part = object! { "functionCall": call, "thoughtSignature": signature };
        self.document(part, false, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let signature = self.signature.take();
        self.document(object! { "text": "", "thoughtSignature": signature }, true, out);
        if self.array {
            out.extend_from_slice(b"\n]\n");
        }
    }

    /// The answer failed.
    pub(crate) fn failed(&mut self, problem: &Problem<'_>, out: &mut Vec<u8>) {
        if !self.array {
            return out.extend_from_slice(&stream_event(Dialect::Gemini, problem));
        }
        self.before(out);
        out.extend_from_slice(&dialects::error::body(Dialect::Gemini, problem).2);
        out.extend_from_slice(b"\n]\n");
    }
}
