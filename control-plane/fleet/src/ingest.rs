//! Usage records into counters and logs: at most once, in order within a source and partition. What cannot be understood
//! is put aside, loudly, and never in the way of what follows it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::{Settings, settings};
use prost::Message as _;
use proto::{
    node::{Batch, Marker, SpooledRecord},
    rules::usage::{PARTITIONS, partition},
    types::{Retention, UsageRecord},
};
use store::{Applied, Apply, LogEntry, Store, View};

use crate::{
    counters,
    records::{self, Entries},
    tail::Tails,
};

/// Records applied in one step of the store.
const STEP: usize = 200;

/// Writes usage records to the store.
pub(crate) struct Ingest {
    store: Store,
    view: View,
    tails: Arc<Tails>,
    /// Records applied by this process.
    pub(crate) applied: AtomicU64,
    /// Records put aside by this process.
    pub(crate) dead: AtomicU64,
}

/// Records of one source in one partition that follow each other.
type Run<'b> = &'b [&'b SpooledRecord];

impl Ingest {
    pub(crate) fn new(store: &Store, view: &View, tails: Arc<Tails>) -> Self {
        let (applied, dead) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { store: store.clone(), view: view.clone(), tails, applied, dead }
    }

    /// Applies a batch: how far its source now is, in each partition that it touches.
    pub(crate) async fn batch(&self, batch: &Batch) -> store::Result<Vec<Marker>> {
        let mut partitions: BTreeMap<u32, Vec<&SpooledRecord>> = BTreeMap::new();
        for record in &batch.records {
            partitions.entry(record.partition).or_default().push(record);
        }
        let epoch = batch.epoch.as_str();
        let each = partitions.iter().map(|(partition, records)| self.partition(epoch, *partition, records));
        futures_util::future::try_join_all(each).await
    }

    async fn partition(&self, epoch: &str, partition: u32, records: Run<'_>) -> store::Result<Marker> {
        let marker = |applied, gap| Marker { epoch: epoch.to_owned(), partition, applied, gap };
        let last = records.last().map_or(0, |record| record.sequence);
        if partition >= PARTITIONS {
            tracing::error!(epoch, partition, "records of a partition that does not exist are refused");
            self.dead.fetch_add(records.len() as u64, Ordering::Relaxed);
            return Ok(marker(last, false));
        }
        let mut applied = 0;
        for run in runs(records) {
            match self.run(epoch, partition, run).await? {
                Ok(marker) => applied = marker,
                Err(have) => return Ok(marker(have, true)),
            }
        }
        Ok(marker(applied, false))
    }

    /// Applies records that follow each other: the marker after it, or (a gap) the one that is there.
    async fn run(&self, epoch: &str, partition: u32, mut run: Run<'_>) -> store::Result<Result<u64, u64>> {
        loop {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(Ok(0)) };
            match self.apply(epoch, partition, run).await? {
                Applied::Done => return Ok(Ok(last.sequence)),
                Applied::Already { have } => return Ok(Ok(have)),
                Applied::Gap { have } if have > first.previous => {
                    // The first of them were applied before: go on behind those.
                    let rest = &run[run.partition_point(|record| record.sequence <= have)..];
                    if rest.len() == run.len() || rest.first().is_none_or(|next| next.previous != have) {
                        return Ok(Err(have));
                    }
                    run = rest;
                }
                Applied::Gap { have } => return Ok(Err(have)),
            }
        }
    }

    async fn apply(&self, epoch: &str, partition: u32, run: Run<'_>) -> store::Result<Applied> {
        let (apply, counted) = self.counted(epoch, partition, run);
        let dead = (run.len() - counted.len()) as u64;
        match self.store.apply(apply).await {
            Ok(Applied::Done) => {
                self.tails.seen(counted.iter());
                self.applied.fetch_add(run.len() as u64 - dead, Ordering::Relaxed);
                self.dead.fetch_add(dead, Ordering::Relaxed);
                Ok(Applied::Done)
            }
            Err(why) if !why.is_transient() && run.len() > 1 => {
                tracing::warn!(epoch, partition, %why, "records are not taken together: one by one");
                let (head, tail) = run.split_at(run.len() / 2);
                match Box::pin(self.apply(epoch, partition, head)).await? {
                    Applied::Gap { have } => Ok(Applied::Gap { have }),
                    _ => Box::pin(self.apply(epoch, partition, tail)).await,
                }
            }
            Err(why) if !why.is_transient() => {
                let mut aside = empty(epoch, partition, run, self.store.now_ms());
                aside.entries.extend(
                    run.iter().map(|record| put_aside(epoch, record, &why.to_string(), aside.now_ms)),
                );
                self.dead.fetch_add(run.len() as u64, Ordering::Relaxed);
                self.store.apply(aside).await
            }
            other => other,
        }
    }

    /// What a run counts, and the records that it counts: the others were put aside.
    fn counted(&self, epoch: &str, partition: u32, run: Run<'_>) -> (Apply, Vec<UsageRecord>) {
        let settings = self.view.get::<Settings>(settings::ID);
        let settings = settings.map_or_else(Settings::default, |held| held.value.clone());
        let (zone, retention) = (settings.zone(), retention(&settings));
        let now_ms = self.store.now_ms();
        let mut apply = empty(epoch, partition, run, now_ms);
        let mut tally = counters::Tally::new(&zone, &retention, now_ms);
        let (mut entries, mut counted) = (Entries::default(), Vec::with_capacity(run.len()));
        for spooled in run {
            match read(spooled) {
                Ok(record) => {
                    tally.count(&record);
                    entries.add(&record, &spooled.record, now_ms);
                    counted.push(record);
                }
                Err(why) => apply.entries.push(put_aside(epoch, spooled, why, now_ms)),
            }
        }
        tally.write(&mut apply);
        apply.entries.extend(entries.into_entries());
        (apply, counted)
    }
}

fn retention(settings: &Settings) -> Retention {
    let kept = settings.retention.effective();
    Retention {
        minute_days: kept.minute_days,
        hour_days: kept.hour_days,
        day_days: kept.day_days,
        request_days: kept.request_days,
        audit_days: kept.audit_days,
        bin_days: kept.bin_days,
    }
}

fn empty(epoch: &str, partition: u32, run: Run<'_>, now_ms: i64) -> Apply {
    Apply {
        partition,
        source: epoch.to_owned(),
        previous: run.first().map_or(0, |record| record.previous),
        last: run.last().map_or(0, |record| record.sequence),
        now_ms,
        ..Apply::default()
    }
}

/// A record, if it is one and lies where it belongs.
fn read(spooled: &SpooledRecord) -> Result<UsageRecord, &'static str> {
    let record = UsageRecord::decode(spooled.record.as_ref()).map_err(|_| "it is no usage record")?;
    if record.request_id.is_empty() || record.key_id.is_empty() {
        return Err("it names no request or no key");
    }
    if partition(&record.key_id) != spooled.partition {
        return Err("it lies in a partition that is not its key's");
    }
    Ok(record)
}

fn put_aside(epoch: &str, spooled: &SpooledRecord, why: &str, now_ms: i64) -> LogEntry {
    tracing::error!(epoch, sequence = spooled.sequence, why, "a usage record is put aside and not counted");
    LogEntry {
        log: records::DEAD.to_owned(),
        id: format!("{epoch}-{}", spooled.sequence),
        at_ms: now_ms,
        body: spooled.record.to_vec(),
    }
}

/// Cuts records where they do not follow each other, and where a step would grow too large.
fn runs<'b>(records: Run<'b>) -> impl Iterator<Item = Run<'b>> {
    records.chunk_by(|before, after| after.previous == before.sequence).flat_map(|run| run.chunks(STEP))
}

#[cfg(test)]
mod tests;
