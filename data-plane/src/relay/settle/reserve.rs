//! Reservations: what a further attempt takes of strict limits before it begins, and what is settled in the end.

use std::time::{Duration, Instant};

use dialects::error::Kind;
use limits::{Demand, Used};
use scheduler::Choice;
use smallvec::SmallVec;

use super::Settlement;
use crate::{
    metrics::Reason,
    relay::{
        admit,
        demand::{self, Bound, Rate, Size},
        error::Refusal,
    },
};

/// How long a further attempt waits for its reservation.
const PATIENCE: Duration = Duration::from_secs(1);

impl Settlement {
    /// Begins an attempt: reserves what it may take beyond what is reserved, hands its intent to the kernel and keeps its
    /// slot.
    ///
    /// # Errors
    /// A strict limit has too little left for another attempt, or the spool has no room; nothing was begun.
    pub async fn attempt(&mut self, choice: Choice, model_sent: String) -> Result<(), Refusal> {
        if self.bound != Bound::NotAsked {
            // Boxed: seldom needed, and large.
            Box::pin(self.reserve(choice.account.service, &model_sent)).await?;
        }
        self.write_intent(choice, model_sent).map_err(|_| {
            let message = "the relay cannot record usage right now, so it takes no requests";
            Refusal::new(Kind::Unavailable, Reason::Spool, message).later(5_000)
        })
    }

    /// What this attempt may take, with what those before it took, is reserved of every strict limit.
    async fn reserve(&mut self, service: &str, model_sent: &str) -> Result<(), Refusal> {
        let Some(permit) = &self.permit else { return Ok(()) };
        let used = self.used_so_far();
        let size = self.size();
        let price = demand::price(self.worker.node.prices, &self.settings, model_sent);
        let rate = Rate { price, multiplier: demand::multiplier(&self.key, &self.settings, service) };
        let key = std::sync::Arc::clone(&self.key);
        let mut demands: SmallVec<[Demand<'_>; 4]> = SmallVec::new();
        for limit in key.limits.iter().filter(|limit| limit.strict) {
            let Some(reserved) = permit.reserved(&limit.meter) else { continue };
            let worst = size.units(limit, rate).map_err(|demand::NoBound| admit::without_bound(limit))?;
            let missing = used.of(limit.kind, limit.cost).saturating_add(worst).saturating_sub(reserved);
            if missing > 0 {
                demands.push(Demand { limit, units: missing });
            }
        }
        let Some(permit) = self.permit.as_mut().filter(|_| !demands.is_empty()) else { return Ok(()) };
        permit.extend(&demands, Instant::now() + PATIENCE).await.map_err(|refusal| admit::refused(&refusal))
    }

    /// How large the request is.
    pub fn size(&self) -> Size {
        let mean = self.worker.node.means.of(&self.key.id);
        Size { input: self.input_estimate, cap: self.output_cap, mean, bound: self.bound }
    }

    /// What the attempts that have ended used.
    pub(super) fn used_so_far(&self) -> Used {
        let mut used = Used::default();
        for attempt in &self.attempts {
            let tokens = attempt.usage.as_ref().map_or(0, |usage| usage.all());
            used.tokens = used.tokens.saturating_add(tokens.max(0));
            let cost = attempt.cost.as_ref();
            used.rated = used.rated.saturating_add(cost.map_or(0, |cost| cost.rated.max(0)));
            used.real = used.real.saturating_add(cost.map_or(0, |cost| cost.real.max(0)));
        }
        used
    }

    /// Ends the permit: slots are free, and what was used is settled.
    pub(super) fn settle_permit(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        permit.settle(&self.used_so_far());
        if !demand::is_estimated(&self.key) {
            return;
        }
        for attempt in self.attempts.iter().filter(|attempt| !attempt.estimated) {
            let output = attempt.usage.as_ref().map_or(0, |usage| usage.output);
            if output > 0 {
                self.worker.node.means.add(&self.key.id, output);
            }
        }
    }
}
