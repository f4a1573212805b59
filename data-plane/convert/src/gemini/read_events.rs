//! Reads the events of streamed generateContent answers: each is a document like a whole answer, with what is new.

use std::borrow::Cow;

use super::answer;
use crate::{
    json::Json,
    neutral::{Event, Fault, Stop},
};

/// Reads one stream.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    started: bool,
    calls: bool,
    finished: bool,
}

impl Reader {
    /// Reads an event's data.
    pub(crate) fn event(&mut self, data: &Json<'_>, tell: &mut dyn FnMut(Event<'_>)) {
        let data = data.get("response").filter(|_| data.get("candidates").is_none()).unwrap_or(data);
        if let Some(error) = data.get("error") {
            let text = |key| Cow::Borrowed(error.text(key).unwrap_or_default());
            return tell(Event::Error(Fault { kind: text("status"), message: text("message") }));
        }
        if !std::mem::replace(&mut self.started, true) {
            let text = |key| Cow::Borrowed(data.text(key).unwrap_or_default());
            tell(Event::Start { id: text("responseId"), model: text("modelVersion") });
        }
        if let Some(usage) = data.get("usageMetadata") {
            tell(Event::Usage(answer::usage(usage)));
        }
        let Some(candidate) = data.get("candidates").and_then(|all| all.elements().first()) else {
            let blocked = data.get("promptFeedback").is_some_and(|said| said.get("blockReason").is_some());
            if blocked {
                self.finished = true;
                tell(Event::Finish(Stop::Refusal));
            }
            return;
        };
        let parts = candidate.get("content").and_then(|content| content.get("parts"));
        for part in parts.map(Json::elements).unwrap_or_default() {
            self.part(part, tell);
        }
        if let Some(reason) = candidate.text("finishReason") {
            self.finished = true;
            match answer::stop(reason, self.calls) {
                Ok(stop) => tell(Event::Finish(stop)),
                Err(fault) => tell(Event::Error(fault)),
            }
        }
    }

    fn part(&mut self, part: &Json<'_>, tell: &mut dyn FnMut(Event<'_>)) {
        let either = |camel, snake| part.get(camel).or_else(|| part.get(snake));
        let text = part.text("text").filter(|text| !text.is_empty());
        let signature = either("thoughtSignature", "thought_signature").and_then(Json::as_str);
        let seal = signature.map(|value| Event::Seal(answer::signature(Cow::Borrowed(value))));
        if part.get("thought").and_then(Json::as_bool) == Some(true) {
            if let Some(text) = text {
                tell(Event::Thinking(Cow::Borrowed(text)));
            }
            if let Some(seal) = seal {
                tell(seal);
            }
            return;
        }
        if let Some(seal) = seal {
            tell(seal);
        }
        if let Some(text) = text {
            tell(Event::Text(Cow::Borrowed(text)));
        }
        if let Some(call) = either("functionCall", "function_call") {
            self.calls = true;
            let text = |key| Cow::Borrowed(call.text(key).unwrap_or_default());
            tell(Event::Call { id: text("id"), name: text("name"), namespace: None, is_custom: false });
            let args = call.get("args").map_or_else(|| "{}".to_owned(), Json::to_text);
            tell(Event::Arguments(args.into()));
            tell(Event::BlockEnd);
        }
    }

    /// The stream has ended.
    pub(crate) fn finish(&mut self, tell: &mut dyn FnMut(Event<'_>)) {
        if self.finished {
            tell(Event::End);
        }
    }
}
