//! The quota machine: how the budget of one meter is shared between nodes without ever being over-admitted. Two pure
//! halves (no clock, no network, `now` is a parameter), tested against each other by a randomised model:
//!
//! * [`store`]: one [`store::Row`] per meter, the truth. A store applies [`store::Op`]s to it, one at a time.
//! * [`node`]: one [`node::Lease`] per meter and node: what the node may admit without asking.
//!
//! The invariant is one sum: over all holders of a row, `granted - returned`, plus what is settled, never exceeds the
//! amount; and a node admits only while `spent + in use < granted - returned`. Amounts are running totals of one (epoch,
//! meter, window, generation), of which both sides only ever believe the larger, so that messages may be lost, doubled
//! or late. Nothing here depends on how fast they are: speed only decides how soon budget is free again.

pub mod node;
pub mod store;
mod wire;

use serde::{Deserialize, Serialize};

/// What a meter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// Requests over a window.
    Requests,
    /// Requests at once.
    Concurrency,
}

impl Meter {
    /// The word in `types::Limit.meter`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Concurrency => "concurrency",
        }
    }

    /// The meter of that name, if this release enforces it.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Requests, Self::Concurrency].into_iter().find(|meter| meter.as_str() == name)
    }
}

/// The least time between two reclaim rounds of one meter, milliseconds.
pub const RECLAIM_ROUND_MS: i64 = 100;

#[cfg(test)]
mod model;
