//! Why a request is not admitted: the limit, its figures, and when it resets.

use std::sync::Arc;

use proto::rules::{
    quota::{Meter, store::Exhausted},
    window,
};

use crate::Demand;

/// A refusal that explains itself. Times in milliseconds from now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit {limit_id} ({}): {used} used and {leased} held of {amount}", meter.as_str())]
pub struct Refusal {
    /// The limit that refused.
    pub limit_id: Arc<str>,
    /// What it counts.
    pub meter: Meter,
    /// Over what time; `None`: concurrency.
    pub window: Option<window::Spec>,
    /// Its bound.
    pub amount: i64,
    /// What the request would have taken.
    pub needed: i64,
    /// Used in this window by all nodes, as far as reported.
    pub used: i64,
    /// Held by all nodes and not reported used; for concurrency: slots.
    pub leased: i64,
    /// When the window ends; `None`: never, or concurrency, or not known.
    pub resets_in_ms: Option<i64>,
    /// When it makes sense to come back.
    pub retry_after_ms: i64,
    /// It is not the limit that refused: the control plane could not be asked (503, not 429).
    pub control_lost: bool,
}

impl Refusal {
    /// The control plane could not be asked.
    pub(crate) fn control_lost(demand: &Demand<'_>) -> Self {
        Self { control_lost: true, retry_after_ms: 1000, ..Self::of(demand) }
    }

    /// The store had nothing free; it is asked again at `at`, the window ends at `resets_at`.
    pub(crate) fn exhausted(
        demand: &Demand<'_>,
        said: &Exhausted,
        at: i64,
        resets_at: Option<i64>,
        now: i64,
    ) -> Self {
        let resets_in_ms = resets_at.map(|at| (at - now).max(0));
        // A slot may come free at any time: v1's clients know "in a second".
        let retry_after_ms = match demand.limit.kind {
            Meter::Concurrency => 1000,
            _ => (at - now).max(1),
        };
        Self { used: said.used, leased: said.leased, resets_in_ms, retry_after_ms, ..Self::of(demand) }
    }

    fn of(demand: &Demand<'_>) -> Self {
        let limit = demand.limit;
        Self {
            limit_id: limit.limit_id.clone(),
            meter: limit.kind,
            window: limit.window,
            amount: limit.amount,
            needed: demand.units,
            used: 0,
            leased: 0,
            resets_in_ms: None,
            retry_after_ms: 1000,
            control_lost: false,
        }
    }
}
