//! An upstream account, as a node must know it to use it. Its health lives with the scheduler, keyed by id.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
};

use proto::rules::{
    ids::{AccountId, GroupId, PlatformSlug},
    upstream_window::Window,
};
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
    /// The upstream's usage windows, as the control plane last told.
    pub windows: Vec<Window>,
    /// The share of a window from which the account is left alone, percent; 0: 100.
    pub window_pause_percent: u32,
    /// Where whoever works with accounts keeps its own part of this one at hand.
    pub seat: Seat,
    /// Rises with each new access token among its credentials.
    pub token_generation: u64,
    pub(crate) source: Source,
}

/// A place on an account for what its user keeps about it, found without a look-up. It is of one revision of the account:
/// what outlives a change must be kept elsewhere too.
#[derive(Default)]
pub struct Seat(OnceLock<Box<dyn Any + Send + Sync>>);

impl Seat {
    /// What was put there first, if it is of this type.
    pub fn get_or_put<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.0.get_or_init(|| Box::new(make())).downcast_ref()
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
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

    /// Whether the control plane told of nothing that could keep it from serving.
    pub fn is_plain(&self) -> bool {
        self.schedulable
            && matches!(self.status.as_str(), "active" | "")
            && self.expires_at_ms.is_none()
            && self.family_blocks.is_empty()
            && self.windows.is_empty()
    }

    /// Whether its subscription has ended.
    pub fn expired(&self, now_ms: i64) -> bool {
        self.expires_at_ms.is_some_and(|end| end <= now_ms)
    }
}
