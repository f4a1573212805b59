//! How much is granted: at most what is free; what waiting requests need; and a reserve sized by the node's rate, which
//! shrinks to nothing as free budget shrinks, so that close to the limit every admission is decided here.

use super::{Caller, Exhausted, Holder, Outcome, Policy, Row, Want};
use crate::rules::quota::Meter;

/// A reserve lasts a node so many seconds at its present rate.
const RESERVE_SECONDS: i64 = 2;
/// The least reserve where budget is plenty.
const LEAST_RESERVE: i64 = 8;
/// A reserve is at most this part of what is free, divided by the holders.
const SHARE: i64 = 4;

impl Row {
    /// Grants what can be; `Some` when the waiting requests' need is not met in full.
    pub(super) fn want(
        &mut self,
        policy: &Policy,
        caller: Caller<'_>,
        want: Want,
        outcome: &mut Outcome,
    ) -> Option<Exhausted> {
        let waiting = want.waiting.max(0);
        let units = self.size(policy, caller.epoch, waiting, want.rate);
        if let Some(holder) = self.holders.get_mut(caller.epoch) {
            holder.granted = holder.granted.saturating_add(units);
        }
        let short = waiting - units;
        if short <= 0 {
            self.starving.retain(|starving| starving.epoch != caller.epoch);
            return None;
        }
        let retry_in_ms = self.starve(policy, caller, short, outcome);
        Some(Exhausted {
            retry_in_ms,
            used: self.used(),
            leased: self.leased(),
            resets_in_ms: self.ends_in_ms(),
            amount: policy.amount,
        })
    }

    fn size(&self, policy: &Policy, epoch: &str, waiting: i64, rate: i64) -> i64 {
        let free = self.free(policy.amount).max(0);
        let reserve = match policy.meter {
            // A slot comes back by itself; a reserve of slots would only be missed elsewhere.
            Meter::Concurrency => 0,
            Meter::Requests => {
                let idle = self.holders.get(epoch).map_or(0, Holder::idle);
                let target = rate.max(0).saturating_mul(RESERVE_SECONDS).max(LEAST_RESERVE);
                let others = self.holders.keys().filter(|other| *other != epoch).count() as i64;
                let share = free / (SHARE * (others + 1));
                target.min(share).saturating_sub(idle)
            }
        };
        waiting.max(reserve).clamp(0, free)
    }
}
