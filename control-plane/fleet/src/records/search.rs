//! Reading records backwards through several logs at once, a bounded piece per call.

use std::collections::VecDeque;

use futures_util::future::try_join_all;
use prost::Message as _;
use proto::{
    rules::usage::{PARTITIONS, partition},
    types::UsageRecord,
};
use store::{LogItem, Store, log_position};

use super::{Filter, REFUSED, REQUESTS};

/// Entries read at once from one log, at most.
const PIECE: usize = 200;
/// Entries looked at by one call, at most: a rare match ends a page early instead of holding the store up.
const MOST_EXAMINED: usize = 4_000;

/// A page of records, newest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The records, without explanations. May be fewer than asked for though more are to come.
    pub records: Vec<UsageRecord>,
    /// Where the next page goes on; `None`: this is the last.
    pub next: Option<String>,
}

/// Records, newest first, before a place that an earlier page gave.
///
/// # Errors
/// The store's.
pub async fn list(store: &Store, filter: &Filter, before: Option<&str>, limit: usize) -> store::Result<Page> {
    let newest = filter.end_ms.map(log_position);
    // Places sort by time: the earlier of the two bounds holds.
    let before = match (before, newest) {
        (Some(before), Some(newest)) => Some(newest.min(before.to_owned())),
        (before, newest) => newest.or(before.map(str::to_owned)),
    };
    let mut tails = tails(filter, before.as_deref(), limit);
    let mut page = Page::default();
    for _ in 0..MOST_EXAMINED {
        let item = newest_of(store, &mut tails).await?;
        let begun = |item: &LogItem| filter.start_ms.is_none_or(|start| item.at_ms >= start);
        let Some(item) = item.filter(begun) else { return Ok(Page { next: None, ..page }) };
        page.next = Some(item.position.clone());
        let record = UsageRecord::decode(item.body.as_slice()).ok();
        if let Some(mut record) = record.filter(|record| filter.admits(record)) {
            record.explanation = None;
            page.records.push(record);
            if page.records.len() == limit {
                break;
            }
        }
    }
    fill(store, &mut tails).await?;
    if tails.iter().all(|tail| tail.held.is_empty()) {
        page.next = None;
    }
    Ok(page)
}

fn tails(filter: &Filter, before: Option<&str>, limit: usize) -> Vec<Tail> {
    let log = filter.narrowest();
    let partitions = match filter.key_id.as_str() {
        "" => 0..PARTITIONS,
        key => partition(key)..partition(key) + 1,
    };
    // A page spread over all partitions takes its share from each, and twice that in case of luck.
    let share = (limit * 2 / partitions.len().max(1)).clamp(16, PIECE);
    let served = partitions.filter(|_| filter.wants_served());
    let refused = (0..PARTITIONS).filter(|_| filter.wants_refused());
    let served = served.map(|partition| Tail::new(partition, &log, before, share));
    served.chain(refused.map(|partition| Tail::new(partition, REFUSED, before, 16))).collect()
}

/// One log, read backwards.
struct Tail {
    partition: u32,
    log: String,
    before: Option<String>,
    held: VecDeque<LogItem>,
    ended: bool,
    piece: usize,
}

impl Tail {
    fn new(partition: u32, log: &str, before: Option<&str>, piece: usize) -> Self {
        let before = before.map(str::to_owned);
        Self { partition, log: log.to_owned(), before, held: VecDeque::new(), ended: false, piece }
    }

    fn needs_more(&self) -> bool {
        self.held.is_empty() && !self.ended
    }

    async fn fill(&mut self, store: &Store) -> store::Result<()> {
        while self.needs_more() {
            let wanted = self.piece;
            self.piece = (wanted * 2).min(PIECE);
            let before = self.before.as_deref();
            let mut items = store.log_range(self.partition, &self.log, before, wanted).await?;
            self.ended = items.len() < wanted;
            self.before = items.last().map(|item| item.position.clone());
            if self.log != REQUESTS && self.log != REFUSED {
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

async fn fill(store: &Store, tails: &mut [Tail]) -> store::Result<()> {
    let empty = tails.iter_mut().filter(|tail| tail.needs_more());
    try_join_all(empty.map(|tail| tail.fill(store))).await.map(drop)
}

async fn newest_of(store: &Store, tails: &mut [Tail]) -> store::Result<Option<LogItem>> {
    if tails.iter().any(Tail::needs_more) {
        fill(store, tails).await?;
    }
    let holding = tails.iter_mut().filter(|tail| !tail.held.is_empty());
    let newest = holding.max_by(|a, b| {
        let place = |tail: &Tail| tail.held.front().map(|item| item.position.clone());
        place(a).cmp(&place(b))
    });
    Ok(newest.and_then(|tail| tail.held.pop_front()))
}
