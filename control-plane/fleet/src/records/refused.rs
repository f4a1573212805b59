//! The ring of refused requests: the newest of each partition's, by node. It counts nothing and may lose some.

use domain::text;
use prost::Message as _;
use proto::{rules::usage::partition, types::UsageRecord};
use store::{Applied, Apply, LogEntry, Store, Trim};

use super::{REFUSED, REFUSED_OUTCOME};
use crate::counters::began_ms;

/// Records kept in one partition.
const KEPT: u64 = 1_000;
/// Longest record, bytes.
const LONGEST: usize = 8 * 1024;
/// Records of one message, at most.
const MOST: usize = 256;

/// Writes records of refused requests.
pub(crate) struct Refusals {
    store: Store,
}

impl Refusals {
    pub(crate) fn new(store: &Store) -> Self {
        Self { store: store.clone() }
    }

    /// Keeps the records of one message of one node, once however often it is sent. What is no such record is left out.
    /// Gives those that were kept.
    pub(crate) async fn keep(
        &self,
        node: &str,
        epoch: &str,
        number: u64,
        encoded: &[Vec<u8>],
    ) -> store::Result<Vec<UsageRecord>> {
        let now_ms = self.store.now_ms();
        let records: Vec<(UsageRecord, &Vec<u8>)> =
            encoded.iter().take(MOST).filter_map(|bytes| Some((read(bytes)?, bytes))).collect();
        if records.is_empty() || number == 0 {
            return Ok(Vec::new());
        }
        let partition = partition(node);
        let entry = |(record, bytes): &(UsageRecord, &Vec<u8>)| LogEntry {
            log: REFUSED.to_owned(),
            id: record.request_id.clone(),
            at_ms: began_ms(record).unwrap_or(now_ms).min(now_ms),
            body: (*bytes).clone(),
        };
        let mut apply = Apply {
            partition,
            source: format!("refused:{epoch}"),
            previous: number - 1,
            last: number,
            now_ms,
            entries: records.iter().map(entry).collect(),
            ..Apply::default()
        };
        if let Applied::Gap { have } = self.store.apply(apply.clone()).await? {
            // Messages before it are lost, or the store has gone back: no harm, since nothing is counted.
            apply.previous = have;
            self.store.apply(apply).await?;
        }
        self.store.trim(Trim::LogLength { partition, log: REFUSED.to_owned(), keep: KEPT }).await?;
        Ok(records.into_iter().map(|(record, _)| record).collect())
    }
}

fn read(bytes: &Vec<u8>) -> Option<UsageRecord> {
    let record = (bytes.len() <= LONGEST).then(|| UsageRecord::decode(bytes.as_slice()).ok()).flatten()?;
    let sound = text::is_id(&record.request_id)
        && record.outcome == REFUSED_OUTCOME
        && record.refusal.is_some()
        && record.attempts.is_empty();
    sound.then_some(record)
}
