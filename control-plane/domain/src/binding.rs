//! The word that session bindings were dropped: nodes forget what they hold of them. It goes to them as every change
//! of the configuration does, in order and across replicas and lost connections, and is kept for a while only.

use serde::{Deserialize, Serialize};

use crate::record::Record;

/// How long the word is kept, milliseconds. A node that was away for longer asks again about every binding it uses.
pub const KEPT_MS: i64 = 3_600_000;

/// Which bindings were dropped: all that match what is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BindingDrop {
    /// Id (UUID).
    pub id: String,
    /// Of this key; empty: any.
    pub key_id: String,
    /// To this account; empty: any.
    pub account_id: String,
    /// In this platform family; empty: any.
    pub family: String,
    /// Of this session, hexadecimal; empty: any.
    pub session: String,
    /// How many there were.
    pub dropped: u64,
    /// When, Unix milliseconds.
    pub at_ms: i64,
}

impl Record for BindingDrop {
    const KIND: &'static str = "binding_drop";
    const SEALED: bool = false;

    fn id(&self) -> &str {
        &self.id
    }

    fn expires_at_ms(&self) -> Option<i64> {
        Some(self.at_ms.saturating_add(KEPT_MS))
    }

    fn audit_view(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
