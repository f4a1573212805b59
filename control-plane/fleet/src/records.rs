//! The log of request records: written by ingestion, read by the request service and by a key's own bearer. Records
//! lie in their key's partition; beside them lie logs of request ids by key, account, model, client kind, outcome and
//! status, so that a search reads few records that it does not want. Which logs there are is itself a log, so that
//! retention finds them all. Records of refused requests lie in a ring of their own, apart from what counts.

mod filter;
mod refused;
mod search;

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use prost::Message as _;
use proto::{
    rules::usage::{PARTITIONS, partition},
    types::UsageRecord,
};
use store::{LogEntry, Store, Trim};

pub(crate) use self::refused::Refusals;
pub use self::{
    filter::{Filter, OUTCOMES, REFUSED_OUTCOME},
    search::{Page, list},
};
use crate::counters::began_ms;

/// The log of a partition's records, by request id.
pub const REQUESTS: &str = "requests";
/// The log of a partition's records that could not be read.
pub const DEAD: &str = "dead";
/// The ring of records of refused requests.
pub const REFUSED: &str = "refused";
/// The log of a partition's logs, by name: when each was last written to.
const LOGS: &str = "logs";
/// Longest name that has a log of its own, bytes: what is longer is found by looking through all.
const INDEXED_NAME: usize = 128;
/// Logs looked at in one step of retention.
const PAGE: usize = 500;

/// What records add to the logs of their partition.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    entries: Vec<LogEntry>,
    logs: BTreeMap<String, i64>,
}

impl Entries {
    /// Adds one record's.
    pub(crate) fn add(&mut self, record: &UsageRecord, encoded: &[u8], now_ms: i64) {
        let at_ms = began_ms(record).unwrap_or(now_ms);
        let entry = |log: String, body: Vec<u8>| LogEntry { log, id: record.request_id.clone(), at_ms, body };
        self.entries.push(entry(REQUESTS.to_owned(), encoded.to_vec()));
        for log in filter::logs_of(record) {
            // Written to now: nothing in it is newer than that, so that it is empty when this entry has aged away.
            let written = self.logs.entry(log.clone()).or_default();
            *written = now_ms.max(at_ms).max(*written);
            self.entries.push(entry(log, Vec::new()));
        }
    }

    /// All of them.
    pub(crate) fn into_entries(mut self) -> Vec<LogEntry> {
        let named = |(id, at_ms)| LogEntry { log: LOGS.to_owned(), id, at_ms, body: Vec::new() };
        self.entries.extend(self.logs.into_iter().map(named));
        self.entries
    }
}

/// The record of a request, with its explanation.
///
/// # Errors
/// The store's.
pub async fn get(store: &Store, request_id: &str) -> store::Result<Option<UsageRecord>> {
    let ids = [request_id.to_owned()];
    let logs = [REQUESTS, REFUSED];
    let places = (0..PARTITIONS).flat_map(|partition| logs.map(|log| (partition, log)));
    let reads = places.map(|(partition, log)| store.log_get(partition, log, &ids));
    let found = try_join_all(reads).await?.into_iter().flatten().flatten().next();
    Ok(found.and_then(|body| UsageRecord::decode(body.as_slice()).ok()))
}

/// Forgets a key's log of requests, when the key is purged. The records themselves go with their retention.
///
/// # Errors
/// The store's.
pub async fn forget_key(store: &Store, key_id: &str) -> store::Result<()> {
    let log = log_of("key", key_id);
    let trim = Trim::Log { partition: partition(key_id), log, before_ms: i64::MAX };
    store.trim(trim).await.map(|_| ())
}

/// Removes records of requests that began before a time from all logs; how many entries went.
///
/// # Errors
/// The store's.
pub async fn trim_before(store: &Store, before_ms: i64) -> store::Result<u64> {
    let mut removed = 0;
    for partition in 0..PARTITIONS {
        for log in [REQUESTS, DEAD, REFUSED] {
            removed += store.trim(Trim::Log { partition, log: log.to_owned(), before_ms }).await?;
        }
        let mut before: Option<String> = None;
        loop {
            let logs = store.log_range(partition, LOGS, before.as_deref(), PAGE).await?;
            before = logs.last().map(|log| log.position.clone());
            let more = logs.len() == PAGE;
            for log in logs {
                removed += store.trim(Trim::Log { partition, log: log.id, before_ms }).await?;
            }
            if !more {
                break;
            }
        }
        // Last: what a log was not cleared of would be forgotten with its name.
        store.trim(Trim::Log { partition, log: LOGS.to_owned(), before_ms }).await?;
    }
    Ok(removed)
}

fn log_of(kind: &str, name: &str) -> String {
    format!("{kind}/{name}")
}
