//! Reads the events of streamed Messages answers.

use std::borrow::Cow;

use super::answer;
use crate::{
    json::Json,
    neutral::{Event, Fault, Usage},
};

/// Reads one stream.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    usage: Usage,
    /// Whether the open block is one that nobody is told of.
    skips: bool,
    /// Whether the open call's input has come in pieces; where none came it stands in the block's beginning.
    pieces: bool,
    input: Option<String>,
    is_call: bool,
}

impl Reader {
    /// Reads an event's data.
    pub(crate) fn event(&mut self, data: &Json<'_>, tell: &mut dyn FnMut(Event<'_>)) {
        match data.text("type").unwrap_or_default() {
            "message_start" => {
                let message = data.get("message").unwrap_or(&Json::Null);
                let text = |key| Cow::Borrowed(message.text(key).unwrap_or_default());
                answer::update_usage(&mut self.usage, message.get("usage"));
                tell(Event::Start { id: text("id"), model: text("model") });
                tell(Event::Usage(self.usage));
            }
            "content_block_start" => self.start(data.get("content_block").unwrap_or(&Json::Null), tell),
            "content_block_delta" => self.delta(data.get("delta").unwrap_or(&Json::Null), tell),
            "content_block_stop" => {
                if let Some(input) = self.input.take().filter(|_| !self.pieces) {
                    tell(Event::Arguments(input.into()));
                }
                if !std::mem::take(&mut self.skips) {
                    tell(Event::BlockEnd);
                }
                self.is_call = false;
            }
            "message_delta" => {
                answer::update_usage(&mut self.usage, data.get("usage"));
                tell(Event::Usage(self.usage));
                if let Some(delta) = data.get("delta") {
                    let sequence = delta.text("stop_sequence").map(Cow::Borrowed);
                    if let Some(reason) = delta.text("stop_reason") {
                        tell(Event::Finish(answer::stop(reason, sequence)));
                    }
                }
            }
            "message_stop" => tell(Event::End),
            "error" => {
                let error = data.get("error").unwrap_or(&Json::Null);
                let text = |key, other| Cow::Borrowed(error.text(key).unwrap_or(other));
                let fault = Fault { kind: text("type", "api_error"), message: text("message", "") };
                tell(Event::Error(fault));
            }
            _ => {}
        }
    }

    fn start(&mut self, block: &Json<'_>, tell: &mut dyn FnMut(Event<'_>)) {
        let text = |key| Cow::Borrowed(block.text(key).unwrap_or_default());
        (self.skips, self.pieces, self.input, self.is_call) = (false, false, None, false);
        match block.text("type").unwrap_or_default() {
            "text" => {
                let text = text("text");
                if !text.is_empty() {
                    tell(Event::Text(text));
                }
            }
            "thinking" => {
                tell(Event::Thinking(text("thinking")));
                let signature = text("signature");
                if !signature.is_empty() {
                    tell(Event::Seal(answer::signature(signature)));
                }
            }
            "redacted_thinking" => tell(Event::Seal(answer::redacted(text("data")))),
            "tool_use" => {
                let (id, name) = (text("id"), text("name"));
                tell(Event::Call { id, name, namespace: None, is_custom: false });
                self.is_call = true;
                self.input = block.get("input").map(Json::to_text).filter(|input| input != "{}");
            }
            _ => self.skips = true,
        }
    }

    fn delta(&mut self, delta: &Json<'_>, tell: &mut dyn FnMut(Event<'_>)) {
        if self.skips {
            return;
        }
        let text = |key| Cow::Borrowed(delta.text(key).unwrap_or_default());
        match delta.text("type").unwrap_or_default() {
            "text_delta" => tell(Event::Text(text("text"))),
            "thinking_delta" => tell(Event::Thinking(text("thinking"))),
            "signature_delta" => tell(Event::Seal(answer::signature(text("signature")))),
            "input_json_delta" if self.is_call => {
                let piece = text("partial_json");
                self.pieces |= !piece.is_empty();
                tell(Event::Arguments(piece));
            }
            _ => {}
        }
    }
}
