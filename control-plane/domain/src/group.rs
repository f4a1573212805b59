//! A named set of accounts of one platform family, to which keys can be bound.

use serde::{Deserialize, Serialize};

use crate::record::Record;

/// A group of accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    /// Id (UUID).
    pub id: String,
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Platform family that its members share.
    pub family: String,
    /// Ids of its accounts, each once.
    pub members: Vec<String>,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
    /// When a person or job last changed it, Unix milliseconds.
    pub updated_at_ms: i64,
}

impl Record for Group {
    const KIND: &'static str = "group";
    const SEALED: bool = false;

    fn id(&self) -> &str {
        &self.id
    }

    fn audit_view(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
