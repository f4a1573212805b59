//! What the node says, and when: needs at once, one question at a time; returns at once; spendings gathered; leases
//! renewed while they hold something.

use super::{Lease, Need, Outgoing, Pending};
use crate::rules::quota::{
    Meter,
    store::{Report, Want},
};

/// An answer later than this is not believed, and its question asked again; milliseconds. The caller drops the record of
/// when older questions were sent, so that their answers are ignored.
pub const ANSWER_MS: i64 = 10_000;
/// How long a question stands before it is asked again, milliseconds.
const ASK_AGAIN_MS: i64 = 1000;
/// Spendings are reported at most so often, milliseconds.
const REPORT_MS: i64 = 500;
/// Units that were not needed for so long are given back, milliseconds.
const IDLE_REQUESTS_MS: i64 = 10_000;
/// Likewise for slots.
const IDLE_SLOTS_MS: i64 = 2_000;
/// A lease that holds nothing and was not used for so long may be forgotten, milliseconds.
pub(super) const REST_MS: i64 = 15_000;
/// For how long slots that end, and reservations that were not used up, are given back after a plea, milliseconds.
pub(super) const OWED_MS: i64 = 500;
/// A reserve is asked for when less than this part of a second's use is left.
const LOW: i64 = 2;

impl Lease {
    /// What to say now, for a message of that sequence; `waiting`: what queued requests need.
    pub fn collect(&mut self, sequence: u64, waiting: Need, now: i64) -> Outgoing {
        self.give_back_idle(waiting, now);
        let want = self.want(waiting, now);
        if let Some(want) = want {
            self.pending = Some(Pending { sequence, sent_at: now, waiting: want.waiting });
            self.first_asked.get_or_insert(sequence);
            self.asked = sequence;
        }
        let report = self.report_is_due(want.is_some(), now).then(|| {
            (self.dirty, self.urgent, self.reported_at) = (false, false, now);
            // Until the answer comes: do not renew with every message.
            self.renew_at = if self.holds() { now + ASK_AGAIN_MS } else { i64::MAX };
            let window_id = self.window_id.to_string();
            let (generation, spent, returned) = (self.generation, self.spent, self.returned);
            Report { window_id, generation, spent, returned }
        });
        if want.is_some() || report.is_some() {
            self.said_at = now;
        }
        if self.is_over(now) {
            (self.dirty, self.urgent, self.renew_at) = (false, false, i64::MAX);
        }
        Outgoing { report, want }
    }

    /// When there is something to say next, if nothing happens meanwhile; `None`: never.
    pub fn next_due(&self, waiting: Need, now: i64) -> Option<i64> {
        let mut due = None;
        let mut at = |time: i64| due = Some(due.map_or(time, |other: i64| other.min(time)));
        if self.urgent {
            at(now);
        }
        if self.is_in_doubt() {
            at(self.said_at + ASK_AGAIN_MS);
        }
        if self.adopted && !self.is_over(now) {
            if self.dirty {
                at(self.reported_at + REPORT_MS);
            }
            if self.holds() {
                at(self.renew_at);
            }
            if waiting.all == 0 && self.idle() > 0 {
                at(self.used_at + self.idle_ms());
            }
        }
        let needs = self.needs(waiting.all, now) > 0;
        if needs || (waiting.all == 0 && self.wants_reserve(now)) {
            let asked = self.pending.map_or(now, |pending| pending.sent_at + ASK_AGAIN_MS);
            let dry = if needs { self.dry_for(waiting.first, now) } else { self.dry };
            at(asked.max(dry.map_or(now, |dry| dry.until)));
        }
        due
    }

    /// On a new stream everything is declared again, and every question asked again.
    pub fn reconnected(&mut self) {
        self.pending = None;
        self.dry = None;
        self.urgent = self.adopted || self.is_in_doubt();
    }

    fn want(&self, waiting: Need, now: i64) -> Option<Want> {
        if self.pending.is_some_and(|pending| now < pending.sent_at + ASK_AGAIN_MS) {
            return None;
        }
        let rate = self.rate.per_second(now);
        let need = self.needs(waiting.all, now);
        if need > 0 {
            let least = self.needs(waiting.first, now).clamp(1, need);
            return self.dry_for(waiting.first, now).is_none().then_some(Want { waiting: need, least, rate });
        }
        let dry = self.dry.is_some_and(|dry| now < dry.until);
        let reserve = !dry && waiting.all == 0 && self.wants_reserve(now);
        reserve.then_some(Want { waiting: 0, least: 0, rate })
    }

    /// Units that are needed beyond what is held. A lease that only has to be renewed is not asked for again; what was
    /// used beyond its reservation is made good first.
    fn needs(&self, waiting: i64, now: i64) -> i64 {
        if waiting == 0 {
            return 0;
        }
        let held = if self.is_over(now) { 0 } else { self.idle() };
        waiting.saturating_sub(held)
    }

    /// A reserve is for windows alone, and only while one is open: a slot comes back by itself.
    fn wants_reserve(&self, now: i64) -> bool {
        let low = self.rate.per_second(now) / LOW;
        self.meter.has_window()
            && self.adopted
            && !self.is_over(now)
            && !self.window_id.is_empty()
            && now >= self.reserve_after
            && self.idle() < low
    }

    fn report_is_due(&self, with_want: bool, now: i64) -> bool {
        let in_doubt = self.is_in_doubt() && now >= self.said_at + ASK_AGAIN_MS;
        let live = self.adopted && !self.is_over(now);
        // Of a lease that has run out long ago the store may have forgotten the totals.
        let lapsed = with_want && now >= self.valid_until;
        let spent = lapsed || self.dirty && (with_want || now >= self.reported_at + REPORT_MS);
        self.urgent || in_doubt || (live && (spent || (self.holds() && now >= self.renew_at)))
    }

    /// Whether it holds anything that the store must go on counting for it.
    fn holds(&self) -> bool {
        self.idle() + self.taken + self.in_use > 0
    }

    fn idle_ms(&self) -> i64 {
        match self.meter {
            Meter::Concurrency => IDLE_SLOTS_MS,
            _ => IDLE_REQUESTS_MS,
        }
    }

    fn give_back_idle(&mut self, waiting: Need, now: i64) {
        if waiting.all == 0 && self.used_at + self.idle_ms() <= now && !self.is_over(now) {
            self.give_back(self.idle());
        }
    }
}
