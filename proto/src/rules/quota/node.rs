//! The node's half: what a node may admit of one meter without asking. Called by the crate `limits`, which holds one
//! [`Lease`] per meter behind a lock, queues the requests that must wait, and carries the messages.
//!
//! Times are milliseconds of a clock of the node's own that never goes back; they have nothing to do with the store's.
//! All that the store says is counted from when the node *sent* the question, so that the node's view always ends first.

use std::sync::Arc;

use super::{
    Meter,
    store::{Exhausted, Grant, Report, Want},
};

mod answer;
mod rate;
mod send;

pub use send::ANSWER_MS;

use rate::Rate;

/// Which question an answer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Its sequence; sequences grow over the node's whole life.
    pub sequence: u64,
    /// When the node sent it.
    pub sent_at: i64,
    /// Life of a lease from then on, milliseconds.
    pub ttl_ms: i64,
}

/// Units that were taken but not yet used: end them with [`Lease::commit`] or [`Lease::cancel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what is neither committed nor cancelled is lost to the node"]
pub struct Unit {
    stamp: u64,
    units: i64,
}

impl Unit {
    /// How many.
    pub fn units(&self) -> i64 {
        self.units
    }
}

/// What the requests that wait for a meter need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Units of all of them.
    pub all: i64,
    /// Units of the first.
    pub first: i64,
}

impl Need {
    /// Of so many requests that need one unit each.
    pub fn ones(requests: i64) -> Self {
        Self { all: requests, first: requests.min(1) }
    }
}

/// What a request that finds no unit can expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// An answer is on its way, or will be asked for.
    Asking,
    /// Nothing is free now, but holders are being asked: it is worth waiting.
    Soon {
        /// When the node asks again.
        at: i64,
    },
    /// Nothing is free.
    Exhausted {
        /// When the node asks again.
        at: i64,
        /// What the store said.
        said: Exhausted,
        /// When the window ends; `None`: not known, or never.
        resets_at: Option<i64>,
    },
}

/// What the node knows of exhaustion.
#[derive(Clone, Copy, Debug)]
struct Dry {
    until: i64,
    /// Units that were free all the same: too few.
    free: i64,
    hard: bool,
    said: Exhausted,
    resets_at: Option<i64>,
}

/// A question under way.
#[derive(Clone, Copy, Debug)]
struct Pending {
    sequence: u64,
    sent_at: i64,
    waiting: i64,
}

/// What a node holds of one meter.
#[derive(Clone, Debug)]
pub struct Lease {
    meter: Meter,
    window_id: Arc<str>,
    generation: u64,
    ends_at: Option<i64>,
    granted: i64,
    spent: i64,
    returned: i64,
    /// Concurrency: slots in use. Tokens and cost: reserved for requests in flight.
    in_use: i64,
    /// Taken, neither committed nor cancelled.
    taken: i64,
    /// Changes when another lease takes this one's place: units of the old one are void.
    stamp: u64,
    /// The lease may be used before this instant.
    valid_until: i64,
    /// Sequence of the newest answer that was believed.
    believed: u64,
    /// Sequence of the first question of this value's life: older answers speak to a forgotten one.
    first_asked: Option<u64>,
    /// Whether totals were taken over from the store.
    adopted: bool,
    /// Whether the store has confirmed the present totals.
    confirmed: bool,
    pending: Option<Pending>,
    /// Sequence of the newest need that was sent.
    asked: u64,
    /// When something was last asked, or reported.
    said_at: i64,
    /// Sequence of the newest answer that came, believed or not.
    heard: u64,
    dry: Option<Dry>,
    /// When too little was free last, and what was said: for the refusal of who has waited in vain.
    short: Option<(i64, Exhausted)>,
    hinted_at: i64,
    rate: Rate,
    dirty: bool,
    urgent: bool,
    reported_at: i64,
    renew_at: i64,
    used_at: i64,
    reserve_after: i64,
    owed: i64,
    owed_until: i64,
}

/// A lease in figures, for metrics and explanations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Window; empty: none, or concurrency.
    pub window_id: Arc<str>,
    /// Units that can be taken now.
    pub free: i64,
    /// Units used in this window by this node; for concurrency: slots in use.
    pub used: i64,
    /// Units reserved for requests in flight (tokens, cost).
    pub reserved: i64,
    /// Units held, used or not.
    pub held: i64,
    /// What the store last said of the whole meter when nothing was free.
    pub exhausted: Option<Exhausted>,
}

impl Lease {
    /// Of a meter of which nothing is held.
    pub fn new(meter: Meter, now: i64) -> Self {
        Self {
            meter,
            window_id: Arc::from(""),
            generation: 0,
            ends_at: None,
            granted: 0,
            spent: 0,
            returned: 0,
            in_use: 0,
            taken: 0,
            stamp: 0,
            valid_until: i64::MIN,
            believed: 0,
            first_asked: None,
            adopted: false,
            confirmed: true,
            pending: None,
            asked: 0,
            said_at: i64::MIN / 2,
            heard: 0,
            dry: None,
            short: None,
            hinted_at: i64::MIN,
            rate: Rate::default(),
            dirty: false,
            urgent: false,
            reported_at: i64::MIN / 2,
            renew_at: i64::MAX,
            used_at: now,
            reserve_after: i64::MIN,
            owed: 0,
            owed_until: i64::MIN,
        }
    }

    /// What it counts.
    pub fn meter(&self) -> Meter {
        self.meter
    }

    /// Takes units (at least one), if the lease in hand has all of them.
    pub fn take(&mut self, units: i64, now: i64) -> Option<Unit> {
        let units = units.max(1);
        if self.usable(now) < units {
            return None;
        }
        self.taken += units;
        // Needed, if not used yet: a request that has to wait for another meter too must find this one's units again.
        self.used_at = now;
        Some(Unit { stamp: self.stamp, units })
    }

    /// Uses what was taken: requests for good, slots and reservations until their [`Lease::end`]. `false`: the lease has
    /// been replaced meanwhile, and what was taken is void.
    pub fn commit(&mut self, unit: Unit, now: i64) -> bool {
        if unit.stamp != self.stamp {
            return false;
        }
        self.taken -= unit.units;
        if self.meter == Meter::Requests {
            self.spent += unit.units;
            (self.dirty, self.confirmed) = (true, false);
        } else {
            self.in_use += unit.units;
        }
        self.rate.count(unit.units, now);
        self.used_at = now;
        true
    }

    /// Gives back what was taken and not used.
    pub fn cancel(&mut self, unit: Unit) {
        if unit.stamp == self.stamp {
            self.taken -= unit.units;
        }
    }

    /// Ends the use of a committed slot; or settles a reservation, of which `used` units were really used: fewer or more
    /// than reserved. What others wait for is given back at once. Into a window that is over nothing is settled.
    pub fn end(&mut self, unit: Unit, used: i64, now: i64) {
        if unit.stamp != self.stamp || self.meter == Meter::Requests {
            return;
        }
        self.in_use -= unit.units;
        self.used_at = now;
        let mut freed = unit.units;
        if self.meter.settles_later() && used > 0 {
            freed -= used;
            self.spent = self.spent.saturating_add(used);
            (self.dirty, self.confirmed) = (true, false);
        }
        if self.owed > 0 && now < self.owed_until {
            let back = self.owed.min(freed).min(self.idle()).max(0);
            self.owed -= back;
            self.give_back(back);
        }
    }

    /// What a request that finds too few units can expect, if it needs `units` and the limit's bound is `amount`.
    pub fn outlook(&self, now: i64, amount: i64, units: i64) -> Outlook {
        match self.dry_for(units, now) {
            Some(dry) if dry.said.amount == amount => {
                if dry.hard {
                    Outlook::Exhausted { at: dry.until, said: dry.said, resets_at: dry.resets_at }
                } else {
                    Outlook::Soon { at: dry.until }
                }
            }
            _ => Outlook::Asking,
        }
    }

    /// What the store last said when too little was free, if that is no longer ago than `since`.
    pub fn short_since(&self, since: i64) -> Option<Exhausted> {
        self.short.filter(|(at, _)| *at >= since).map(|(_, said)| said)
    }

    /// Forgets that nothing was free: the limit has changed, or the store may know more.
    pub fn ask_again(&mut self) {
        self.dry = None;
    }

    /// Others wait for `amount` units. What is idle is given back; slots in use are, as they end, for a while. With
    /// requests of its own waiting, a node keeps what it has of a window, unless it is too little for the first of them:
    /// two such nodes would hold what one of them could use. Either way it answers.
    pub fn reclaim(&mut self, amount: i64, waiting: Need, now: i64) {
        let idle = self.idle().min(amount.max(0));
        let keeps = waiting.all > 0 && waiting.first <= 1;
        let give = if keeps { 0 } else { idle.max(0) };
        self.give_back(give);
        if self.meter != Meter::Requests {
            self.owed = (amount - give).clamp(0, self.in_use.max(0));
            self.owed_until = now + send::OWED_MS;
        }
        self.urgent = true;
    }

    /// The lease in figures.
    pub fn figures(&self, now: i64) -> Figures {
        let slots = self.meter == Meter::Concurrency;
        let used = if slots { self.in_use } else { self.spent };
        Figures {
            window_id: self.window_id.clone(),
            free: self.usable(now).max(0),
            used,
            reserved: if slots { 0 } else { self.in_use },
            held: self.granted - self.returned,
            exhausted: self.dry.filter(|dry| now < dry.until).map(|dry| dry.said),
        }
    }

    /// Window and generation of the lease in hand.
    pub fn window(&self) -> (&Arc<str>, u64) {
        (&self.window_id, self.generation)
    }

    /// Units in hand that are not taken, also of a lease that has run out.
    pub fn left(&self) -> i64 {
        self.idle().max(0)
    }

    /// Whether this value says nothing that a new one would not: the caller may drop it. `waiting`: requests queued.
    pub fn is_forgettable(&self, now: i64, waiting: i64) -> bool {
        if waiting > 0 || self.taken > 0 || self.in_use > 0 || self.is_in_doubt() {
            return false;
        }
        // An answer that is still believed was sent at most `ANSWER_MS` ago; until then the window may still be open.
        let long_over = self.ends_at.is_some_and(|end| end + 2 * send::ANSWER_MS <= now);
        let returned = self.idle() <= 0 && self.confirmed;
        let rested = self.used_at + send::REST_MS <= now;
        let dry = self.dry.is_some_and(|dry| now < dry.until);
        rested && !dry && (long_over || returned)
    }

    /// What is known of exhaustion that speaks of a request of so many units: with what is idle here, more than was free
    /// there.
    fn dry_for(&self, units: i64, now: i64) -> Option<Dry> {
        self.dry.filter(|dry| now < dry.until && units.saturating_sub(self.idle().max(0)) > dry.free)
    }

    fn idle(&self) -> i64 {
        self.granted - self.returned - self.spent - self.in_use - self.taken
    }

    /// Whether the store may have granted something that was never heard of here: it has to be asked until it answers,
    /// or nobody would ever give that back.
    fn is_in_doubt(&self) -> bool {
        self.asked > self.heard
    }

    fn is_over(&self, now: i64) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }

    /// Units that can be taken now: none of a lease that has run out, or whose window is over.
    fn usable(&self, now: i64) -> i64 {
        if now >= self.valid_until || self.is_over(now) { 0 } else { self.idle() }
    }

    fn give_back(&mut self, units: i64) {
        if units > 0 {
            self.returned += units;
            (self.dirty, self.urgent, self.confirmed) = (true, true, false);
        }
    }
}

/// What a node says of one meter in a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Its running totals.
    pub report: Option<Report>,
    /// Its need.
    pub want: Option<Want>,
}

impl Outgoing {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.report.is_none() && self.want.is_none()
    }
}

#[cfg(test)]
mod tests;
