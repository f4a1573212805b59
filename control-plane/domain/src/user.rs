//! A person who may log in.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{record::Record, role::Role, secret};

/// The index by login name.
pub const BY_NAME: &str = "username";

/// A person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// Id (UUID).
    pub id: String,
    /// Login name as it is shown.
    pub username: String,
    /// Standing.
    pub role: Role,
    /// Whether logging in is refused.
    #[serde(default)]
    pub disabled: bool,
    /// argon2id, as a PHC string.
    #[serde(with = "secret::stored")]
    pub password_hash: SecretString,
    /// When the password was last changed, Unix milliseconds.
    #[serde(default)]
    pub password_changed_at_ms: i64,
    /// When the record was made, Unix milliseconds.
    #[serde(default)]
    pub created_at_ms: i64,
    /// When a person or job last changed it, Unix milliseconds.
    #[serde(default)]
    pub updated_at_ms: i64,
}

/// A login name as it is compared: without case.
pub fn name_key(username: &str) -> String {
    username.trim().to_lowercase()
}

impl Record for User {
    const KIND: &'static str = "user";
    const SEALED: bool = true;

    fn id(&self) -> &str {
        &self.id
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        vec![(BY_NAME, name_key(&self.username))]
    }

    fn audit_view(&self) -> serde_json::Value {
        let mut view = serde_json::to_value(self).unwrap_or_default();
        view["password_hash"] = secret::MASK.into();
        view
    }
}
