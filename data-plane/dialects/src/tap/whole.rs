//! The tap of an answer that is one JSON document: its usage, model and error are kept, its text only counted.

use serde_json::Value;

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
        let value = |key| self.fields.get(key).and_then(|raw| serde_json::from_slice::<Value>(raw).ok());
        let text = |key| value(key).and_then(|value| value.as_str().map(str::to_owned));
        let counts = value("usage").filter(|usage| !usage.is_null()).map(|usage| Counts::read(&usage));
        let failed =
            value("error").is_some_and(|error| !error.is_null()) || text("type").as_deref() == Some("error");
        let error = failed.then(|| {
            let raw = self.fields.get("error").unwrap_or(b"null");
            error::read(&[b"{\"error\":", raw, b"}"].concat())
        });
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
