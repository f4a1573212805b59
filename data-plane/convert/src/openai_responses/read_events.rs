//! Reads the events of streamed Responses answers.

use std::borrow::Cow;

use super::answer;
use crate::{
    json::{Json, Object},
    neutral::{Event, Fault},
    openai,
    openai_chat::read_events::fault,
};

/// Reads one stream.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    calls: bool,
    refused: bool,
    /// The place of the open item in the output.
    open: Option<u64>,
    /// Whether pieces of the open call's arguments, of the open text or of the open thoughts have come; where none
    /// came they stand whole in the item's end.
    pieces: bool,
}

impl Reader {
    /// Reads an event's data.
    pub(crate) fn event(&mut self, data: &Json<'_>, tell: &mut dyn FnMut(Event<'_>)) {
        let kind = data.text("type").unwrap_or_default();
        let delta = || Cow::Borrowed(data.text("delta").unwrap_or_default());
        match kind {
            "response.created" => {
                let response = data.get("response").unwrap_or(&Json::Null);
                let text = |key| Cow::Borrowed(response.text(key).unwrap_or_default());
                tell(Event::Start { id: text("id"), model: text("model") });
            }
            "response.output_item.added" => self.added(data, tell),
            "response.output_text.delta" => {
                self.pieces = true;
                tell(Event::Text(delta()));
            }
            "response.refusal.delta" => {
                (self.pieces, self.refused) = (true, true);
                tell(Event::Text(delta()));
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.pieces = true;
                tell(Event::Thinking(delta()));
            }
            "response.reasoning_summary_part.added"
                if data.get("summary_index").and_then(Json::as_u64).is_some_and(|index| index > 0) =>
            {
                tell(Event::Thinking("\n\n".into()));
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                let index = data.get("output_index").and_then(Json::as_u64);
                if index.is_some() && index != self.open {
                    let message = "the upstream's answer mixes the arguments of several calls";
                    return tell(Event::Error(Fault { kind: "api_error".into(), message: message.into() }));
                }
                self.pieces = true;
                tell(Event::Arguments(delta()));
            }
            "response.output_item.done" => self.done(data.get("item").unwrap_or(&Json::Null), tell),
            "response.completed" | "response.incomplete" | "response.done" => {
                self.end(data.get("response").unwrap_or(&Json::Null), tell);
            }
            "response.failed" => {
                let error = data.get("response").and_then(|response| response.get("error"));
                tell(Event::Error(fault(error.unwrap_or(&Json::Null))));
            }
            // Some write the error within, others the fields beside.
            "error" => tell(Event::Error(fault(data.get("error").unwrap_or(data)))),
            "" if data.get("error").is_some() => tell(Event::Error(fault(data.get("error").unwrap_or(data)))),
            _ => {}
        }
    }

    fn added(&mut self, data: &Json<'_>, tell: &mut dyn FnMut(Event<'_>)) {
        let item = data.get("item").unwrap_or(&Json::Null);
        self.open = data.get("output_index").and_then(Json::as_u64);
        self.pieces = false;
        if let Some(kind @ ("function_call" | "custom_tool_call")) = item.text("type") {
            self.calls = true;
            let text = |key| Cow::Borrowed(item.text(key).unwrap_or_default());
            let is_custom = kind == "custom_tool_call";
            tell(Event::Call { id: text("call_id"), name: text("name"), namespace: None, is_custom });
        }
    }

    fn done(&mut self, item: &Json<'_>, tell: &mut dyn FnMut(Event<'_>)) {
        let text = |key| Cow::Borrowed(item.text(key).unwrap_or_default());
        match item.text("type") {
            Some("function_call") if !self.pieces => tell(Event::Arguments(text("arguments"))),
            Some("custom_tool_call") if !self.pieces => tell(Event::Arguments(text("input"))),
            Some("message") if !self.pieces => {
                for part in item.get("content").map(Json::elements).unwrap_or_default() {
                    tell(Event::Text(Cow::Borrowed(part.text("text").unwrap_or_default())));
                }
            }
            Some("reasoning") => {
                if !self.pieces {
                    for part in item.get("summary").map(Json::elements).unwrap_or_default() {
                        tell(Event::Thinking(Cow::Borrowed(part.text("text").unwrap_or_default())));
                    }
                }
                let value = text("encrypted_content");
                if !value.is_empty() {
                    tell(Event::Seal(answer::sealed(value, text("id"))));
                }
            }
            _ => {}
        }
        self.open = None;
        tell(Event::BlockEnd);
    }

    fn end(&mut self, response: &Json<'_>, tell: &mut dyn FnMut(Event<'_>)) {
        if let Some(usage) = response.get("usage") {
            tell(Event::Usage(openai::usage(usage)));
        }
        let none = Object::default();
        let response = match response {
            Json::Object(response) => response,
            _ => &none,
        };
        tell(Event::Finish(answer::stop(response, self.calls, self.refused)));
        tell(Event::End);
    }
}
