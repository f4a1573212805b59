//! An upstream account, as a node must know it to use it. Its health lives with the scheduler, keyed by id.

use std::{collections::BTreeMap, sync::Arc};

use proto::rules::ids::{AccountId, GroupId, PlatformSlug};
use secrecy::SecretString;

use crate::{Pattern, from_proto::Source};

/// What the platform registry knows of a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Family that key permissions and bindings speak of.
    pub family: &'static str,
    /// Service that multipliers speak of.
    pub service: &'static str,
    /// Dialect that it is best spoken to in.
    pub dialect: &'static str,
    /// Others that it speaks as well.
    pub also: Vec<&'static str>,
}

/// The platform registry, seen from here: this crate knows no platform.
pub trait PlatformFacts: Send + Sync {
    /// Facts of a platform; `None` when this release does not know it.
    fn facts(&self, slug: &str) -> Option<Facts>;
}

/// For whom an account may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Anyone who may use the pool.
    Shared,
    /// Only keys that name it.
    Dedicated,
    /// Only keys that name a group it is in.
    Group,
}

/// An upstream account.
#[derive(Debug)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its platform.
    pub platform: PlatformSlug,
    /// Family of its platform.
    pub family: &'static str,
    /// Service of its platform.
    pub service: &'static str,
    /// Dialect of its platform.
    pub dialect: &'static str,
    /// Others that its platform speaks as well.
    pub also: Vec<&'static str>,
    /// Its name, for the access log.
    pub name: Arc<str>,
    /// Where it answers; empty: the platform's own address.
    pub base_url: String,
    /// By credential field.
    pub credentials: BTreeMap<String, SecretString>,
    /// The way out; none: directly.
    pub proxy_url: Option<SecretString>,
    /// Lower is preferred.
    pub priority: i32,
    /// Share among equals, at least 1.
    pub weight: u32,
    /// Requests at once over all nodes; none: no cap.
    pub max_concurrency: Option<u32>,
    /// Whether it may be chosen.
    pub schedulable: bool,
    /// `active`, `disabled`, `rate_limited`, `overloaded`, `unauthorized`, `forbidden` or `error`.
    pub status: String,
    /// Unix milliseconds at which the status ends by itself; none: only by hand or by a success.
    pub status_until_ms: Option<i64>,
    /// Model asked for to model sent.
    pub model_mapping: BTreeMap<String, String>,
    /// Models served; empty: all of its platform.
    pub supported_models: Vec<Pattern>,
    /// Groups it is in.
    pub groups: Vec<GroupId>,
    /// Sent instead of the client's user agent.
    pub user_agent: Option<String>,
    /// Unix milliseconds of the subscription's end; none: no end.
    pub expires_at_ms: Option<i64>,
    /// For whom.
    pub availability: Availability,
    /// Whether to read on after the client left, to learn the true usage.
    pub read_on_after_abort: bool,
    /// Blocked model families, with until when in Unix milliseconds.
    pub family_blocks: BTreeMap<String, i64>,
    /// Rises when its state is reset by hand.
    pub state_generation: u64,
    pub(crate) source: Source,
}

impl Account {
    /// Whether it serves a model, as far as its own list says.
    pub fn serves(&self, model: &str) -> bool {
        self.supported_models.is_empty() || self.supported_models.iter().any(|pattern| pattern.matches(model))
    }

    /// Whether it can be spoken to in a dialect, as far as its platform says.
    pub fn speaks(&self, dialect: &str) -> bool {
        self.dialect == dialect || self.also.contains(&dialect)
    }

    /// Whether its subscription has ended.
    pub fn expired(&self, now_ms: i64) -> bool {
        self.expires_at_ms.is_some_and(|end| end <= now_ms)
    }
}
