//! The shipper: sends what the spool holds and takes acknowledgements, so that each record is applied exactly once.
//!
//! After connecting it asks how far each epoch was applied and sends nothing of an epoch before it knows. A few batches
//! are in flight. A gap, a store that has lost something, or a batch without answer lead back to what the store has:
//! sending twice is no harm, since the store applies at most once. It does not know what a record means.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use link::{Link, Live, MAX_MESSAGE};
use process::tasks::Tasks;
use proto::{
    node::{
        Batch, Marker, MarkerQuery, ReportRequest, ReportResponse, SpooledRecord, report_request::Message,
        usage_service_client::UsageServiceClient,
    },
    rules::{ids::Epoch, usage::PARTITIONS},
};
use spool::{Record, Spool};
use tokio::sync::watch;
use tonic::Status;

use super::in_time;

/// Records of one batch at most.
const BATCH_RECORDS: usize = 500;
/// Bytes of one batch at most, but for one record.
const BATCH_BYTES: usize = 1 << 20;
/// Batches that may wait for their answer.
const WINDOW: usize = 8;
/// How often markers are compared.
const COMPARE_EVERY: Duration = Duration::from_secs(30);
/// How long an answer may take before its question counts as lost.
const ANSWER: Duration = Duration::from_secs(30);
/// How long an epoch rests after a gap that follows a gap without anything applied in between.
const REST: Duration = Duration::from_secs(1);

/// Starts the shipper; gives whether it is connected.
pub fn start(spool: Arc<Spool>, link: Link, tasks: &Tasks) -> watch::Receiver<bool> {
    let (connected, seen) = watch::channel(false);
    let connected = Arc::new(connected);
    let stopping = tasks.stopping();
    tasks.spawn("usage", async move {
        let session = |link: Link| {
            let (spool, connected) = (spool.clone(), connected.clone());
            async move {
                let ended = Shipper::new(spool).session(&link, &connected).await;
                connected.send_replace(false);
                ended
            }
        };
        link.keep("usage", stopping, session).await;
    });
    seen
}

/// One stream's state.
struct Shipper {
    spool: Arc<Spool>,
    epochs: HashMap<Epoch, Shipping>,
    in_flight: Vec<InFlight>,
    store_identity: String,
    compared_at: Instant,
}

/// How far an epoch is shipped on this stream.
#[derive(Default)]
struct Shipping {
    /// Whether the store has said how far it is; nothing is sent before.
    known: bool,
    /// When it was asked last.
    asked_at: Option<Instant>,
    /// All up to this sequence is sent, or needs no sending.
    sent: u64,
    /// Gaps in a row.
    gaps: u32,
    /// Nothing is sent until then.
    rests_until: Option<Instant>,
}

/// A batch that waits for its answer.
struct InFlight {
    epoch: Epoch,
    sent_at: Instant,
    /// By partition: the last sequence in it.
    last: HashMap<u32, u64>,
}

impl Shipper {
    fn new(spool: Arc<Spool>) -> Self {
        Self {
            spool,
            epochs: HashMap::new(),
            in_flight: Vec::new(),
            store_identity: String::new(),
            compared_at: Instant::now(),
        }
    }

    async fn session(mut self, link: &Link, connected: &watch::Sender<bool>) -> Result<(), Status> {
        let first = self.question(self.spool.sources(), Instant::now());
        let mut client = UsageServiceClient::new(link.channel()).max_decoding_message_size(MAX_MESSAGE);
        let mut live = in_time(Live::open(first, async |up| client.report(up).await)).await?;
        connected.send_replace(true);
        let spool = self.spool.clone();
        loop {
            if let Some(message) = self.next_question(Instant::now()) {
                in_time(live.send(message)).await?;
            }
            while let Some(message) = self.next_batch(Instant::now()).await? {
                in_time(live.send(message)).await?;
            }
            tokio::select! {
                biased;
                response = live.receive() => self.take(response?).await?,
                () = spool.wake().notified() => {}
                () = tokio::time::sleep(self.next_due(Instant::now())) => {}
            }
        }
    }

    /// Asks how far epochs were applied.
    fn question(&mut self, epochs: Vec<Epoch>, now: Instant) -> ReportRequest {
        for epoch in &epochs {
            self.epochs.entry(epoch.clone()).or_default().asked_at = Some(now);
        }
        let epochs = epochs.into_iter().map(String::from).collect();
        ReportRequest { message: Some(Message::Query(MarkerQuery { epochs })) }
    }

    /// What is to be asked now: epochs that are new here, or whose answer was lost, and from time to time all.
    fn next_question(&mut self, now: Instant) -> Option<ReportRequest> {
        let held = self.spool.sources();
        self.epochs.retain(|epoch, _| held.contains(epoch));
        let late = |asked_at: &Option<Instant>| {
            asked_at.is_none_or(|at| now.saturating_duration_since(at) >= ANSWER)
        };
        let all = now.saturating_duration_since(self.compared_at) >= COMPARE_EVERY;
        let asked: Vec<_> = held
            .into_iter()
            .filter(|epoch| {
                let shipping = self.epochs.get(epoch);
                all || shipping.is_none_or(|shipping| !shipping.known && late(&shipping.asked_at))
            })
            .collect();
        if all {
            self.compared_at = now;
            self.send_lost_again(now);
        }
        (!asked.is_empty()).then(|| self.question(asked, now))
    }

    /// Batches without answer for long are sent again.
    fn send_lost_again(&mut self, now: Instant) {
        let lost = |batch: &InFlight| now.saturating_duration_since(batch.sent_at) >= ANSWER;
        let epochs: Vec<_> =
            self.in_flight.iter().filter(|batch| lost(batch)).map(|batch| batch.epoch.clone()).collect();
        for epoch in epochs {
            tracing::warn!(%epoch, "a batch of usage records was not answered; sending it again");
            self.rewind(&epoch);
        }
    }

    /// Begins again from what the store has.
    fn rewind(&mut self, epoch: &Epoch) {
        self.in_flight.retain(|batch| batch.epoch != *epoch);
        if let Some(shipping) = self.epochs.get_mut(epoch) {
            // What was acknowledged is passed over by the reader, so that the beginning is never wrong.
            let applied = self.spool.applied(epoch).unwrap_or_default();
            shipping.sent = applied.into_iter().min().unwrap_or_default();
        }
    }

    /// The next batch to send, if there is one and the window has room.
    async fn next_batch(&mut self, now: Instant) -> Result<Option<ReportRequest>, Status> {
        if self.in_flight.len() >= WINDOW {
            return Ok(None);
        }
        let ready = self.epochs.iter().find(|(epoch, shipping)| {
            shipping.known
                && shipping.rests_until.is_none_or(|until| until <= now)
                && self.spool.pending(epoch, shipping.sent)
        });
        let Some((epoch, after)) = ready.map(|(epoch, shipping)| (epoch.clone(), shipping.sent)) else {
            return Ok(None);
        };
        let (spool, of) = (self.spool.clone(), epoch.clone());
        let records = blocking(move || spool.read(&of, after, BATCH_RECORDS, BATCH_BYTES)).await?;
        let Some(shipping) = self.epochs.get_mut(&epoch) else { return Ok(None) };
        let Some(last) = records.last() else {
            // What waits cannot be read: it is asked for again when markers are compared.
            shipping.rests_until = Some(now + COMPARE_EVERY);
            tracing::error!(%epoch, after, "the spool holds records that it cannot read");
            return Ok(None);
        };
        shipping.sent = last.sequence;
        let last = records.iter().map(|record| (record.partition, record.sequence)).collect();
        self.in_flight.push(InFlight { epoch: epoch.clone(), sent_at: now, last });
        let records = records.into_iter().map(wire).collect();
        Ok(Some(ReportRequest { message: Some(Message::Batch(Batch { epoch: epoch.into(), records })) }))
    }

    async fn take(&mut self, response: ReportResponse) -> Result<(), Status> {
        let changed = !self.store_identity.is_empty() && self.store_identity != response.store_identity;
        self.store_identity = response.store_identity;
        if changed {
            tracing::warn!("the store has changed; comparing what it has with what this node holds");
            for shipping in self.epochs.values_mut() {
                (shipping.known, shipping.asked_at) = (false, None);
            }
            self.in_flight.clear();
        }
        if response.answers_query {
            self.compare(&response.queried, &response.markers).await?;
        }
        for marker in response.markers {
            let epoch = Epoch::from(marker.epoch);
            if marker.gap {
                self.gap(&epoch, marker.partition, marker.applied).await?;
            } else if !response.answers_query {
                self.spool.acked(&epoch, marker.partition, marker.applied);
                if let Some(shipping) = self.epochs.get_mut(&epoch) {
                    shipping.gaps = 0;
                }
            }
        }
        self.forget_answered();
        Ok(())
    }

    /// The store's word on epochs as a whole: a partition that it does not name has nothing applied.
    async fn compare(&mut self, queried: &[String], markers: &[Marker]) -> Result<(), Status> {
        for epoch in queried {
            let mut applied = [0; PARTITIONS as usize];
            for marker in markers.iter().filter(|marker| marker.epoch == *epoch) {
                if let Some(place) = applied.get_mut(marker.partition as usize) {
                    *place = marker.applied;
                }
            }
            let epoch = Epoch::from(epoch.as_str());
            let (spool, of) = (self.spool.clone(), epoch.clone());
            let lost = blocking(move || {
                (0..).zip(applied).try_fold(false, |lost, (partition, applied)| {
                    Ok::<_, spool::Error>(spool.compare(&of, partition, applied)? || lost)
                })
            })
            .await?;
            if lost {
                tracing::warn!(%epoch, "the store has less than it once had; sending again");
                self.rewind(&epoch);
            }
            if let Some(shipping) = self.epochs.get_mut(&epoch) {
                (shipping.known, shipping.rests_until) = (true, None);
            }
        }
        Ok(())
    }

    /// The store lacks what a batch builds upon, and says what it has.
    async fn gap(&mut self, epoch: &Epoch, partition: u32, applied: u64) -> Result<(), Status> {
        let (spool, of) = (self.spool.clone(), epoch.clone());
        blocking(move || spool.compare(&of, partition, applied)).await?;
        self.rewind(epoch);
        if let Some(shipping) = self.epochs.get_mut(epoch) {
            shipping.gaps += 1;
            if shipping.gaps > 1 {
                tracing::warn!(%epoch, partition, applied, gaps = shipping.gaps, "the store misses records");
                shipping.rests_until = Some(Instant::now() + REST);
            }
        }
        Ok(())
    }

    fn forget_answered(&mut self) {
        let spool = &self.spool;
        self.in_flight.retain(|batch| {
            let Some(applied) = spool.applied(&batch.epoch) else { return false };
            batch.last.iter().any(|(partition, last)| applied[*partition as usize] < *last)
        });
    }

    /// How long there is nothing to do, if nothing happens.
    fn next_due(&self, now: Instant) -> Duration {
        let compare = self.compared_at + COMPARE_EVERY;
        let rests =
            self.epochs.values().filter_map(|shipping| shipping.rests_until).filter(|until| *until > now);
        rests.chain([compare]).min().unwrap_or(compare).saturating_duration_since(now)
    }
}

fn wire(record: Record) -> SpooledRecord {
    let Record { sequence, partition, previous, payload } = record;
    SpooledRecord { sequence, partition, previous, record: payload.into() }
}

/// Runs what reads the disk where it holds up nobody. An epoch that is gone meanwhile has nothing to say.
async fn blocking<T, F>(work: F) -> Result<T, Status>
where
    T: Default + Send + 'static,
    F: FnOnce() -> Result<T, spool::Error> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(spool::Error::NoEpoch(_))) => Ok(T::default()),
        Ok(Err(error)) => Err(Status::internal(error.to_string())),
        Err(error) => Err(Status::internal(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
