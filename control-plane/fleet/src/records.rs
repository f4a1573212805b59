//! The log of request records: written by ingestion, read by the request service and by a key's own bearer. Records
//! lie in their key's partition; beside it each key has a log of its request ids.

use std::collections::VecDeque;

use futures_util::future::try_join_all;
use prost::Message as _;
use proto::{
    rules::usage::{PARTITIONS, partition},
    types::UsageRecord,
};
use store::{LogEntry, LogItem, Store, Trim};

use crate::counters::began_ms;

/// The log of a partition's records, by request id.
pub const REQUESTS: &str = "requests";
/// The log of a partition's records that could not be read.
pub const DEAD: &str = "dead";
/// Entries read at once from one log.
const PAGE: usize = 200;
/// Entries looked at by one call, at most: a rare match ends a page early instead of holding the store up.
const MOST_EXAMINED: usize = 20_000;

/// Which records are wanted; an empty text means any.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this key.
    pub key_id: String,
    /// With an attempt at this account.
    pub account_id: String,
    /// That asked for this model.
    pub model: String,
    /// With this outcome.
    pub outcome: String,
    /// That began at or after, Unix milliseconds.
    pub start_ms: Option<i64>,
    /// That began before, Unix milliseconds.
    pub end_ms: Option<i64>,
}

/// A page of records, newest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The records, without explanations.
    pub records: Vec<UsageRecord>,
    /// Where the next page goes on; `None`: this is the last.
    pub next: Option<String>,
}

impl Filter {
    fn admits(&self, record: &UsageRecord) -> bool {
        let agrees = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        let began = began_ms(record).unwrap_or_default();
        agrees(&self.key_id, &record.key_id)
            && agrees(&self.model, &record.model)
            && agrees(&self.outcome, &record.outcome)
            && (self.account_id.is_empty()
                || record.attempts.iter().any(|attempt| attempt.account_id == self.account_id))
            && self.start_ms.is_none_or(|start| began >= start)
            && self.end_ms.is_none_or(|end| began < end)
    }
}

/// What a record adds to the logs of its partition.
pub(crate) fn entries(record: &UsageRecord, encoded: &[u8], now_ms: i64) -> Vec<LogEntry> {
    let at_ms = began_ms(record).unwrap_or(now_ms);
    let entry = |log: String, body: Vec<u8>| LogEntry { log, id: record.request_id.clone(), at_ms, body };
    vec![entry(REQUESTS.to_owned(), encoded.to_vec()), entry(log_of(&record.key_id), Vec::new())]
}

/// The record of a request, with its explanation.
///
/// # Errors
/// The store's.
pub async fn get(store: &Store, request_id: &str) -> store::Result<Option<UsageRecord>> {
    let ids = [request_id.to_owned()];
    let reads = (0..PARTITIONS).map(|partition| store.log_get(partition, REQUESTS, &ids));
    let found = try_join_all(reads).await?.into_iter().flatten().flatten().next();
    Ok(found.and_then(|body| UsageRecord::decode(body.as_slice()).ok()))
}

/// Records, newest first, before a place that an earlier page gave.
///
/// # Errors
/// The store's.
pub async fn list(store: &Store, filter: &Filter, before: Option<&str>, limit: usize) -> store::Result<Page> {
    let (log, partitions) = match filter.key_id.as_str() {
        "" => (REQUESTS.to_owned(), (0..PARTITIONS).collect()),
        key => (log_of(key), vec![partition(key)]),
    };
    let mut tails: Vec<Tail> =
        partitions.into_iter().map(|partition| Tail::new(partition, &log, before)).collect();
    let mut page = Page::default();
    for _ in 0..MOST_EXAMINED {
        let item = newest(store, &mut tails).await?;
        let begun = |item: &LogItem| filter.start_ms.is_none_or(|start| item.at_ms >= start);
        let Some(item) = item.filter(begun) else { return Ok(Page { next: None, ..page }) };
        page.next = Some(item.position.clone());
        let record = UsageRecord::decode(item.body.as_slice()).ok().filter(|record| filter.admits(record));
        if let Some(mut record) = record {
            record.explanation = None;
            page.records.push(record);
            if page.records.len() == limit {
                break;
            }
        }
    }
    if newest_is_none(store, &mut tails).await? {
        page.next = None;
    }
    Ok(page)
}

/// Forgets a key's log of requests, when the key is purged. The records themselves go with their retention.
///
/// # Errors
/// The store's.
pub async fn forget_key(store: &Store, key_id: &str) -> store::Result<()> {
    let trim = Trim::Log { partition: partition(key_id), log: log_of(key_id), before_ms: i64::MAX };
    store.trim(trim).await.map(|_| ())
}

/// Removes records of requests that began before a time; how many log entries went.
///
/// # Errors
/// The store's.
pub async fn trim_before<'k>(
    store: &Store,
    keys: impl IntoIterator<Item = &'k str>,
    before_ms: i64,
) -> store::Result<u64> {
    let mut removed = 0;
    for partition in 0..PARTITIONS {
        for log in [REQUESTS, DEAD] {
            removed += store.trim(Trim::Log { partition, log: log.to_owned(), before_ms }).await?;
        }
    }
    for key in keys {
        removed += store.trim(Trim::Log { partition: partition(key), log: log_of(key), before_ms }).await?;
    }
    Ok(removed)
}

fn log_of(key_id: &str) -> String {
    format!("key/{key_id}")
}

/// One log, read backwards.
struct Tail {
    partition: u32,
    log: String,
    before: Option<String>,
    held: VecDeque<LogItem>,
    ended: bool,
}

impl Tail {
    fn new(partition: u32, log: &str, before: Option<&str>) -> Self {
        Self {
            partition,
            log: log.to_owned(),
            before: before.map(str::to_owned),
            held: VecDeque::new(),
            ended: false,
        }
    }

    async fn fill(&mut self, store: &Store) -> store::Result<()> {
        while self.held.is_empty() && !self.ended {
            let mut items = store.log_range(self.partition, &self.log, self.before.as_deref(), PAGE).await?;
            self.ended = items.len() < PAGE;
            self.before = items.last().map(|item| item.position.clone());
            if self.log != REQUESTS {
                let ids: Vec<String> = items.iter().map(|item| item.id.clone()).collect();
                let bodies = store.log_get(self.partition, REQUESTS, &ids).await?;
                for (item, body) in items.iter_mut().zip(bodies) {
                    item.body = body.unwrap_or_default();
                }
            }
            self.held.extend(items);
        }
        Ok(())
    }
}

async fn fill_all(store: &Store, tails: &mut [Tail]) -> store::Result<()> {
    try_join_all(tails.iter_mut().map(|tail| tail.fill(store))).await.map(drop)
}

async fn newest(store: &Store, tails: &mut [Tail]) -> store::Result<Option<LogItem>> {
    fill_all(store, tails).await?;
    let place = |tail: &Tail| tail.held.front().map(|item| item.position.clone());
    let newest = tails.iter_mut().filter(|tail| !tail.held.is_empty()).max_by_key(|tail| place(tail));
    Ok(newest.and_then(|tail| tail.held.pop_front()))
}

async fn newest_is_none(store: &Store, tails: &mut [Tail]) -> store::Result<bool> {
    fill_all(store, tails).await?;
    Ok(tails.iter().all(|tail| tail.held.is_empty()))
}
