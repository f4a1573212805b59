//! Reading an answer to its end after its client has left, to learn what it really used. Only for accounts that say so.

use std::{future::poll_fn, time::Duration};

use super::{End, Relayed, Silence, UsageTap};
use crate::metrics::Outcome;

/// Longest time that an answer is read for nobody.
const LONGEST: Duration = Duration::from_secs(600);

/// Moves the answer with all that it owes to a task of its own.
pub(super) fn start(left: &mut Relayed) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return left.client_gone() };
    let Some(life) = left.life.take() else { return };
    let tasks = life.worker.tasks.clone();
    let mut moved = Relayed {
        held: Vec::new().into_iter(),
        held_bytes: 0,
        answer: left.answer.take(),
        life: Some(life),
        tap: left.tap.take(),
        silence: Silence::new(left.silence.longest),
        end: End::Open,
        framing: left.framing,
        rewrite: None,
        converted: None,
        is_plain: left.is_plain,
        status: left.status,
        verdict: left.verdict.clone(),
        upstream_request_id: std::mem::take(&mut left.upstream_request_id),
        abandoned: true,
    };
    tasks.spawn_on(
        "read-on",
        async move {
            let sent = moved.life.as_ref().map_or(0, |life| life.sent);
            let reading = async {
                while moved.end == End::Open {
                    match poll_fn(|cx| moved.poll(cx)).await {
                        Some(Ok(_)) => {}
                        _ => break,
                    }
                    // What is read for nobody was not sent to the client.
                    if let Some(life) = &mut moved.life {
                        life.sent = sent;
                    }
                }
            };
            let _ = tokio::time::timeout(LONGEST, reading).await;
            moved.give_up();
        },
        &runtime,
    );
}

impl Relayed {
    /// Settles without reading on once more.
    fn give_up(&mut self) {
        if self.life.is_none() {
            return;
        }
        let tapped = self.tap.take().map(UsageTap::finish);
        let usage = tapped.map_or(super::Usage::None, |tapped| super::Usage::Tapped(Box::new(tapped)));
        self.settle(usage, "client_gone", Outcome::ClientGone);
    }
}
