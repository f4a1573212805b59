//! Sessions that are begun again for ever, with jittered waits between.

use std::{future::Future, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{Link, is_away};

/// Shortest and longest wait before the next try.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// A session that lasted this long was a good one: the next waits start short again.
const GOOD_SESSION: Duration = Duration::from_secs(5);

/// Waits that double from 50 ms to 2 s, each cut by up to half at random so that nodes do not come back in step.
#[derive(Debug, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The next wait, given 32 random bits.
    pub fn next(&mut self, random: u32) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.tries.min(6)).min(LONGEST);
        self.tries += 1;
        whole / 2 + (whole / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// The next wait is the shortest again.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

impl Link {
    /// Runs `session` again whenever it ends, until `stopping`. A session ends with an error when the control plane
    /// went away, and well when it wants to begin anew.
    pub async fn keep<S, F>(&self, name: &'static str, stopping: CancellationToken, mut session: S)
    where
        S: FnMut(Link) -> F,
        F: Future<Output = Result<(), Status>>,
    {
        let mut backoff = Backoff::default();
        let mut told = false;
        loop {
            let began = Instant::now();
            let ended = tokio::select! {
                () = stopping.cancelled() => return,
                ended = session(self.clone()) => ended,
            };
            if began.elapsed() >= GOOD_SESSION {
                backoff.reset();
                told = false;
            }
            if let Err(status) = ended {
                self.membership.heard(&status);
                report(name, &status, &mut told);
            }
            let wait = backoff.next(getrandom::u32().unwrap_or(u32::MAX / 2));
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

/// Says once per outage that the control plane is away, and each time that it refused.
fn report(name: &'static str, status: &Status, told: &mut bool) {
    let (code, message) = (status.code(), status.message());
    if !is_away(status) {
        tracing::warn!(stream = name, ?code, message, "the control plane refused");
    } else if !*told {
        tracing::info!(stream = name, ?code, message, "the control plane is away; trying again");
        *told = true;
    }
}
