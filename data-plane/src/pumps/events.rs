//! What upstreams said of accounts, on its way to the control plane: gathered for 50 ms, sent again until accepted,
//! bounded. Nodes act on their own verdicts at once; this tells the others. The relay reports, one task sends.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use link::{Backoff, Link};
use parking_lot::Mutex;
use process::tasks::Tasks;
use proto::node::{
    AccountEvent, AccountEventRequest, account_event_service_client::AccountEventServiceClient,
};
use tokio::sync::Notify;

/// Events that wait at most; past it the oldest go, since newer ones say more.
const WAITING: usize = 4096;
/// Events of one call.
const BATCH: usize = 512;
/// How long events are gathered.
const GATHER: Duration = Duration::from_millis(50);
/// How long one call may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Where events are reported. Cheap to clone.
#[derive(Clone, Default)]
pub struct Events(Arc<Queue>);

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    added: Notify,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<AccountEvent>,
    /// How many left the front since the process began, sent or dropped: the number of the first that waits.
    left: u64,
    dropped: u64,
}

impl Events {
    /// Reports an event. Never waits.
    pub fn report(&self, event: AccountEvent) {
        {
            let mut waiting = self.0.waiting.lock();
            if waiting.events.len() >= WAITING {
                waiting.events.pop_front();
                waiting.left += 1;
                waiting.dropped += 1;
            }
            waiting.events.push_back(event);
        }
        self.0.added.notify_one();
    }

    /// Events that wait, and how many were dropped since the process began.
    pub fn waiting(&self) -> (usize, u64) {
        let waiting = self.0.waiting.lock();
        (waiting.events.len(), waiting.dropped)
    }

    /// Starts the task that sends.
    pub fn start(&self, link: Link, tasks: &Tasks) {
        let (events, stopping) = (self.clone(), tasks.stopping());
        tasks.spawn("account-events", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = events.send_for_ever(&link) => {}
            }
            // What was seen last matters to those who stay.
            let (events, _) = events.batch();
            if !events.is_empty()
                && let Err(status) = send(&link, events).await
            {
                tracing::debug!(code = ?status.code(), "the last account events were not told");
            }
        });
    }

    async fn send_for_ever(&self, link: &Link) {
        let mut backoff = Backoff::default();
        loop {
            self.0.added.notified().await;
            tokio::time::sleep(GATHER).await;
            loop {
                let (events, until) = self.batch();
                if events.is_empty() {
                    break;
                }
                match send(link, events).await {
                    Ok(()) => {
                        backoff.reset();
                        self.done(until);
                    }
                    Err(status) if status.code() == tonic::Code::InvalidArgument => {
                        tracing::warn!(
                            reason = status.message(),
                            "the control plane does not understand account events"
                        );
                        self.done(until);
                    }
                    Err(status) => {
                        tracing::debug!(code = ?status.code(), "account events wait for the control plane");
                        tokio::time::sleep(backoff.next(getrandom::u32().unwrap_or_default())).await;
                    }
                }
            }
        }
    }

    /// The oldest events, and the number of the first after them. They stay until they were accepted: an event twice is
    /// no harm, it states and does not count.
    fn batch(&self) -> (Vec<AccountEvent>, u64) {
        let waiting = self.0.waiting.lock();
        let events: Vec<_> = waiting.events.iter().take(BATCH).cloned().collect();
        let until = waiting.left + events.len() as u64;
        (events, until)
    }

    fn done(&self, until: u64) {
        let mut waiting = self.0.waiting.lock();
        let count =
            usize::try_from(until.saturating_sub(waiting.left)).unwrap_or(0).min(waiting.events.len());
        waiting.events.drain(..count);
        waiting.left += count as u64;
    }
}

async fn send(link: &Link, events: Vec<AccountEvent>) -> Result<(), tonic::Status> {
    let mut client = AccountEventServiceClient::new(link.channel());
    let call = client.report(AccountEventRequest { events });
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(answer) => answer.map(drop),
        Err(_) => Err(tonic::Status::deadline_exceeded("no answer")),
    }
}

#[cfg(test)]
mod tests;
