//! A permission that a person was asked for and has not given yet: what the code that comes back is exchanged with.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{account::Account, record::Record, secret};

/// How long a person may take, milliseconds.
pub const KEPT_MS: i64 = 600_000;

/// One such request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct OauthSession {
    /// Its id: random.
    pub id: String,
    /// Id of the account that is authorised again; empty: a new one is to be made.
    pub account_id: String,
    /// The account as it was given: its platform, address, proxy and credentials.
    pub draft: Account,
    /// PKCE's verifier.
    #[serde(with = "secret::stored")]
    pub verifier: SecretString,
    /// Comes back with the code.
    pub state: String,
    /// Whether a token that lasts a year is wanted.
    pub long_lived: bool,
    /// When it may be forgotten, Unix milliseconds.
    pub expires_at_ms: i64,
}

impl Default for OauthSession {
    fn default() -> Self {
        Self {
            id: String::new(),
            account_id: String::new(),
            draft: Account::default(),
            verifier: SecretString::from(""),
            state: String::new(),
            long_lived: false,
            expires_at_ms: 0,
        }
    }
}

impl Record for OauthSession {
    const KIND: &'static str = "oauth_session";
    const SEALED: bool = true;
    const AUDITED: bool = false;

    fn id(&self) -> &str {
        &self.id
    }

    fn expires_at_ms(&self) -> Option<i64> {
        Some(self.expires_at_ms)
    }

    fn audit_view(&self) -> serde_json::Value {
        serde_json::json!({ "id": self.id, "account_id": self.account_id, "draft": self.draft.audit_view() })
    }
}
