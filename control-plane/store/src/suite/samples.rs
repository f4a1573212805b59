//! Records that the suite stores.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Author, Record};

/// A record in clear, with an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plain {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) count: i64,
    pub(super) ends_at_ms: Option<i64>,
}

/// A sealed record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Secret {
    pub(super) id: String,
    pub(super) secret: String,
}

/// A record without audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Quiet {
    pub(super) id: String,
    pub(super) count: i64,
}

pub(super) fn plain(id: &str, name: &str) -> Plain {
    Plain { id: id.into(), name: name.into(), count: 0, ends_at_ms: None }
}

pub(super) fn author(action: &str) -> Author {
    Author { actor: "tester".into(), address: "192.0.2.7".into(), action: action.into() }
}

impl Record for Plain {
    const KIND: &'static str = "suite_plain";
    const SEALED: bool = false;

    fn id(&self) -> &str {
        &self.id
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        if self.name.is_empty() { Vec::new() } else { vec![("name", self.name.clone())] }
    }

    fn expires_at_ms(&self) -> Option<i64> {
        self.ends_at_ms
    }

    fn audit_view(&self) -> Value {
        json!({ "name": self.name, "count": self.count })
    }
}

impl Record for Secret {
    const KIND: &'static str = "suite_secret";
    const SEALED: bool = true;

    fn id(&self) -> &str {
        &self.id
    }

    fn audit_view(&self) -> Value {
        json!({ "secret": "***" })
    }
}

impl Record for Quiet {
    const KIND: &'static str = "suite_quiet";
    const SEALED: bool = false;
    const AUDITED: bool = false;

    fn id(&self) -> &str {
        &self.id
    }

    fn audit_view(&self) -> Value {
        Value::Null
    }
}
