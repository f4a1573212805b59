//! What happens when too little is free: holders are asked to give back, at most once per round; the one who asked is
//! told when to ask again; and who starves is told when something has come back.

use serde::{Deserialize, Serialize};

use super::{Caller, Outcome, Policy, Row};
use crate::rules::quota::{Meter, RECLAIM_ROUND_MS};

/// Who has not asked again for so long no longer waits, milliseconds.
const FORGOTTEN_AFTER_MS: i64 = 5_000;
/// When to ask again where holders keep units that they neither use nor give back, milliseconds.
const ASK_AGAIN_MS: i64 = 1_000;
/// How many waiting epochs a row remembers: more would be told too late to matter.
const MOST_STARVING: usize = 64;

/// An epoch that asked and got too little.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Starving {
    /// The node.
    pub node: String,
    /// Its epoch.
    pub epoch: String,
    /// Units it still needs.
    pub short: i64,
    /// Less than this is of no use to it.
    #[serde(default)]
    pub least: i64,
    /// Since when.
    pub since_ms: i64,
    /// When it last asked.
    pub asked_at_ms: i64,
}

/// What was missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Short {
    /// Units.
    pub(super) units: i64,
    /// Less than this is of no use.
    pub(super) least: i64,
}

/// A plea to a holder to give back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reclaim {
    /// The node.
    pub node: String,
    /// Its epoch.
    pub epoch: String,
    /// Units that another needs.
    pub amount: i64,
}

/// Asking again makes sense now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// The node.
    pub node: String,
    /// Its epoch.
    pub epoch: String,
}

impl Row {
    /// Notes that an epoch got too little, begins a reclaim round if one is due, and answers in how many milliseconds it
    /// should ask again: soon while holders are being asked, else when the window ends, or 0 when only a return helps.
    pub(super) fn starve(
        &mut self,
        policy: &Policy,
        caller: Caller<'_>,
        short: Short,
        outcome: &mut Outcome,
    ) -> i64 {
        let now = self.clock_ms;
        let since = self.note_starving(caller, short);
        let round_is_due = self.round_at_ms.saturating_add(RECLAIM_ROUND_MS) <= now;
        let (mut rich, mut open) = (false, false);
        let others = self.holders.iter_mut().filter(|(other, _)| other.as_str() != caller.epoch);
        for (other, holder) in others.filter(|(_, holder)| !holder.suspect && holder.idle() > 0) {
            rich = true;
            if round_is_due {
                (holder.pleaded_at_ms, holder.answered) = (now, false);
                self.round_at_ms = now;
                let (node, epoch) = (holder.node.clone(), other.clone());
                outcome.reclaims.push(Reclaim { node, epoch, amount: short.units });
            }
            open |= !holder.answered || holder.pleaded_at_ms < since;
        }
        // Who has waited for a whole round has its answer: those who were asked have nothing to give now.
        if open && now < since.saturating_add(RECLAIM_ROUND_MS) {
            return (self.round_at_ms.saturating_add(RECLAIM_ROUND_MS) - now).clamp(1, RECLAIM_ROUND_MS);
        }
        match policy.meter {
            Meter::Concurrency => 0,
            _ if rich => ASK_AGAIN_MS.min(self.ends_in_or_for_ever()),
            _ => self.frees_in_ms(policy, short.least),
        }
    }

    fn ends_in_or_for_ever(&self) -> i64 {
        match self.ends_in_ms() {
            0 => i64::MAX,
            ends_in => ends_in,
        }
    }

    fn note_starving(&mut self, caller: Caller<'_>, short: Short) -> i64 {
        let now = self.clock_ms;
        self.starving.retain(|one| one.asked_at_ms.saturating_add(FORGOTTEN_AFTER_MS) > now);
        if let Some(one) = self.starving.iter_mut().find(|one| one.epoch == caller.epoch) {
            (one.short, one.least, one.asked_at_ms) = (short.units, short.least, now);
            return one.since_ms;
        }
        if self.starving.len() < MOST_STARVING {
            let (node, epoch) = (caller.node.to_owned(), caller.epoch.to_owned());
            let Short { units: short, least } = short;
            self.starving.push(Starving { node, epoch, short, least, since_ms: now, asked_at_ms: now });
        }
        now
    }

    /// Names those who should ask again now that something is free: as many as it may suffice for, longest waiting
    /// first. They are noted anew when they ask and still get too little.
    pub(super) fn hint(&mut self, policy: &Policy, asking: &str, outcome: &mut Outcome) {
        let mut free = self.free(policy.amount);
        self.starving.retain(|one| {
            if one.epoch == asking || free < one.least.max(1) {
                return true;
            }
            free = free.saturating_sub(one.short);
            outcome.hints.push(Hint { node: one.node.clone(), epoch: one.epoch.clone() });
            false
        });
        let mut told = Vec::new();
        outcome.hints.retain(|hint| {
            let first = !told.contains(&hint.epoch);
            told.push(hint.epoch.clone());
            first
        });
    }
}
