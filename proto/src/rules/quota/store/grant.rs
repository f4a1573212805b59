//! How much is granted: at most what is free; what waiting requests need; and a reserve sized by the node's rate, which
//! shrinks to nothing as free budget shrinks, so that close to the limit every admission is decided here.

use super::{Caller, Exhausted, Holder, Outcome, Policy, Row, Want, plea::Short};
use crate::rules::quota::{Meter, RECLAIM_ROUND_MS};

/// A reserve lasts a node so many seconds at its present rate.
const RESERVE_SECONDS: i64 = 2;
/// The least reserve where budget is plenty: a few requests' worth.
fn least_reserve(meter: Meter) -> i64 {
    match meter {
        // A slot comes back by itself; a reserve of slots would only be missed elsewhere.
        Meter::Concurrency => 0,
        Meter::Requests => 8,
        Meter::Tokens => 8_000,
        // Two cents, in nano-dollars.
        Meter::Cost => 20_000_000,
    }
}
/// A reserve is at most this part of what is free, divided by the holders.
const SHARE: i64 = 4;

impl Row {
    /// The store has changed hands, and grants may have been lost with it: until every lease that was granted before has
    /// been declared again, or has run out, nothing new is granted.
    pub fn doubt(&mut self, now_ms: i64, ttl_ms: i64) {
        self.doubt_until_ms = self.clock_ms.max(now_ms).saturating_add(ttl_ms);
    }

    /// Grants what can be; `Some` when the waiting requests' need is not met in full.
    pub(super) fn want(
        &mut self,
        policy: &Policy,
        caller: Caller<'_>,
        want: Want,
        outcome: &mut Outcome,
    ) -> Option<Exhausted> {
        let waiting = want.waiting.max(0);
        if self.clock_ms < self.doubt_until_ms {
            // No bound of anybody's: who waits is not told that the limit is reached.
            let retry_in_ms = RECLAIM_ROUND_MS;
            return (waiting > 0).then_some(Exhausted {
                retry_in_ms,
                used: 0,
                leased: 0,
                resets_in_ms: 0,
                amount: 0,
            });
        }
        let units = self.size(policy, caller.epoch, want);
        if let Some(holder) = self.holders.get_mut(caller.epoch) {
            holder.granted = holder.granted.saturating_add(units);
        }
        let short = waiting - units;
        if short <= 0 {
            self.starving.retain(|starving| starving.epoch != caller.epoch);
            return None;
        }
        let least = if units == 0 { want.least.max(1) } else { 1 };
        let retry_in_ms = self.starve(policy, caller, Short { units: short, least }, outcome);
        Some(Exhausted {
            retry_in_ms,
            used: self.used(),
            leased: self.leased(),
            resets_in_ms: self.frees_in_ms(policy, least),
            amount: policy.amount,
        })
    }

    fn size(&self, policy: &Policy, epoch: &str, want: Want) -> i64 {
        let free = self.free(policy.amount).max(0);
        let waiting = want.waiting.max(0);
        let reserve = if policy.meter == Meter::Concurrency {
            0
        } else {
            let idle = self.holders.get(epoch).map_or(0, Holder::idle);
            let target = want.rate.max(0).saturating_mul(RESERVE_SECONDS).max(least_reserve(policy.meter));
            let others = self.holders.keys().filter(|other| *other != epoch).count() as i64;
            let share = free / (SHARE * (others + 1));
            target.min(share).saturating_sub(idle)
        };
        if free < want.least.min(waiting) {
            return 0; // Not enough for anybody: it stays where others can have it.
        }
        waiting.max(reserve).clamp(0, free)
    }
}
