//! Who is preferred among those that may serve and are free: the best priority; within it, for a session the highest
//! weighted rendezvous, else the least loaded for its weight, and among equals each in its turn. A weight counts as much
//! as the account's usage windows go with their time: what is spent too fast is chosen less often.

use std::{
    cmp::Ordering,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use proto::rules::{session::SessionId, upstream_window};
use snapshot::Account;

use crate::{Ask, standing::Standing};

/// How far an account of weight 1 moves on when it is chosen.
const STRIDE: u64 = 1 << 24;

/// Start-time fair queueing over the choices made without a session: an account of twice the weight moves on half as
/// far at each choice, and one that was away starts where the others are.
#[derive(Debug, Default)]
pub(crate) struct Rotation {
    clock: AtomicU64,
}

impl Rotation {
    fn start(&self, standing: &Standing) -> u64 {
        standing.finish.load(Relaxed).max(self.clock.load(Relaxed))
    }

    /// Notes that an account was chosen.
    pub(crate) fn chosen(&self, weight: u32, standing: &Standing) {
        let start = self.start(standing);
        self.clock.fetch_max(start, Relaxed);
        standing.finish.store(start + STRIDE / u64::from(weight.max(1)), Relaxed);
    }
}

/// How an account stands among those that may serve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rank {
    /// In the place where it was found: lower is preferred.
    priority: i32,
    /// Its weight times its pace.
    pub(crate) weight: u32,
    by: By,
}

#[derive(Clone, Copy, Debug)]
enum By {
    /// Of a session: higher is preferred.
    Rendezvous(f64),
    /// Without one.
    Load { in_flight: u32, start: u64, finish: u64 },
}

impl Rank {
    pub(crate) fn of(
        ask: &Ask<'_>,
        account: &Account,
        standing: &Standing,
        priority: i32,
        rotation: &Rotation,
    ) -> Self {
        // By what the control plane told alone: all nodes must choose alike for a session.
        let pace = match account.windows.as_slice() {
            [] => upstream_window::FULL_PACE,
            windows => upstream_window::pace(windows, ask.model_family, ask.now_ms),
        };
        let weight = account.weight.saturating_mul(pace);
        let by = match ask.session {
            Some(session) => By::Rendezvous(rendezvous(session, account, weight)),
            None => By::Load {
                in_flight: standing.in_flight(),
                start: rotation.start(standing),
                finish: standing.finish.load(Relaxed),
            },
        };
        Self { priority, weight, by }
    }

    /// Whether it is preferred to another; between equals the id decides, so that all nodes decide alike.
    pub(crate) fn beats(&self, account: &Account, other: &Self, other_account: &Account) -> bool {
        let better = other.priority.cmp(&self.priority).then_with(|| match (self.by, other.by) {
            (By::Rendezvous(own), By::Rendezvous(others)) => own.total_cmp(&others),
            (By::Load { in_flight, start, finish }, By::Load { in_flight: others, start: s, finish: f }) => {
                let (own, others) = (load(in_flight, other.weight), load(others, self.weight));
                others.cmp(&own).then_with(|| s.cmp(&start)).then_with(|| f.cmp(&finish))
            }
            // One choice is made by one rule.
            _ => Ordering::Equal,
        });
        match (better, self.by) {
            (Ordering::Equal, By::Rendezvous(_)) => account.id > other_account.id,
            (better, _) => better == Ordering::Greater,
        }
    }
}

/// Comparable loads: each account's requests times the other's weight.
fn load(in_flight: u32, other_weight: u32) -> u64 {
    u64::from(in_flight) * u64::from(other_weight.max(1))
}

fn rendezvous(session: &SessionId, account: &Account, weight: u32) -> f64 {
    session.rendezvous(account.id.as_str(), weight)
}
