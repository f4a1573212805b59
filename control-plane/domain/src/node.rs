//! A data-plane node as the deployment remembers it: what must outlive the replica to which it is connected.

use serde::{Deserialize, Serialize};

use crate::record::Record;

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Id, kept in the node's data directory.
    pub id: String,
    /// Name it gives itself.
    pub name: String,
    /// Release.
    pub version: String,
    /// Where it relays, as it says.
    pub listen_address: String,
    /// When this process of it began, Unix milliseconds.
    pub started_at_ms: i64,
    /// When it was first seen, Unix milliseconds.
    pub created_at_ms: i64,
    /// Whether an operator asked it to drain; ends with that process of it.
    pub drain_requested: bool,
    /// Whether it stays up when it has drained, until it is resumed.
    pub drain_stays: bool,
    /// With what it joined: `token:<id>`, `certificate` or `process`.
    pub identity: String,
}

impl Record for Node {
    const KIND: &'static str = "node";
    const SEALED: bool = false;

    fn id(&self) -> &str {
        &self.id
    }

    fn audit_view(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
