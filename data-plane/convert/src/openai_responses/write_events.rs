//! Writes streamed Responses answers: `response.created`, each item with its parts, `response.completed` with all of
//! them once more. That repetition is why this writer, alone of all, keeps what has been said.

use dialects::{Dialect, error::Problem};

use super::{
    answer::{Response, status},
    items::{self, CallItem},
};
use crate::{
    Reply,
    anthropic::write_events::owned,
    json::{Json, Object, object, quote},
    neutral::{Event, Stop, Usage},
    seal,
};

/// What has been said may not be longer: it is said twice more at the end.
const MAX_SAID: usize = 16 << 20;

/// Writes one stream.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    sequence: u64,
    id: String,
    model: String,
    open: Open,
    /// Of the open item: its id, its text, thoughts or arguments so far.
    item: String,
    said: String,
    call: CallItem,
    sealed: Option<String>,
    /// The items that are done, as JSON with commas between.
    output: Vec<u8>,
    count: u64,
    usage: Usage,
    stop: Stop<'static>,
}

/// The item that is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    None,
    Text,
    Thinking,
    Call,
}

impl Writer {
    /// Writes what an event is for the client; `false`: the answer is too long to be kept.
    pub(crate) fn event(&mut self, event: &Event<'_>, reply: &Reply, out: &mut Vec<u8>) -> bool {
        match event {
            Event::Start { id, model } => {
                self.start(reply.id("resp_", id), reply.model(model).to_owned(), reply, out)
            }
            Event::Text(text) if !text.is_empty() => {
                self.need(Open::Text, out);
                self.said.push_str(text);
                self.piece("response.output_text.delta", Some("content_index"), text, out);
            }
            Event::Thinking(text) => {
                self.need(Open::Thinking, out);
                if !text.is_empty() {
                    if self.said.is_empty() {
                        self.summary("response.reasoning_summary_part.added", "part", out);
                    }
                    self.said.push_str(text);
                    self.piece("response.reasoning_summary_text.delta", Some("summary_index"), text, out);
                }
            }
            Event::Seal(seal) => {
                self.need(Open::Thinking, out);
                self.sealed = Some(seal::write(seal, Dialect::OpenaiResponses).into_owned());
                self.close(out);
            }
            Event::Call { id, name, namespace, is_custom } => {
                self.close(out);
                self.call = CallItem {
                    id: String::new(),
                    call_id: id.to_string(),
                    name: name.to_string(),
                    namespace: namespace.as_ref().map(ToString::to_string),
                    is_custom: *is_custom,
                };
                self.need(Open::Call, out);
            }
            Event::Arguments(text) if self.open == Open::Call && !text.is_empty() => {
                self.said.push_str(text);
                let name = if self.call.is_custom {
                    "response.custom_tool_call_input.delta"
                } else {
                    "response.function_call_arguments.delta"
                };
                self.piece(name, None, text, out);
            }
            Event::BlockEnd => self.close(out),
            Event::Usage(usage) => self.usage = *usage,
            Event::Finish(stop) => self.stop = owned(stop),
            Event::End => self.end(reply, out),
            _ => {}
        }
        self.said.len() + self.output.len() <= MAX_SAID
    }

    fn start(&mut self, id: String, model: String, reply: &Reply, out: &mut Vec<u8>) {
        (self.id, self.model) = (id, model);
        for name in ["response.created", "response.in_progress"] {
            self.response(name, "in_progress", None, None, reply, out);
        }
    }

    /// An event with the response object.
    fn response(
        &mut self,
        name: &str,
        status: &'static str,
        incomplete: Option<&'static str>,
        error: Option<(&str, &str)>,
        reply: &Reply,
        out: &mut Vec<u8>,
    ) {
        self.head(name, out);
        out.extend_from_slice(b",\"response\":");
        let response = Response {
            id: &self.id,
            status,
            incomplete,
            error,
            model: &self.model,
            output: &self.output,
            usage: matches!(status, "completed" | "incomplete").then_some(&self.usage),
            created_at: reply.now_s,
        };
        response.write(out);
        out.extend_from_slice(b"}\n\n");
    }

    /// An event's beginning, up to its own fields.
    fn head(&mut self, name: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\ndata: {\"type\":\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\",\"sequence_number\":");
        out.extend_from_slice(self.sequence.to_string().as_bytes());
        self.sequence += 1;
    }

    /// An event with these fields.
    fn send(&mut self, name: &str, fields: &Object<'_>, out: &mut Vec<u8>) {
        self.head(name, out);
        let fields = serde_json::to_vec(fields).unwrap_or_default();
        out.push(b',');
        out.extend_from_slice(fields.get(1..).unwrap_or_default());
        out.extend_from_slice(b"\n\n");
    }

    fn piece(&mut self, name: &str, index: Option<&str>, text: &str, out: &mut Vec<u8>) {
        self.head(name, out);
        out.extend_from_slice(b",\"item_id\":\"");
        out.extend_from_slice(self.item.as_bytes());
        out.extend_from_slice(b"\",\"output_index\":");
        out.extend_from_slice(self.count.to_string().as_bytes());
        if let Some(index) = index {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(index.as_bytes());
            out.extend_from_slice(b"\":0");
        }
        out.extend_from_slice(b",\"delta\":");
        quote(text, out);
        if index == Some("content_index") {
            out.extend_from_slice(b",\"logprobs\":[]");
        }
        out.extend_from_slice(b"}\n\n");
    }

    /// Opens an item unless one of its kind is open.
    fn need(&mut self, kind: Open, out: &mut Vec<u8>) {
        if self.open == kind {
            return;
        }
        self.close(out);
        self.open = kind;
        let prefix = match kind {
            Open::Text | Open::None => "msg",
            Open::Thinking => "rs",
            Open::Call if self.call.is_custom => "ctc",
            Open::Call => "fc",
        };
        let bare = self.id.trim_start_matches("resp_");
        self.item = format!("{prefix}_{bare}_{}", self.count);
        self.call.id.clone_from(&self.item);
        let (index, id) = (self.count, self.item.clone());
        let item = match kind {
            Open::Thinking => items::reasoning(&id, "", None),
            Open::Call => self.call.json("in_progress", ""),
            Open::Text | Open::None => object! {
                "id": id.clone(),
                "type": "message",
                "status": "in_progress",
                "role": "assistant",
                "content": Vec::<Json<'_>>::new(),
            },
        };
        self.send("response.output_item.added", &object! { "output_index": index, "item": item }, out);
        if kind == Open::Text {
            let part = items::output_text("");
            let fields =
                object! { "item_id": id, "output_index": index, "content_index": 0_u64, "part": part };
            self.send("response.content_part.added", &fields, out);
        }
    }

    /// An event of the summary of the open thoughts, with its text or its part.
    fn summary(&mut self, name: &str, field: &'static str, out: &mut Vec<u8>) {
        let said = std::mem::take(&mut self.said);
        let mut fields = object! {
            "item_id": self.item.clone(), "output_index": self.count, "summary_index": 0_u64,
        };
        if field == "part" {
            fields.put(field, object! { "type": "summary_text", "text": said.as_str() });
        } else {
            fields.put(field, said.as_str());
        }
        self.send(name, &fields, out);
        self.said = said;
    }

    /// Ends the open item.
    fn close(&mut self, out: &mut Vec<u8>) {
        let kind = std::mem::take(&mut self.open);
        if kind == Open::None {
            return;
        }
        let (id, index) = (self.item.clone(), self.count);
        if kind == Open::Thinking && !self.said.is_empty() {
            self.summary("response.reasoning_summary_text.done", "text", out);
            self.summary("response.reasoning_summary_part.done", "part", out);
        }
        let said = std::mem::take(&mut self.said);
        let item = match kind {
            Open::Text | Open::None => {
                let place = object! { "item_id": id.clone(), "output_index": index, "content_index": 0_u64 };
                let mut text = place.clone();
                text.put("text", said.as_str());
                text.put("logprobs", Vec::<Json<'_>>::new());
                self.send("response.output_text.done", &text, out);
                let mut part = place;
                part.put("part", items::output_text(&said));
                self.send("response.content_part.done", &part, out);
                items::output_message(&id, "completed", &said)
            }
            Open::Thinking => items::reasoning(&id, &said, self.sealed.take()),
            Open::Call => {
                let (name, field) = if self.call.is_custom {
                    ("response.custom_tool_call_input.done", "input")
                } else {
                    ("response.function_call_arguments.done", "arguments")
                };
                let mut fields = object! { "item_id": id.clone(), "output_index": index };
                fields.put(field, said.as_str());
                self.send(name, &fields, out);
                self.call.json("completed", &said)
            }
        };
        let item = Json::from(item);
        if !self.output.is_empty() {
            self.output.push(b',');
        }
        self.output.extend_from_slice(&item.to_bytes());
        let done = object! { "output_index": index, "item": item };
        self.send("response.output_item.done", &done, out);
        self.count += 1;
    }

    fn end(&mut self, reply: &Reply, out: &mut Vec<u8>) {
        self.close(out);
        let (status, incomplete) = status(&self.stop);
        let name = if status == "completed" { "response.completed" } else { "response.incomplete" };
        self.response(name, status, incomplete, None, reply, out);
    }

    /// The answer failed.
    pub(crate) fn failed(&mut self, problem: &Problem<'_>, reply: &Reply, out: &mut Vec<u8>) {
        let code = problem.code.unwrap_or(match problem.kind {
            dialects::error::Kind::RateLimit => "rate_limit_exceeded",
            dialects::error::Kind::Billing => "insufficient_quota",
            dialects::error::Kind::InvalidRequest => "invalid_prompt",
            _ => "server_error",
        });
        if self.id.is_empty() {
            (self.id, self.model) = (reply.id("resp_", ""), reply.model("").to_owned());
        }
        self.response("response.failed", "failed", None, Some((code, &problem.message)), reply, out);
    }
}
