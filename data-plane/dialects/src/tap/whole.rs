//! The tap of an answer that is one JSON document: its usage, model and error are kept, its text only counted.

use super::Tapped;
use crate::{anthropic::error, anthropic::usage::Counts, fields::Fields};

#[derive(Debug)]
pub(super) struct Whole {
    fields: Fields,
    bytes: u64,
    broken: bool,
}

impl Whole {
    pub(super) fn new() -> Self {
        Self { fields: Fields::new(&["type", "model", "usage", "error"]), bytes: 0, broken: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if !self.broken {
            self.broken = self.fields.push(bytes).is_err();
        }
    }

    pub(super) fn finish(self) -> Tapped {
        let raw = |key| self.fields.get(key).filter(|raw| *raw != b"null");
        let text = |key| raw(key).and_then(|raw| serde_json::from_slice::<String>(raw).ok());
        let counts = raw("usage").map(Counts::parse);
        let is_error =
            raw("type").is_some_and(|raw| raw != b"\"message\"") && text("type").as_deref() == Some("error");
        let error = (raw("error").is_some() || is_error)
            .then(|| error::read(&[b"{\"error\":", raw("error").unwrap_or(b"null"), b"}"].concat()));
        Tapped {
            model: text("model"),
            complete: self.fields.is_done() && !self.broken,
            usage_final: counts.as_ref().is_some_and(|counts| counts.output.is_some()),
            error,
            text_bytes: self.bytes,
            ..Tapped::default()
        }
        .with_counts(counts.unwrap_or_default())
    }
}
