//! Reads the chunks of streamed Chat Completions answers.

use std::borrow::Cow;

use dialects::Dialect;

use super::answer;
use crate::{
    json::Json,
    neutral::{Event, Fault, Seal, Stop, Text},
    openai,
};

/// Reads one stream.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    started: bool,
    /// The index and id of the open call.
    open: Option<u64>,
    open_id: String,
    /// Indices of calls that have begun lie below.
    next: u64,
    refused: bool,
    finished: bool,
    ended: bool,
}

impl Reader {
    /// Reads a chunk.
    pub(crate) fn event(&mut self, data: &Json<'_>, tell: &mut dyn FnMut(Event<'_>)) {
        if let Some(error) = data.get("error") {
            return tell(Event::Error(fault(error)));
        }
        if !std::mem::replace(&mut self.started, true) {
            let text = |key| Cow::Borrowed(data.text(key).unwrap_or_default());
            tell(Event::Start { id: text("id"), model: text("model") });
        }
        if let Some(usage) = data.get("usage") {
            tell(Event::Usage(openai::usage(usage)));
        }
        let Some(choice) = data.get("choices").and_then(|choices| choices.elements().first()) else { return };
        if let Some(delta) = choice.get("delta") {
            self.delta(delta, tell);
        }
        if let Some(reason) = choice.text("finish_reason").filter(|_| !self.finished) {
            self.finished = true;
            let refused = self.refused;
            tell(Event::Finish(if refused { Stop::Refusal } else { answer::stop(reason, self.next > 0) }));
        }
    }

    fn delta(&mut self, delta: &Json<'_>, tell: &mut dyn FnMut(Event<'_>)) {
        let text = |key| delta.text(key).filter(|text| !text.is_empty()).map(Cow::Borrowed);
        if let Some(thoughts) = text("reasoning_content").or_else(|| text("reasoning")) {
            tell(Event::Thinking(thoughts));
        }
        if let Some(text) = text("content") {
            self.open = None;
            tell(Event::Text(text));
        }
        if let Some(text) = text("refusal") {
            self.refused = true;
            tell(Event::Text(text));
        }
        for call in delta.get("tool_calls").map(Json::elements).unwrap_or_default() {
            self.call(call, tell);
        }
    }

    fn call(&mut self, call: &Json<'_>, tell: &mut dyn FnMut(Event<'_>)) {
        let of = call.get("function").or_else(|| call.get("custom")).unwrap_or(&Json::Null);
        let id = call.text("id").unwrap_or_default();
        let name = of.text("name").filter(|name| !name.is_empty());
        // Some gateways leave the index out, or say 0 each time: then a name with another id begins another call.
        let index = call.get("index").and_then(Json::as_u64);
        let named = name.is_some() && !id.is_empty() && self.open_id != id;
        let is_new = match index {
            Some(index) => index >= self.next || named,
            None => named || self.next == 0,
        };
        if is_new {
            self.open = Some(index.unwrap_or(self.next));
            self.next = self.next.max(self.open.unwrap_or(0).saturating_add(1));
            id.clone_into(&mut self.open_id);
            Self::begin(call, id, name.unwrap_or_default(), tell);
        } else if self.open.is_none() || index.is_some_and(|index| self.open != Some(index)) {
            // The block of that call has ended for the client: what comes now cannot be told any more.
            let message = "the upstream's answer mixes the arguments of several calls";
            return tell(Event::Error(Fault { kind: "api_error".into(), message: message.into() }));
        }
        let arguments = of.text("arguments").or_else(|| of.text("input")).unwrap_or_default();
        if !arguments.is_empty() {
            tell(Event::Arguments(Cow::Borrowed(arguments)));
        }
    }

    fn begin(call: &Json<'_>, id: &str, name: &str, tell: &mut dyn FnMut(Event<'_>)) {
        let google = call.get("extra_content").and_then(|extra| extra.get("google"));
        if let Some(value) = google.and_then(|google| google.text("thought_signature")) {
            let seal = Seal { origin: Dialect::Gemini, value: value.into(), tag: Text::default() };
            tell(Event::Seal(seal));
        }
        let is_custom = call.get("custom").is_some();
        tell(Event::Call { id: id.into(), name: name.into(), namespace: None, is_custom });
    }

    /// `[DONE]` has come.
    pub(crate) fn done(&mut self, tell: &mut dyn FnMut(Event<'_>)) {
        if self.finished && !std::mem::replace(&mut self.ended, true) {
            tell(Event::End);
        }
    }
}

/// What an error object says.
pub(crate) fn fault<'a>(error: &'a Json<'_>) -> Fault<'a> {
    let text = |key| error.text(key).filter(|text| !text.is_empty());
    let kind = text("type").or_else(|| text("code")).unwrap_or("api_error");
    Fault { kind: kind.into(), message: text("message").unwrap_or_default().into() }
}
