//! The store's half: the row of one meter, and the operations on it. Called by the stores (atomically, with the store's
//! clock) and by nobody else. It knows nothing of connections: whom to ask and whom to tell comes out as data.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::Meter;
use crate::rules::window;

mod grant;
mod plea;
mod sliding;
mod steps;

pub use plea::{Hint, Reclaim};

/// A row of a window without end settles the holders whose epochs have ended when it has more than so many.
const MOST_ENDED: usize = 32;

/// What becomes of the concurrency slots of a node that fell silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphans {
    /// They stay counted until the node returns, its epoch is named ended, or the longest permitted stream has passed
    /// (so many milliseconds after the lease's end).
    Hold {
        /// The longest stream that is permitted, milliseconds.
        longest_stream_ms: i64,
    },
    /// They are free when the lease ends: the cap may be exceeded by what the silent node still serves.
    ReleaseAfterTtl,
}

/// The limit as configured now. Not stored in the row: every call brings it.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What is counted.
    pub meter: Meter,
    /// The bound.
    pub amount: i64,
    /// Over what time; ignored for concurrency.
    pub window: window::Spec,
    /// The zone of calendar windows.
    pub zone: TimeZone,
    /// Life of a lease, milliseconds.
    pub ttl_ms: i64,
    /// What becomes of a silent node's slots.
    pub orphans: Orphans,
}

/// The row of one meter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    /// Id of the open window (or of one that has ended and was not followed yet); empty: none was opened, or concurrency.
    pub window_id: String,
    /// Its end, Unix milliseconds of the store; `None`: no end.
    pub ends_at_ms: Option<i64>,
    /// Rises with every reset; leases of lower generations are void.
    pub generation: u64,
    /// Used by holders that are gone, in this window and generation.
    pub settled: i64,
    /// Sliding windows: what was used, by the number of the bucket in which it was reported. `settled` is their sum.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub buckets: BTreeMap<i64, i64>,
    /// By epoch: who holds what.
    pub holders: BTreeMap<String, Holder>,
    /// Epochs that asked and got too little, longest waiting first.
    pub starving: Vec<plea::Starving>,
    /// When the last reclaim round began.
    pub round_at_ms: i64,
    /// Nothing is granted before: the store may have lost grants.
    pub doubt_until_ms: i64,
    /// The latest time this row has seen: its clock never goes back.
    pub clock_ms: i64,
}

/// What one epoch of one node holds of a meter: running totals in this window and generation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The node.
    pub node: String,
    /// Units granted.
    pub granted: i64,
    /// Units it said it has used. Stays 0 for concurrency.
    pub spent: i64,
    /// Units it gave back.
    pub returned: i64,
    /// When its lease ends unless it is heard from, Unix milliseconds of the store.
    pub expires_at_ms: i64,
    /// Whether it fell silent beyond its lease's end. What it holds stays counted.
    pub suspect: bool,
    /// Sequence of the newest message that was heard.
    pub sequence: u64,
    /// When it was last asked to give back.
    pub pleaded_at_ms: i64,
    /// Whether it was heard from since.
    pub answered: bool,
    /// Whether its epoch has ended: whatever it held of a window is used.
    pub ended: bool,
}

/// One atomic step on a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// What an epoch reports of this meter, and what it needs of it.
    Lease {
        /// The node.
        node: String,
        /// Its epoch.
        epoch: String,
        /// Sequence of the message: a need in an older message than was heard is not served, since its answer would
        /// not be believed.
        sequence: u64,
        /// Its running totals.
        report: Option<Report>,
        /// Its need.
        want: Option<Want>,
    },
    /// An epoch has ended for good: its slots are free; what it held of a window is used.
    End {
        /// The epoch.
        epoch: String,
    },
    /// An operator counts as unused what an epoch holds and did not report.
    WriteOff {
        /// The epoch.
        epoch: String,
    },
    /// An operator starts the window anew. Slots in use stay counted.
    Reset,
    /// Nothing but the passing of time.
    Tick,
}

/// Running totals of a lease, by the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The window it belongs to.
    pub window_id: String,
    /// The generation it belongs to.
    pub generation: u64,
    /// Units used.
    pub spent: i64,
    /// Units given back.
    pub returned: i64,
}

/// A need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Units that waiting requests need beyond what the node holds; 0: a reserve, which opens no window.
    pub waiting: i64,
    /// What the first of them needs beyond that: less is of no use and not granted. 0: any.
    #[serde(default)]
    pub least: i64,
    /// Units used in the last second.
    pub rate: i64,
}

/// A lease as the row has it after a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The open window; empty: none, or concurrency.
    pub window_id: String,
    /// The generation.
    pub generation: u64,
    /// Units granted so far.
    pub granted: i64,
    /// Milliseconds until the window ends; 0: no end.
    pub ends_in_ms: i64,
    /// Whether the lease had been suspect until this step.
    pub suspect: bool,
    /// Units used, as reported.
    pub spent: i64,
    /// Units given back, as reported.
    pub returned: i64,
}

/// Too little free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exhausted {
    /// Milliseconds until asking again makes sense; 0: when something is given back, which is pushed.
    pub retry_in_ms: i64,
    /// Used, as far as reported.
    pub used: i64,
    /// Held by nodes and not reported used.
    pub leased: i64,
    /// Milliseconds until the window ends; 0: no end.
    pub resets_in_ms: i64,
    /// The bound.
    pub amount: i64,
}

/// Who speaks.
#[derive(Clone, Copy, Debug)]
struct Caller<'a> {
    node: &'a str,
    epoch: &'a str,
    sequence: u64,
}

/// What came of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The asking epoch's lease, if the step was [`Op::Lease`] and there is something to say.
    pub grant: Option<Grant>,
    /// That its need was not met in full.
    pub exhausted: Option<Exhausted>,
    /// Whom to ask to give back.
    pub reclaims: Vec<Reclaim>,
    /// Whom to tell that asking again makes sense.
    pub hints: Vec<Hint>,
}

impl Row {
    /// One atomic step at the store's time `now_ms` (Unix milliseconds).
    pub fn apply(&mut self, now_ms: i64, policy: &Policy, op: &Op) -> Outcome {
        self.clock_ms = self.clock_ms.max(now_ms);
        self.roll(policy);
        self.sweep(policy);
        let mut outcome = Outcome::default();
        match op {
            Op::Lease { node, epoch, sequence, report, want } => {
                let caller = Caller { node, epoch, sequence: *sequence };
                self.lease(policy, caller, report.as_ref(), *want, &mut outcome);
            }
            Op::End { epoch } => self.end(policy, epoch),
            Op::WriteOff { epoch } => self.write_off(policy, epoch),
            Op::Reset => self.reset(policy, &mut outcome),
            Op::Tick => {}
        }
        let asking = if let Op::Lease { epoch, .. } = op { epoch } else { "" };
        self.hint(policy, asking, &mut outcome);
        outcome
    }

    /// Units used in this window, as far as reported.
    pub fn used(&self) -> i64 {
        if self.slides() {
            return self.settled; // What is spent lies in its bucket.
        }
        self.holders.values().fold(self.settled, |sum, holder| sum.saturating_add(holder.spent))
    }

    /// Units that nodes hold and have not reported used; for concurrency: slots, in use or not.
    pub fn leased(&self) -> i64 {
        self.holders.values().map(Holder::idle).fold(0, i64::saturating_add)
    }

    /// Units that can still be granted; negative after the amount was lowered.
    pub fn free(&self, amount: i64) -> i64 {
        amount.max(0).saturating_sub(self.used().saturating_add(self.leased()))
    }

    /// Whether this epoch holds anything here, so that its end must be told to this row.
    pub fn holds(&self, epoch: &str) -> bool {
        self.holders.contains_key(epoch)
    }

    /// Whether the row says nothing that a new one would not: it may be deleted. A row that was ever reset is kept, since
    /// nodes would take a lower generation for an old message.
    pub fn is_blank(&self, now_ms: i64) -> bool {
        let empty = self.settled == 0 && self.holders.is_empty();
        let over = self.window_id.is_empty()
            || self.ends_at_ms.is_some_and(|end| end <= now_ms)
            || (self.slides() && empty);
        self.generation == 0 && over && (empty || !self.window_id.is_empty())
    }

    fn shape(policy: &Policy) -> String {
        match policy.meter {
            Meter::Concurrency => String::new(),
            _ => policy.window.prefix(),
        }
    }

    /// Closes a window that is over. A window of another kind than configured is closed early, and the generation rises,
    /// so that within one generation windows follow each other in time.
    fn roll(&mut self, policy: &Policy) {
        let shape = Self::shape(policy);
        let open_shape = self.window_id.split(':').next().unwrap_or_default();
        let changed = open_shape != shape && !(self.window_id.is_empty() && self.holders.is_empty());
        if changed {
            self.generation += 1;
        }
        if changed || self.ends_at_ms.is_some_and(|end| end <= self.clock_ms) {
            self.close_window();
        }
        self.drop_buckets(policy);
    }

    fn close_window(&mut self) {
        self.window_id.clear();
        self.ends_at_ms = None;
        self.settled = 0;
        self.buckets.clear();
        self.holders.clear();
        self.starving.clear();
    }

    fn open_window(&mut self, policy: &Policy) {
        if policy.meter.has_window() && self.window_id.is_empty() {
            let open = window::at(&policy.window, self.clock_ms, &policy.zone);
            (self.window_id, self.ends_at_ms) = (open.id, open.ends_at_ms);
        }
    }

    /// Marks those who fell silent, and frees orphaned slots where that is permitted.
    fn sweep(&mut self, policy: &Policy) {
        let now = self.clock_ms;
        for holder in self.holders.values_mut() {
            holder.suspect |= holder.expires_at_ms <= now && holder.idle() > 0;
        }
        if policy.meter == Meter::Concurrency {
            let grace = match policy.orphans {
                Orphans::Hold { longest_stream_ms } => longest_stream_ms.max(0),
                Orphans::ReleaseAfterTtl => 0,
            };
            // Also those that hold nothing: their totals are kept while a late message may still speak of them.
            self.holders.retain(|_, holder| holder.expires_at_ms.saturating_add(grace) > now);
        }
        if self.slides() {
            self.sweep_sliding(policy);
            return;
        }
        let ended = |holder: &Holder| holder.ended;
        if self.ends_at_ms.is_none() && self.holders.values().filter(|one| ended(one)).count() > MOST_ENDED {
            let settled = self.holders.values().filter(|one| ended(one)).map(Holder::held);
            self.settled = settled.fold(self.settled, i64::saturating_add);
            self.holders.retain(|_, holder| !holder.ended);
        }
    }

    fn ends_in_ms(&self) -> i64 {
        // Never 0 for a window that has an end: `roll` has closed those that are over.
        self.ends_at_ms.map_or(0, |end| end.saturating_sub(self.clock_ms).max(1))
    }
}

impl Grant {
    /// The answer to a report of a meter that is no more: what was used and given back stands, and nothing is held.
    pub fn void(report: &Report) -> Self {
        Self {
            window_id: report.window_id.clone(),
            generation: report.generation,
            granted: report.spent.saturating_add(report.returned),
            ends_in_ms: 0,
            suspect: false,
            spent: report.spent,
            returned: report.returned,
        }
    }
}

impl Holder {
    /// Units that count against the amount.
    pub fn held(&self) -> i64 {
        self.granted.saturating_sub(self.returned)
    }

    /// Units held and not reported used.
    pub fn idle(&self) -> i64 {
        self.held().saturating_sub(self.spent)
    }
}

#[cfg(test)]
mod tests;
