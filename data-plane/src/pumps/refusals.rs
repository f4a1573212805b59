//! Records of refused requests, on their way to the control plane's ring: best effort, bounded in number and per second,
//! so that a flood of refusals costs a look at one number each. The relay keeps, one task sends.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use link::{Backoff, Link, is_away};
use parking_lot::Mutex;
use process::tasks::Tasks;
use proto::node::{ReportRefusedRequest, usage_service_client::UsageServiceClient};
use tokio::sync::Notify;

/// Records that wait at most; past it the oldest go.
const WAITING: usize = 512;
/// Records of one call.
const BATCH: usize = 128;
/// Records kept of one second: the rest is counted in the metrics and logged, and no more.
const PER_SECOND: u64 = 50;
/// How long records are gathered.
const GATHER: Duration = Duration::from_millis(250);
/// How long one call may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// Bits of the count within a second.
const COUNT_BITS: u32 = 16;

/// Where refused requests are kept. Cheap to clone.
#[derive(Clone, Default)]
pub struct Refusals(Arc<Ring>);

#[derive(Default)]
struct Ring {
    waiting: Mutex<VecDeque<Vec<u8>>>,
    added: Notify,
    /// The second, and how many it has had.
    second: AtomicU64,
}

impl Refusals {
    /// Whether one more is kept in this second (Unix seconds): asked before a record is made.
    pub fn has_room(&self, second: u64) -> bool {
        let next = |held: u64| match held >> COUNT_BITS == second {
            true if held & ((1 << COUNT_BITS) - 1) >= PER_SECOND => None,
            true => Some(held + 1),
            false => Some((second << COUNT_BITS) + 1),
        };
        self.0.second.try_update(Relaxed, Relaxed, next).is_ok()
    }

    /// Keeps an encoded `UsageRecord`. Never waits.
    pub fn keep(&self, record: Vec<u8>) {
        {
            let mut waiting = self.0.waiting.lock();
            if waiting.len() >= WAITING {
                waiting.pop_front();
            }
            waiting.push_back(record);
        }
        self.0.added.notify_one();
    }

    /// Starts the task that sends.
    pub fn start(&self, link: Link, tasks: &Tasks) {
        let (refusals, stopping) = (self.clone(), tasks.stopping());
        tasks.spawn("refusals", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = refusals.send_for_ever(&link) => {}
            }
        });
    }

    async fn send_for_ever(&self, link: &Link) {
        let mut backoff = Backoff::default();
        for number in 1.. {
            let records = self.gather().await;
            // The same message until it is answered: the control plane keeps it once.
            while let Err(status) = send(link, number, &records).await {
                if !is_away(&status) {
                    // A release that does not keep them, or one that does not understand: they are lost, as some may be.
                    tracing::debug!(code = ?status.code(), "refused requests are not kept");
                    break;
                }
                tokio::time::sleep(backoff.next(getrandom::u32().unwrap_or_default())).await;
            }
            backoff.reset();
        }
    }

    async fn gather(&self) -> Vec<Vec<u8>> {
        loop {
            let batch = self.batch();
            if !batch.is_empty() {
                return batch;
            }
            self.0.added.notified().await;
            tokio::time::sleep(GATHER).await;
        }
    }

    fn batch(&self) -> Vec<Vec<u8>> {
        let mut waiting = self.0.waiting.lock();
        let count = waiting.len().min(BATCH);
        waiting.drain(..count).collect()
    }
}

async fn send(link: &Link, number: u64, records: &[Vec<u8>]) -> Result<(), tonic::Status> {
    let request = ReportRefusedRequest { number, records: records.to_vec() };
    let mut client = UsageServiceClient::new(link.channel());
    let sent = tokio::time::timeout(DEADLINE, client.report_refused(request)).await;
    let late = || Err(tonic::Status::deadline_exceeded("no answer in time"));
    sent.unwrap_or_else(|_| late()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_keeps_so_many_and_the_next_as_many_again() {
        let refusals = Refusals::default();
        let kept = |second| (0..200).filter(|_| refusals.has_room(second)).count() as u64;
        assert_eq!(
            (kept(1_700_000_000), kept(1_700_000_000), kept(1_700_000_001)),
            (PER_SECOND, 0, PER_SECOND)
        );
    }

    #[test]
    fn the_ring_forgets_the_oldest() {
        let refusals = Refusals::default();
        (0..WAITING + 3).for_each(|n| refusals.keep(n.to_be_bytes().to_vec()));
        let mut all = Vec::new();
        loop {
            let batch = refusals.batch();
            if batch.is_empty() {
                break;
            }
            all.extend(batch);
        }
        assert_eq!((all.len(), all[0].as_slice()), (WAITING, 3_usize.to_be_bytes().as_slice()));
    }
}
