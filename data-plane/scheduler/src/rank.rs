//! Who is preferred among those that may serve and are free: the best priority; within it, for a session the highest
//! weighted rendezvous, else the least loaded for its weight, and among equals each in its turn.

use std::{
    cmp::Ordering,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use proto::rules::session::SessionId;
use smallvec::SmallVec;
use snapshot::Account;

use crate::standing::Standing;

/// An account that may serve, with its standing and its priority in the place where it was found.
pub(crate) type Free<'a> = (&'a Arc<Account>, Arc<Standing>, i32);

/// Those that may serve.
pub(crate) type FreeOnes<'a> = SmallVec<[Free<'a>; 8]>;

/// How far an account of weight 1 moves on when it is chosen.
const STRIDE: u64 = 1 << 20;

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
    pub(crate) fn chosen(&self, account: &Account, standing: &Standing) {
        let start = self.start(standing);
        self.clock.fetch_max(start, Relaxed);
        standing.finish.store(start + STRIDE / u64::from(account.weight.max(1)), Relaxed);
    }
}

/// The place of the preferred one; `None` when there is none.
pub(crate) fn preferred(
    free: &[Free<'_>],
    session: Option<&SessionId>,
    rotation: &Rotation,
) -> Option<usize> {
    let best = free.iter().map(|(_, _, priority)| *priority).min()?;
    let among = free.iter().enumerate().filter(|(_, (_, _, priority))| *priority == best);
    match session {
        Some(session) => {
            let scored = among.map(|(at, (account, ..))| {
                (at, session.rendezvous(account.id.as_str(), account.weight), account)
            });
            scored
                .max_by(|(_, a, x), (_, b, y)| a.total_cmp(b).then_with(|| x.id.cmp(&y.id)))
                .map(|(at, ..)| at)
        }
        None => among.min_by(|(_, a), (_, b)| by_load(a, b, rotation)).map(|(at, _)| at),
    }
}

fn by_load((a, a_standing, _): &Free<'_>, (b, b_standing, _): &Free<'_>, rotation: &Rotation) -> Ordering {
    let load = |standing: &Standing, other: &Account| {
        u64::from(standing.in_flight()) * u64::from(other.weight.max(1))
    };
    load(a_standing, b)
        .cmp(&load(b_standing, a))
        .then_with(|| rotation.start(a_standing).cmp(&rotation.start(b_standing)))
        .then_with(|| a_standing.finish.load(Relaxed).cmp(&b_standing.finish.load(Relaxed)))
}
