//! Whether a chat request asks for its stream's usage, and if not, by which splice it does.

use std::ops::Range;

use super::Splice;
use crate::openai_chat::include_usage::{ALONE, FIRST, TRUE, VALUE, WHOLE};

#[derive(Debug, Default)]
pub(super) struct Asking {
    asks: bool,
    splice: Option<Splice>,
}

impl Asking {
    /// The body's object opens here.
    pub(super) fn opened(&mut self, at: usize) {
        self.splice = Some((at + 1..at + 1, WHOLE));
    }

    /// `stream_options` is an object that opens here.
    pub(super) fn options(&mut self, at: usize) {
        self.splice = Some((at + 1..at + 1, ALONE));
    }

    /// It has a key.
    pub(super) fn has_options(&mut self) {
        if let Some((_, with)) = &mut self.splice
            && *with == ALONE
        {
            *with = FIRST;
        }
    }

    /// `stream_options` is `null`.
    pub(super) fn none(&mut self, value: Range<usize>) {
        self.splice = Some((value, VALUE));
    }

    /// `include_usage` says so, or not.
    pub(super) fn asks(&mut self, yes: bool, value: Range<usize>) {
        self.asks = yes;
        self.splice = Some((value, TRUE));
    }

    pub(super) fn splice(&self) -> Option<Splice> {
        self.splice.clone().filter(|_| !self.asks)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Dialect, peek};

    #[test]
    fn every_way_not_to_ask_becomes_one_to_ask() {
        for (body, expected) in [
            (r#"{"model":"m"}"#, r#"{"stream_options":{"include_usage":true},"model":"m"}"#),
            (r#" { "model":"m"}"#, r#" {"stream_options":{"include_usage":true}, "model":"m"}"#),
            (r#"{"stream_options":null,"a":1}"#, r#"{"stream_options":{"include_usage":true},"a":1}"#),
            (r#"{"stream_options":{ }}"#, r#"{"stream_options":{"include_usage":true }}"#),
            (
                r#"{"stream_options":{"include_obfuscation":false}}"#,
                r#"{"stream_options":{"include_usage":true,"include_obfuscation":false}}"#,
            ),
            (
                r#"{"stream_options":{"include_usage" : false}}"#,
                r#"{"stream_options":{"include_usage" : true}}"#,
            ),
            (
                r#"{"stream_options":{"x":1,"include_usage":null}}"#,
                r#"{"stream_options":{"x":1,"include_usage":true}}"#,
            ),
        ] {
            let found = peek::peek(Dialect::OpenaiChat, body.as_bytes()).unwrap();
            let (range, with) = found.usage_splice.unwrap_or_else(|| panic!("{body}"));
            let spliced = format!("{}{with}{}", &body[..range.start], &body[range.end..]);
            assert_eq!(spliced, expected);
            let again = peek::peek(Dialect::OpenaiChat, spliced.as_bytes()).unwrap();
            assert_eq!(again.usage_splice, None, "{spliced}");
        }
        for dialect in [Dialect::AnthropicMessages, Dialect::OpenaiResponses, Dialect::Gemini] {
            assert_eq!(peek::peek(dialect, br#"{"model":"m"}"#).unwrap().usage_splice, None);
        }
    }
}
