//! A note that a request id was seen, so that a repeated creation makes nothing twice.

use serde::{Deserialize, Serialize};

use crate::{record::Record, secret};

/// How long a request id is remembered: a day, milliseconds.
pub const KEPT_MS: i64 = 86_400_000;

/// What a request id made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdempotencyKey {
    /// Digest of who asked, the method and the request id.
    pub id: String,
    /// Id of what was made.
    pub made: String,
    /// Digest of what was asked: the same request id for something else is refused.
    pub asked: String,
    /// When it may be forgotten, Unix milliseconds.
    pub expires_at_ms: i64,
}

impl IdempotencyKey {
    /// The id of the note on a request id: those of different callers and methods do not meet.
    pub fn id_of(caller: &str, method: &str, request_id: &str) -> String {
        secret::digest(&format!("{}:{caller}{}:{method}{request_id}", caller.len(), method.len()))
    }
}

impl Record for IdempotencyKey {
    const KIND: &'static str = "idempotency_key";
    const SEALED: bool = false;
    const AUDITED: bool = false;

    fn id(&self) -> &str {
        &self.id
    }

    fn expires_at_ms(&self) -> Option<i64> {
        Some(self.expires_at_ms)
    }

    fn audit_view(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
