//! Tokens for programs (`crs_at_…`) and for nodes (`crs_jt_…`). Only their digests are kept.

use proto::admin;
use serde::{Deserialize, Serialize};

use crate::{
    record::Record,
    role::Role,
    secret::{self, Minted, NoRandomness},
    time,
};

/// Prefix of tokens for programs.
pub const TOKEN_PREFIX: &str = "crs_at_";
/// Prefix of join tokens.
pub const JOIN_PREFIX: &str = "crs_jt_";
/// The index by digest.
pub const BY_DIGEST: &str = "secret";

/// A token for a program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Token {
    /// Id (UUID).
    pub id: String,
    /// Name.
    pub name: String,
    /// Standing, not above its maker's at that time.
    pub role: Role,
    /// Digest of the whole token.
    pub digest: String,
    /// Who made it: an actor as in the audit log.
    pub created_by: String,
    /// Id of the user behind it; it falls with the user.
    #[serde(default)]
    pub user_id: String,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
    /// When it ends, Unix milliseconds.
    #[serde(default)]
    pub expires_at_ms: Option<i64>,
}

/// How long a join token is kept after its end, milliseconds: so long its nodes are told that it has ended, where an
/// unknown one is only refused.
const TOLD_MS: i64 = 30 * 86_400_000;

/// A token with which nodes join. It is a node's standing identity: when it ends, its nodes are out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JoinToken {
    /// Id (UUID).
    pub id: String,
    /// Name.
    pub name: String,
    /// Digest of the whole token.
    pub digest: String,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
    /// When it ends, Unix milliseconds.
    #[serde(default)]
    pub expires_at_ms: Option<i64>,
    /// The one node name that may use it; empty: any.
    #[serde(default)]
    pub node_name: String,
    /// When it was revoked, Unix milliseconds.
    #[serde(default)]
    pub revoked_at_ms: Option<i64>,
}

impl Token {
    /// The id that a presented text names; `None` when it is no token for programs.
    pub fn id_of(text: &str) -> Option<String> {
        secret::minted_id(TOKEN_PREFIX, text)
    }

    /// Whether a presented text is this token and it holds at a time. Takes the same time whatever differs.
    pub fn accepts(&self, text: &str, now_ms: i64) -> bool {
        secret::same(&secret::digest(text), &self.digest) && self.expires_at_ms.is_none_or(|end| end > now_ms)
    }

    /// On the wire.
    pub fn to_wire(&self) -> admin::Token {
        admin::Token {
            id: self.id.clone(),
            name: self.name.clone(),
            role: self.role.as_str().into(),
            created_at: Some(time::to_wire(self.created_at_ms)),
            expires_at: self.expires_at_ms.map(time::to_wire),
            created_by: self.created_by.clone(),
        }
    }
}

impl JoinToken {
    /// A new join token and its text.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn mint(
        name: String,
        node_name: String,
        expires_at_ms: Option<i64>,
        now_ms: i64,
    ) -> Result<(Self, Minted), NoRandomness> {
        let minted = secret::mint(JOIN_PREFIX)?;
        let token = Self {
            id: minted.id.clone(),
            name,
            digest: minted.digest.clone(),
            created_at_ms: now_ms,
            expires_at_ms,
            node_name,
            revoked_at_ms: None,
        };
        Ok((token, minted))
    }

    /// The id that a presented text names; `None` when it is no join token.
    pub fn id_of(text: &str) -> Option<String> {
        secret::minted_id(JOIN_PREFIX, text)
    }

    /// Whether a presented text is this token, holding or ended. Takes the same time whatever differs.
    pub fn is(&self, text: &str) -> bool {
        secret::same(&secret::digest(text), &self.digest)
    }

    /// Whether it has ended at a time: was revoked, or has expired.
    pub fn has_ended(&self, now_ms: i64) -> bool {
        self.revoked_at_ms.is_some() || self.expires_at_ms.is_some_and(|end| end <= now_ms)
    }

    /// On the wire.
    pub fn to_wire(&self) -> admin::JoinToken {
        admin::JoinToken {
            id: self.id.clone(),
            name: self.name.clone(),
            created_at: Some(time::to_wire(self.created_at_ms)),
            expires_at: self.expires_at_ms.map(time::to_wire),
            node_name: self.node_name.clone(),
            revoked_at: self.revoked_at_ms.map(time::to_wire),
        }
    }
}

fn masked<T: Serialize>(token: &T) -> serde_json::Value {
    let mut view = serde_json::to_value(token).unwrap_or_default();
    view["digest"] = secret::MASK.into();
    view
}

impl Record for Token {
    const KIND: &'static str = "token";
    const SEALED: bool = false;

    fn id(&self) -> &str {
        &self.id
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        vec![(BY_DIGEST, self.digest.clone())]
    }

    fn expires_at_ms(&self) -> Option<i64> {
        self.expires_at_ms
    }

    fn audit_view(&self) -> serde_json::Value {
        masked(self)
    }
}

impl Record for JoinToken {
    const KIND: &'static str = "join_token";
    const SEALED: bool = false;

    fn id(&self) -> &str {
        &self.id
    }

    fn indexes(&self) -> Vec<(&'static str, String)> {
        vec![(BY_DIGEST, self.digest.clone())]
    }

    fn expires_at_ms(&self) -> Option<i64> {
        [self.expires_at_ms, self.revoked_at_ms].into_iter().flatten().min().map(|end| end + TOLD_MS)
    }

    fn audit_view(&self) -> serde_json::Value {
        masked(self)
    }
}
