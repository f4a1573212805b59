//! The tap of an answer that is one JSON document: its usage, model and error are kept, its text only counted.

use super::Tapped;
use crate::{Dialect, anthropic, fields::Fields, gemini, openai_chat, usage::Counts};

const ANTHROPIC: &[&str] = &["type", "model", "usage", "error"];
const OPENAI: &[&str] = &["id", "model", "usage", "error", "service_tier", "status"];
const GEMINI: &[&str] =
    &["usageMetadata", "modelVersion", "error", "response.usageMetadata", "response.modelVersion"];

#[derive(Debug)]
pub(super) struct Whole {
    dialect: Dialect,
    fields: Fields,
    bytes: u64,
    broken: bool,
}

impl Whole {
    pub(super) fn new(dialect: Dialect) -> Self {
        let wanted = match dialect {
            Dialect::AnthropicMessages => ANTHROPIC,
            Dialect::OpenaiChat | Dialect::OpenaiResponses => OPENAI,
            Dialect::Gemini => GEMINI,
        };
        Self { dialect, fields: Fields::new(wanted), bytes: 0, broken: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if !self.broken {
            self.broken = self.fields.push(bytes).is_err();
        }
    }

    pub(super) fn finish(self) -> Tapped {
        let tapped = match self.dialect {
            Dialect::AnthropicMessages => self.anthropic(),
            Dialect::OpenaiChat | Dialect::OpenaiResponses => self.openai(),
            Dialect::Gemini => self.gemini(),
        };
        Tapped { complete: self.fields.is_done() && !self.broken, text_bytes: self.bytes, ..tapped }
    }

    pub(super) fn answer_id(&self) -> Option<String> {
        self.text("id").filter(|_| self.dialect == Dialect::OpenaiResponses)
    }

    fn raw(&self, key: &str) -> Option<&[u8]> {
        self.fields.get(key).filter(|raw| *raw != b"null")
    }

    fn text(&self, key: &str) -> Option<String> {
        serde_json::from_slice(self.raw(key)?).ok()
    }

    /// The error within, as if it were alone.
    fn error_alone(&self) -> Vec<u8> {
        [b"{\"error\":", self.raw("error").unwrap_or(b"null"), b"}"].concat()
    }

    fn anthropic(&self) -> Tapped {
        let counts = self.raw("usage").map(Counts::parse);
        let is_error = self.raw("type").is_some_and(|raw| raw != b"\"message\"")
            && self.text("type").as_deref() == Some("error");
        let is_error = self.raw("error").is_some() || is_error;
        Tapped {
            model: self.text("model"),
            usage_final: counts.as_ref().is_some_and(|counts| counts.output.is_some()),
            error: is_error.then(|| anthropic::error::read(&self.error_alone())),
            ..Tapped::default()
        }
        .with_counts(counts.unwrap_or_default())
    }

    fn openai(&self) -> Tapped {
        let counts = self
            .raw("usage")
            .map(|raw| Counts { service_tier: self.text("service_tier"), ..openai_chat::usage::parse(raw) });
        Tapped {
            answer_id: self.answer_id(),
            model: self.text("model").filter(|model| !model.is_empty()),
            usage_final: counts.is_some(),
            error: self.raw("error").map(|_| openai_chat::error::read(&self.error_alone())),
            ..Tapped::default()
        }
        .with_counts(counts.unwrap_or_default())
    }

    fn gemini(&self) -> Tapped {
        let usage = self.raw("usageMetadata").or_else(|| self.raw("response.usageMetadata"));
        let counts = usage.map(gemini::usage::parse);
        Tapped {
            model: self.text("modelVersion").or_else(|| self.text("response.modelVersion")),
            usage_final: counts.is_some(),
            error: self.raw("error").map(|_| gemini::error::read(&self.error_alone())),
            ..Tapped::default()
        }
        .with_counts(counts.unwrap_or_default())
    }
}
