//! The steps on a row, but for granting (`grant.rs`) and asking back (`plea.rs`).

use super::{Caller, Grant, Hint, Outcome, Policy, Report, Row, Want};
use crate::rules::quota::Meter;

impl Row {
    pub(super) fn lease(
        &mut self,
        policy: &Policy,
        caller: Caller<'_>,
        report: Option<&Report>,
        want: Option<Want>,
        outcome: &mut Outcome,
    ) {
        let was_suspect = self.holders.get(caller.epoch).is_some_and(|holder| holder.suspect);
        // A reserve opens no window.
        let want =
            want.filter(|want| want.waiting > 0 || !policy.meter.has_window() || !self.window_id.is_empty());
        if want.is_some() {
            self.open_window(policy);
        }
        let fresh = self.hear(policy, caller, report);
        if let Some(want) = want.filter(|_| fresh) {
            outcome.exhausted = self.want(policy, caller, want, outcome);
        }
        let holder = self.holders.get(caller.epoch).cloned().unwrap_or_default();
        outcome.grant = Some(Grant {
            window_id: self.window_id.clone(),
            generation: self.generation,
            granted: holder.granted,
            ends_in_ms: self.ends_in_ms(),
            suspect: was_suspect,
            spent: holder.spent,
            returned: holder.returned,
        });
    }

    /// Notes that an epoch was heard, and what it reports; whether this is its newest message.
    fn hear(&mut self, policy: &Policy, caller: Caller<'_>, report: Option<&Report>) -> bool {
        if policy.meter.has_window() && self.window_id.is_empty() {
            return true; // Nothing is open, and nothing is asked for that would open it.
        }
        let mut newly_spent = 0;
        let holder = self.holders.entry(caller.epoch.to_owned()).or_default();
        if holder.node != caller.node {
            caller.node.clone_into(&mut holder.node);
        }
        let current =
            |report: &&Report| report.generation == self.generation && report.window_id == self.window_id;
        if let Some(report) = report.filter(current) {
            match policy.meter {
                // Slots that the store does not know cannot be given back to it.
                Meter::Concurrency => {
                    holder.returned = holder.returned.max(report.returned.min(holder.granted));
                }
                _ => {
                    newly_spent = (report.spent - holder.spent).max(0);
                    holder.spent = holder.spent.max(report.spent);
                    holder.returned = holder.returned.max(report.returned);
                    // More than was granted: more than was reserved, or the store has lost a grant (a failover). What
                    // was used is used.
                    holder.granted = holder.granted.max(holder.spent.saturating_add(holder.returned));
                }
            }
        }
        let fresh = caller.sequence > holder.sequence;
        holder.sequence = holder.sequence.max(caller.sequence);
        holder.expires_at_ms = holder.expires_at_ms.max(self.clock_ms.saturating_add(policy.ttl_ms));
        (holder.answered, holder.suspect) = (true, false);
        let serves = fresh && !holder.ended;
        self.slide(policy, newly_spent);
        serves
    }

    pub(super) fn end(&mut self, policy: &Policy, epoch: &str) {
        self.starving.retain(|starving| starving.epoch != epoch);
        match policy.meter {
            Meter::Concurrency => drop(self.holders.remove(epoch)),
            _ => {
                // Nobody can say any more what of it was used: all of it.
                let Some(holder) = self.holders.get_mut(epoch) else { return };
                let lost = holder.idle();
                holder.spent = holder.held();
                (holder.ended, holder.suspect) = (true, false);
                self.slide(policy, lost);
            }
        }
    }

    pub(super) fn write_off(&mut self, policy: &Policy, epoch: &str) {
        match policy.meter {
            Meter::Concurrency => drop(self.holders.remove(epoch)),
            _ => {
                // Its totals stay, so that a late report adds only what is new.
                if let Some(holder) = self.holders.get_mut(epoch) {
                    holder.returned = holder.granted.saturating_sub(holder.spent);
                    holder.suspect = false;
                }
            }
        }
    }

    pub(super) fn reset(&mut self, policy: &Policy, outcome: &mut Outcome) {
        let told = |epoch: &String, node: &String| Hint { node: node.clone(), epoch: epoch.clone() };
        outcome.hints.extend(self.holders.iter().map(|(epoch, holder)| told(epoch, &holder.node)));
        outcome.hints.extend(self.starving.iter().map(|one| told(&one.epoch, &one.node)));
        outcome.hints.dedup();
        if policy.meter.has_window() {
            self.generation += 1;
            self.close_window();
        }
    }
}
