//! A relay key as an operator knows it. What a node must know of it is built in `snapshot`; its wire form is in `wire`.

use std::collections::BTreeMap;

use proto::rules::key_hash::Digest;
use serde::{Deserialize, Serialize};

use crate::{limit::Limit, record::Record, secret};

mod wire;

pub use wire::WRITABLE;
pub(crate) use wire::multipliers;

/// How long a binned key is kept where the settings say nothing, days.
pub const BIN_DAYS: u32 = 30;

/// A relay key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Key {
    /// Id (UUID).
    pub id: String,
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Labels.
    pub tags: Vec<String>,
    /// Owner; empty: the deployment's own.
    pub owner_user_id: String,
    /// Whether it was switched off by hand.
    pub disabled: bool,
    /// When it ends.
    pub expiration: Option<Expiration>,
    /// Platform families; empty: all.
    pub permissions: Vec<String>,
    /// Models.
    pub models: Option<ModelRule>,
    /// Client kinds; empty: all.
    pub clients: Vec<String>,
    /// Networks; empty: all.
    pub networks: Vec<String>,
    /// By platform family.
    pub account_binding: BTreeMap<String, AccountBinding>,
    /// Limits.
    pub limits: Vec<Limit>,
    /// By service.
    pub service_multipliers: BTreeMap<String, f64>,
    /// Secrets that work or did: the newest first.
    pub secrets: Vec<KeySecret>,
    /// First characters of the newest secret.
    pub secret_hint: String,
    /// Waiting instead of refusal.
    pub queue: Option<Queue>,
    /// Icon.
    pub icon: String,
    /// Rises when its limits are reset by hand.
    pub limits_generation: u64,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
    /// When a person or job last changed it, Unix milliseconds.
    pub updated_at_ms: i64,
    /// When it was moved to the recycle bin, Unix milliseconds.
    pub deleted_at_ms: Option<i64>,
}

/// The digest of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySecret {
    /// `hmac-sha256` or `v1-sha256`.
    pub scheme: String,
    /// What it is found by.
    #[serde(with = "secret::digest_hex")]
    pub digest: Digest,
    /// Unix milliseconds until which it works; `None`: no end.
    #[serde(default)]
    pub until_ms: Option<i64>,
}

/// When a key ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "lowercase")]
pub enum Expiration {
    /// At a time.
    Fixed {
        /// Unix milliseconds.
        expires_at_ms: i64,
    },
    /// A while after its first request.
    Activation {
        /// Its life, milliseconds.
        duration_ms: i64,
        /// When the first request came, Unix milliseconds.
        #[serde(default)]
        activated_at_ms: Option<i64>,
    },
}

impl Expiration {
    /// When the key ends, Unix milliseconds; `None` while the first request has not come.
    pub fn ends_at_ms(&self) -> Option<i64> {
        match *self {
            Self::Fixed { expires_at_ms } => Some(expires_at_ms),
            Self::Activation { duration_ms, activated_at_ms } => {
                activated_at_ms.map(|at| at.saturating_add(duration_ms))
            }
        }
    }
}

/// Which models may be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRule {
    /// Whether the patterns are refused instead of required.
    pub deny: bool,
    /// Names with `*`.
    pub patterns: Vec<String>,
}

/// Where a family's requests go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountBinding {
    /// The one account; empty: the groups.
    pub account: String,
    /// Groups in order.
    pub groups: Vec<String>,
    /// Whether the shared pool may serve when none of the above can.
    pub fallback_to_pool: bool,
}

/// How requests wait when concurrency is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Whether they wait.
    pub enabled: bool,
    /// How many at once.
    pub max_size: u32,
    /// How long one, milliseconds.
    pub timeout_ms: i64,
}

impl Key {
    /// `active`, `disabled`, `expired` or `deleted`, as of a time in Unix milliseconds.
    pub fn status(&self, now_ms: i64) -> &'static str {
        if self.deleted_at_ms.is_some() {
            "deleted"
        } else if self.disabled {
            "disabled"
        } else if self.ends_at_ms().is_some_and(|end| end <= now_ms) {
            "expired"
        } else {
            "active"
        }
    }

    /// When it ends, Unix milliseconds; `None`: never, or its first request has not come.
    pub fn ends_at_ms(&self) -> Option<i64> {
        self.expiration.as_ref().and_then(Expiration::ends_at_ms)
    }

    /// Notes the first request of a key that ends a while after it; the earliest wins. Says whether anything changed.
    pub fn activate(&mut self, at_ms: i64) -> bool {
        let Some(Expiration::Activation { activated_at_ms, .. }) = &mut self.expiration else { return false };
        if activated_at_ms.is_some_and(|earlier| earlier <= at_ms) {
            return false;
        }
        *activated_at_ms = Some(at_ms);
        true
    }

    /// Gives the key a new secret. What works now goes on until `overlap_ms` from `now_ms`; 0: not at all.
    pub fn rotate(
        &mut self,
        scheme: &str,
        digest: Digest,
        secret_hint: String,
        overlap_ms: i64,
        now_ms: i64,
    ) {
        let until = now_ms.saturating_add(overlap_ms);
        for old in &mut self.secrets {
            old.until_ms = Some(old.until_ms.map_or(until, |end| end.min(until)));
        }
        self.secrets.retain(|old| old.until_ms.is_none_or(|end| end > now_ms));
        self.secrets.insert(0, KeySecret { scheme: scheme.to_owned(), digest, until_ms: None });
        self.secret_hint = secret_hint;
    }

    /// Until when a secret before the newest still works, Unix milliseconds; `None`: none does.
    pub fn previous_secret_until_ms(&self, now_ms: i64) -> Option<i64> {
        self.secrets.iter().filter_map(|secret| secret.until_ms).filter(|end| *end > now_ms).max()
    }
}

impl Record for Key {
    const KIND: &'static str = "key";
    const SEALED: bool = false;

    fn id(&self) -> &str {
        &self.id
    }

    /// A secret belongs to one key at most, also while the key is in the recycle bin.
    fn indexes(&self) -> Vec<(&'static str, String)> {
        self.secrets
            .iter()
            .map(|secret| ("secret", format!("{}:{}", secret.scheme, hex::encode(secret.digest.0))))
            .collect()
    }

    fn audit_view(&self) -> serde_json::Value {
        let mut view = serde_json::to_value(self).unwrap_or_default();
        for digest in view["secrets"].as_array_mut().into_iter().flatten() {
            digest["digest"] = secret::MASK.into();
        }
        view
    }
}

#[cfg(test)]
mod tests;
