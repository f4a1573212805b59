//! What an admitted request holds.

use std::{sync::Arc, time::Instant};

use proto::{
    rules::{
        ids::MeterId,
        quota::{Meter, node::Unit},
    },
    types,
};
use smallvec::SmallVec;

use crate::{Compiled, CostKind, Demand, Limits, Refusal, cell::Cell};

/// A request's right to run. Requests are spent once it exists, whatever becomes of it and however many attempts it
/// takes; slots end, and reservations are settled, when it ends.
#[derive(Debug)]
#[must_use = "dropping a permit ends the request's slots, and counts what it reserved as used"]
pub struct Permit {
    pub(crate) limits: Arc<Limits>,
    pub(crate) taken: SmallVec<[Taken; 3]>,
}

/// What was taken of one limit.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) cell: Arc<Cell>,
    /// `None`: admitted uncounted.
    pub(crate) unit: Option<Unit>,
    pub(crate) kind: Meter,
    pub(crate) cost: CostKind,
    pub(crate) limit_id: Arc<str>,
    pub(crate) amount: i64,
    pub(crate) lease_left: i64,
    pub(crate) window_id: Arc<str>,
    /// Taken for a further attempt of the same request, of a limit that was taken before.
    pub(crate) extends: bool,
}

/// What a request used, over all its attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Tokens of all kinds.
    pub tokens: i64,
    /// Nano-dollars after multipliers.
    pub rated: i64,
    /// Nano-dollars that the upstream takes.
    pub real: i64,
}

impl Used {
    /// What of it a limit counts.
    pub fn of(&self, kind: Meter, cost: CostKind) -> i64 {
        match (kind, cost) {
            (Meter::Tokens, _) => self.tokens,
            (Meter::Cost, CostKind::Rated) => self.rated,
            (Meter::Cost, CostKind::Real) => self.real,
            (Meter::Requests | Meter::Concurrency, _) => 0,
        }
    }
}

impl Taken {
    pub(crate) fn new(demand: &Demand<'_>, cell: Arc<Cell>, unit: Option<Unit>) -> Self {
        let Compiled { kind, cost, amount, .. } = *demand.limit;
        let limit_id = demand.limit.limit_id.clone();
        let (lease_left, window_id) = (0, Arc::default());
        Self { cell, unit, kind, cost, limit_id, amount, lease_left, window_id, extends: false }
    }
}

impl Permit {
    /// Ends it: slots are free, and what was used is settled, more or less than was reserved.
    pub fn settle(mut self, used: &Used) {
        self.end(Some(used));
    }

    /// Reserves more for a further attempt: of each of `demands` what it says, all or none.
    ///
    /// # Errors
    /// The limit that refused; what was taken before stays.
    pub async fn extend(&mut self, demands: &[Demand<'_>], deadline: Instant) -> Result<(), Refusal> {
        if demands.is_empty() {
            return Ok(());
        }
        let mut more = self.limits.admit(demands, deadline).await?;
        let more = std::mem::take(&mut more.taken);
        self.taken.extend(more.into_iter().map(|taken| Taken { extends: true, ..taken }));
        Ok(())
    }

    /// What is reserved of a meter; `None`: it was not asked for, or the request was admitted uncounted.
    pub fn reserved(&self, meter: &MeterId) -> Option<i64> {
        let of_it = self.taken.iter().filter(|taken| taken.cell.meter == *meter);
        of_it.filter_map(|taken| taken.unit).map(|unit| unit.units()).reduce(|a, b| a.saturating_add(b))
    }

    /// The limits that were consulted, for the explanation of the request.
    pub fn consulted(&self) -> Vec<types::LimitConsulted> {
        let units = |taken: &Taken| taken.unit.map_or(0, |unit| unit.units());
        let more = |of: &Taken| {
            let same = |taken: &&Taken| taken.extends && Arc::ptr_eq(&taken.cell, &of.cell);
            self.taken.iter().filter(same).map(units).sum::<i64>()
        };
        let consulted = |taken: &Taken| types::LimitConsulted {
            limit_id: taken.limit_id.to_string(),
            meter: taken.kind.as_str().to_owned(),
            amount: taken.amount,
            taken: units(taken) + more(taken),
            lease_left: taken.lease_left,
            window_id: taken.window_id.to_string(),
            ..types::LimitConsulted::default()
        };
        self.taken.iter().filter(|taken| !taken.extends).map(consulted).collect()
    }

    /// The windows that this request counts in, as `meter@window`; for the intent that is written before the attempt.
    pub fn window_ids(&self) -> Vec<String> {
        let windows = self.taken.iter().filter(|taken| !taken.extends && !taken.window_id.is_empty());
        windows.map(|taken| format!("{}@{}", taken.cell.meter, taken.window_id)).collect()
    }

    /// `None`: nobody says what was used, so all that was reserved.
    fn end(&mut self, used: Option<&Used>) {
        if self.taken.iter().all(|taken| taken.kind == Meter::Requests) {
            return;
        }
        let now = self.limits.ms(Instant::now());
        let taken = std::mem::take(&mut self.taken);
        for (at, one) in taken.iter().enumerate().filter(|(_, one)| one.kind != Meter::Requests) {
            let Some(unit) = one.unit else { continue };
            let part = used.map_or(unit.units(), |used| part(&taken, at, used));
            let mut state = one.cell.state.lock();
            state.lease.end(unit, part, now);
            state.dispatch(now);
            self.limits.schedule(&one.cell, &mut state, now);
        }
    }
}

/// What of the use falls to one of the reservations of the same meter: each is filled in turn, and the last takes what
/// is beyond all of them.
fn part(taken: &[Taken], at: usize, used: &Used) -> i64 {
    let Some(one) = taken.get(at) else { return 0 };
    let all = used.of(one.kind, one.cost);
    let same = |other: &&Taken| Arc::ptr_eq(&other.cell, &one.cell);
    let units = |other: &Taken| other.unit.map_or(0, |unit| unit.units());
    let before: i64 = taken[..at].iter().filter(same).map(units).sum();
    let rest = all.saturating_sub(before).max(0);
    let is_last = !taken[at + 1..].iter().any(|other| same(&other));
    if is_last { rest } else { rest.min(units(one)) }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(None);
    }
}
