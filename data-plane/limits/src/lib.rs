//! Permits: whether a request may go on, against the node's share of every limit that covers it.
//!
//! [`Limits`] wraps the node half of the quota machine (`proto::rules::quota::node`) for many threads: one small lock per
//! meter, held for no longer than arithmetic takes and never across an await. A request that finds a unit of every
//! limit in hand is admitted without waiting; else it queues, first come first served, until the control plane has
//! answered. What must be said to the control plane comes out of [`Limits::outgoing`], what it says goes into
//! [`Limits::incoming`]: the pump between them is not here, and neither is HTTP.

mod admit;
mod agenda;
mod cell;
mod compiled;
mod permit;
mod pump;
mod refusal;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Instant,
};

use parking_lot::Mutex;
use proto::rules::quota::node::Figures;
use tokio::sync::Notify;

pub use compiled::{Compiled, CostKind, Scope, Violation};
pub use permit::{Permit, Used};
pub use proto::rules::quota::Meter;
pub use refusal::Refusal;

use agenda::Agenda;
use cell::Cells;
use pump::Link;

/// One limit that a request falls under, and what it takes of it.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// The limit.
    pub limit: &'a Compiled,
    /// Requests or slots: 1. Tokens or nano-dollars: what to reserve; of a limit that is not strict never more than its
    /// bound, or it would admit nothing.
    pub units: i64,
}

impl<'a> Demand<'a> {
    /// One request, or one slot.
    pub fn one(limit: &'a Compiled) -> Self {
        Self { limit, units: 1 }
    }
}

/// What limited keys may do while the control plane cannot be asked and the lease in hand does not suffice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Nothing: they are refused, as a matter of ours and not of the limit's.
    #[default]
    Refuse,
    /// Go on, uncounted: waives exactness for that time.
    Allow,
}

impl Policy {
    /// The policy of that name in the settings; anything but `allow` refuses.
    pub fn from_name(name: &str) -> Self {
        if name == "allow" { Self::Allow } else { Self::Refuse }
    }
}

/// The state of one meter on this node, for metrics.
#[derive(Clone, Debug)]
pub struct MeterState {
    /// Its id.
    pub meter: proto::rules::ids::MeterId,
    /// What it counts.
    pub kind: Meter,
    /// What this node holds of it.
    pub lease: Figures,
    /// Requests that wait for it.
    pub waiting: usize,
}

/// Counts since the start, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests admitted under at least one limit.
    pub admitted: u64,
    /// Requests refused by a limit.
    pub refused: u64,
    /// Requests refused because the control plane could not be asked.
    pub control_lost: u64,
    /// Requests admitted uncounted because it could not be asked ([`Policy::Allow`]).
    pub overdrawn: u64,
}

/// The limits of a node, shared by its threads.
#[derive(Debug)]
pub struct Limits {
    base: Instant,
    cells: Cells,
    agenda: Agenda,
    wake: Notify,
    link: Mutex<Link>,
    /// Milliseconds of `base` since when the control plane is away; `u64::MAX`: it is connected.
    away_since: AtomicU64,
    policy: AtomicU8,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    admitted: AtomicU64,
    refused: AtomicU64,
    control_lost: AtomicU64,
    overdrawn: AtomicU64,
}

impl Limits {
    /// Of a node that has just started: it holds nothing.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            base: Instant::now(),
            cells: Cells::default(),
            agenda: Agenda::default(),
            wake: Notify::new(),
            link: Mutex::new(Link::default()),
            away_since: AtomicU64::new(0),
            policy: AtomicU8::new(0),
            counters: Counters::default(),
        })
    }

    /// Says what limited keys may do while the control plane cannot be asked.
    pub fn set_control_loss(&self, policy: Policy) {
        self.policy.store(u8::from(policy == Policy::Allow), Ordering::Relaxed);
    }

    /// Notified when there is something to send that cannot wait for [`Limits::next_due`] as it was.
    pub fn wake(&self) -> &Notify {
        &self.wake
    }

    /// Every meter that this node knows of.
    pub fn meters(&self) -> Vec<MeterState> {
        let now = self.ms(Instant::now());
        let state = |cell: &Arc<cell::Cell>| {
            let state = cell.state.lock();
            MeterState {
                meter: cell.meter.clone(),
                kind: state.lease.meter(),
                lease: state.lease.figures(now),
                waiting: state.waiting(),
            }
        };
        self.cells.all().iter().map(state).collect()
    }

    /// Counts since the start.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            admitted: read(&self.counters.admitted),
            refused: read(&self.counters.refused),
            control_lost: read(&self.counters.control_lost),
            overdrawn: read(&self.counters.overdrawn),
        }
    }

    fn policy(&self) -> Policy {
        if self.policy.load(Ordering::Relaxed) == 0 { Policy::Refuse } else { Policy::Allow }
    }

    /// An instant on the node's own clock, in milliseconds since this value was made.
    fn ms(&self, at: Instant) -> i64 {
        i64::try_from(at.saturating_duration_since(self.base).as_millis()).unwrap_or(i64::MAX / 4)
    }

    /// Puts what a meter has to say, if anything, on the agenda; called with the meter's lock held, after every change.
    fn schedule(&self, cell: &cell::Cell, state: &mut cell::State, now: i64) {
        self.schedule_after(cell, state, now, i64::MIN);
    }

    fn schedule_after(&self, cell: &cell::Cell, state: &mut cell::State, now: i64, earliest: i64) {
        if state.dead {
            return;
        }
        let (due, slot) = match state.lease.next_due(state.need(), now) {
            Some(due) => (due.max(earliest), &mut state.scheduled),
            // Nothing to say: one look, later, whether it may be forgotten.
            None => (now + agenda::SWEEP_MS, &mut state.swept),
        };
        // An entry stays where it is unless something is due earlier.
        if due < *slot {
            *slot = due;
            if self.agenda.add(due, &cell.meter) {
                self.wake.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests;
