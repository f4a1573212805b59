//! A relay key, as a node must know it to admit its requests.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use limits::Compiled;
use proto::rules::{
    ids::{AccountId, GroupId, KeyId, UserId},
    key_hash::Digest,
};

use crate::{Network, Pattern, from_proto::Source};

/// How a secret was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Ours.
    HmacSha256,
    /// Version 1's.
    V1Sha256,
}

/// A hash by which a secret of the key is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash {
    /// How.
    pub scheme: Scheme,
    /// What came out.
    pub digest: Digest,
    /// Unix milliseconds until which it works; none: no end.
    pub until_ms: Option<i64>,
}

/// Which models may be asked for.
#[derive(Clone, Debug)]
pub enum ModelRule {
    /// Only those that match.
    Allow(Vec<Pattern>),
    /// All but those that match.
    Deny(Vec<Pattern>),
}

impl ModelRule {
    /// Whether a model may be asked for.
    pub fn permits(&self, model: &str) -> bool {
        let matches = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(model));
        match self {
            Self::Allow(patterns) => matches(patterns),
            Self::Deny(patterns) => !matches(patterns),
        }
    }
}

/// Where a key's requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// To one account.
    Account {
        /// The account.
        account: AccountId,
        /// Whether the pool may serve when it cannot.
        fallback_to_pool: bool,
    },
    /// To groups, tried in order.
    Groups {
        /// The groups.
        groups: Vec<GroupId>,
        /// Whether the pool may serve when they cannot.
        fallback_to_pool: bool,
    },
}

/// A bounded wait instead of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// How many may wait at once.
    pub max_size: u32,
    /// How long one may wait.
    pub timeout: Duration,
}

/// How a key stands in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It has no end.
    Endless,
    /// It works until then (Unix milliseconds).
    Until(i64),
    /// It ended then (Unix milliseconds).
    Ended(i64),
    /// Its life of so many milliseconds begins with this request, which must be reported as its first.
    Begins(i64),
}

/// A relay key.
#[derive(Debug)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// Its name, for the access log.
    pub name: Arc<str>,
    /// Hashes of the secrets that work.
    pub hashes: Vec<Hash>,
    /// Whether it is active; inactive ones are known to say why.
    pub active: bool,
    /// Unix milliseconds of its end.
    pub expires_at_ms: Option<i64>,
    /// Its life from the first request, milliseconds, while the store knows of none.
    pub activation_ms: Option<i64>,
    /// Platform families it may use; empty: all.
    pub permissions: Vec<String>,
    /// Which models; none: all.
    pub models: Option<ModelRule>,
    /// Client kinds; empty: all.
    pub clients: Vec<String>,
    /// Networks; empty: all.
    pub networks: Vec<Network>,
    /// By platform family.
    pub binding: BTreeMap<String, Binding>,
    /// Limits that its requests must pass.
    pub limits: Vec<Compiled>,
    /// By service: factor on the rated cost.
    pub multipliers: BTreeMap<String, f64>,
    /// Its owner; empty: none.
    pub user_id: UserId,
    /// Its labels.
    pub tags: Vec<String>,
    /// What it says of waiting: not said, never (`Some(None)`), or how.
    pub queue: Option<Option<Queue>>,
    /// Rises when its limits are reset by hand.
    pub limits_generation: u64,
    pub(crate) source: Source,
}

impl Key {
    /// How it stands at `now_ms`. `first_use_ms`: when this node saw its first request, if the store has not said yet.
    pub fn life(&self, now_ms: i64, first_use_ms: Option<i64>) -> Life {
        let end = match (self.expires_at_ms, self.activation_ms, first_use_ms) {
            (Some(end), _, _) => end,
            (None, Some(life), Some(first)) => first.saturating_add(life),
            (None, Some(life), None) => return Life::Begins(life),
            (None, None, _) => return Life::Endless,
        };
        if end <= now_ms { Life::Ended(end) } else { Life::Until(end) }
    }

    /// Whether it may use platforms of a family.
    pub fn permits_family(&self, family: &str) -> bool {
        self.permissions.is_empty() || self.permissions.iter().any(|permitted| permitted == family)
    }

    /// Whether it may ask for a model.
    pub fn permits_model(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|rule| rule.permits(model))
    }

    /// Whether a client of a kind may use it; `None`: the kind is not known.
    pub fn permits_client(&self, kind: Option<&str>) -> bool {
        self.clients.is_empty()
            || kind.is_some_and(|kind| self.clients.iter().any(|permitted| permitted == kind))
    }

    /// Whether it may be used from an address.
    pub fn permits_address(&self, address: IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(address))
    }

    /// How its requests wait, with the deployment's answer for keys that state none.
    pub fn queue_or(&self, default: Option<Queue>) -> Option<Queue> {
        self.queue.unwrap_or(default)
    }
}
