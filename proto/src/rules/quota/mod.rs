//! The quota machine: how the budget of one meter is shared between nodes without ever being over-admitted. Two pure
//! halves (no clock, no network, `now` is a parameter), tested against each other by a randomised model:
//!
//! * [`store`]: one [`store::Row`] per meter, the truth. A store applies [`store::Op`]s to it, one at a time.
//! * [`node`]: one [`node::Lease`] per meter and node: what the node may admit without asking.
//!
//! The invariant is one sum: over all holders of a row, `granted - returned`, plus what is settled, never exceeds the
//! amount; and a node admits only while `spent + in use < granted - returned`. Amounts are running totals of one (epoch,
//! meter, window, generation), of which both sides only ever believe the larger, so that messages may be lost, doubled
//! or late. A request takes any number of units at once, all or none. Where its use is known only at its end (tokens,
//! cost) it takes an estimate and settles what it was: the sum is then exceeded by no more than what the requests in
//! flight used beyond their estimates, and what is exceeded is made good before anything else is granted. Nothing here depends on how fast they are: speed only decides how soon budget is free again.

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
    /// Tokens over a window, all kinds.
    Tokens,
    /// Nano-dollars over a window.
    Cost,
    /// Requests at once.
    Concurrency,
}

impl Meter {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Requests, Self::Tokens, Self::Cost, Self::Concurrency];

    /// The word in `types::Limit.meter`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
            Self::Concurrency => "concurrency",
        }
    }

    /// The meter of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|meter| meter.as_str() == name)
    }

    /// Whether it counts over a window; else it counts what is at once.
    pub fn has_window(self) -> bool {
        self != Self::Concurrency
    }

    /// Whether what a request uses is known only at its end: an estimate is reserved, and the difference settled.
    pub fn settles_later(self) -> bool {
        matches!(self, Self::Tokens | Self::Cost)
    }
}

/// The least time between two reclaim rounds of one meter, milliseconds.
pub const RECLAIM_ROUND_MS: i64 = 100;

#[cfg(test)]
mod model;
