//! What an admitted request holds.

use std::{sync::Arc, time::Instant};

use proto::{
    rules::quota::{Meter, node::Unit},
    types,
};
use smallvec::SmallVec;

use crate::{Limits, cell::Cell};

/// A request's right to run. Requests are spent once it exists, whatever becomes of it and however many attempts it
/// takes; slots end when it is dropped.
#[derive(Debug)]
#[must_use = "dropping a permit ends the request's concurrency slots"]
pub struct Permit {
    pub(crate) limits: Arc<Limits>,
    pub(crate) taken: SmallVec<[Taken; 3]>,
}

/// One unit of one limit.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) cell: Arc<Cell>,
    /// `None`: admitted uncounted.
    pub(crate) unit: Option<Unit>,
    pub(crate) kind: Meter,
    pub(crate) limit_id: Arc<str>,
    pub(crate) amount: i64,
    pub(crate) lease_left: i64,
    pub(crate) window_id: Arc<str>,
}

impl Permit {
    /// Ends it: the same as dropping it, said aloud.
    pub fn settle(self) {}

    /// The limits that were consulted, for the explanation of the request.
    pub fn consulted(&self) -> Vec<types::LimitConsulted> {
        let consulted = |taken: &Taken| types::LimitConsulted {
            limit_id: taken.limit_id.to_string(),
            meter: taken.kind.as_str().to_owned(),
            amount: taken.amount,
            taken: i64::from(taken.unit.is_some()),
            lease_left: taken.lease_left,
            window_id: taken.window_id.to_string(),
            ..types::LimitConsulted::default()
        };
        self.taken.iter().map(consulted).collect()
    }

    /// The windows that this request counts in, as `meter@window`; for the intent that is written before the attempt.
    pub fn window_ids(&self) -> Vec<String> {
        let windows = self.taken.iter().filter(|taken| !taken.window_id.is_empty());
        windows.map(|taken| format!("{}@{}", taken.cell.meter, taken.window_id)).collect()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.taken.iter().all(|taken| taken.kind != Meter::Concurrency) {
            return;
        }
        let now = self.limits.ms(Instant::now());
        for taken in self.taken.drain(..).filter(|taken| taken.kind == Meter::Concurrency) {
            let Some(unit) = taken.unit else { continue };
            let mut state = taken.cell.state.lock();
            state.lease.end(unit, now);
            state.dispatch(now);
            self.limits.schedule(&taken.cell, &mut state, now);
        }
    }
}
