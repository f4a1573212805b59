//! A record for tests from outside.

use serde::{Deserialize, Serialize};
use store::{Author, MasterKey, Record};

/// A sealed record with an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub id: String,
    pub text: String,
}

impl Note {
    pub fn new(id: &str) -> Self {
        Self { id: id.into(), text: format!("the text of {id}") }
    }
}

impl Record for Note {
    const KIND: &'static str = "note";
    const SEALED: bool = true;

    fn id(&self) -> &str {
        &self.id
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        vec![("text", self.text.clone())]
    }

    fn audit_view(&self) -> serde_json::Value {
        serde_json::json!({ "id": self.id })
    }
}

pub fn author() -> Author {
    Author::system("test")
}

pub fn master() -> MasterKey {
    MasterKey::parse("c29b7f1ea4d35608f1b2ce97d8406a35be7f90d12c4568a3e7910bdf26485acd").unwrap()
}
