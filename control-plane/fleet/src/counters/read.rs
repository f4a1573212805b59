//! Reading counters back: points of a chart, sums over a range, and the largest. Every read asks only for rows that it
//! can name, and sums the partitions.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use proto::{admin::UsageTotals, rules::usage::PARTITIONS};
use store::{Row, Store};

use super::{Bucket, Dimension, Range, Step, fields, merge};

/// Rows asked for at once.
const PAGE: usize = 1000;

/// Sums of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Begin of the step, Unix milliseconds; 0 for all time.
    pub start_ms: i64,
    /// Sums.
    pub totals: UsageTotals,
}

/// One of the largest.
#[derive(Clone, Debug, PartialEq)]
pub struct Top {
    /// Id, name or slug.
    pub id: String,
    /// Sums.
    pub totals: UsageTotals,
}

/// What the largest are largest in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Cost after multipliers.
    RatedCost,
    /// Requests.
    Requests,
    /// All tokens.
    Tokens,
}

impl Order {
    /// From the word of the statistics API; empty is cost.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "" | "rated_cost" => Some(Self::RatedCost),
            "requests" => Some(Self::Requests),
            "tokens" => Some(Self::Tokens),
            _ => None,
        }
    }

    fn of(self, totals: &UsageTotals) -> i64 {
        match self {
            Self::RatedCost => totals.rated_cost,
            Self::Requests => totals.requests,
            Self::Tokens => totals.all_tokens,
        }
    }
}

/// Steps of a range with anything in them, in order.
///
/// # Errors
/// The store's.
pub async fn read(
    store: &Store,
    dimension: Dimension,
    id: &str,
    step: Step,
    range: &Range,
) -> store::Result<Vec<Point>> {
    let end_ms = range.end_ms.min(range.now_ms.saturating_add(1));
    let buckets = Bucket::between(step, range.start_ms.max(0), end_ms, &range.zone);
    let rows = sums(store, dimension, id, &buckets).await?;
    let points =
        buckets.into_iter().zip(rows).filter(|(_, totals)| totals.attempts > 0 || totals.requests > 0);
    Ok(points.map(|(bucket, totals)| Point { start_ms: bucket.start_ms, totals }).collect())
}

/// Sums over a range.
///
/// # Errors
/// The store's.
pub async fn totals(
    store: &Store,
    dimension: Dimension,
    id: &str,
    range: &Range,
) -> store::Result<UsageTotals> {
    let mut totals = UsageTotals::default();
    for row in sums(store, dimension, id, &range.cover(dimension)).await? {
        merge(&mut totals, &row);
    }
    Ok(totals)
}

/// The largest of a dimension over a range. `within`: what ids begin with, such as `<key id>/` for the models of a key
/// ([`Dimension::KeyModel`]); the ids of the answer are without it.
///
/// # Errors
/// The store's.
pub async fn top(
    store: &Store,
    dimension: Dimension,
    within: &str,
    range: &Range,
    order: Order,
    limit: usize,
) -> store::Result<Vec<Top>> {
    let mut sums: HashMap<String, UsageTotals> = HashMap::new();
    let prefixes: Vec<String> =
        range.cover(dimension).iter().map(|bucket| format!("{}{within}", bucket.rows(dimension))).collect();
    // Only a full id says which partition: the whole dimension lies in all of them.
    let partitions =
        if within.is_empty() { (0..PARTITIONS).collect() } else { partitions(dimension, within) };
    let reads = partitions.into_iter().map(|partition| named(store, partition, &prefixes));
    for (id, row) in try_join_all(reads).await?.into_iter().flatten() {
        fields::add(sums.entry(id).or_default(), &row);
    }
    let mut list: Vec<Top> = sums.into_iter().map(|(id, totals)| Top { id, totals }).collect();
    list.sort_by(|a, b| order.of(&b.totals).cmp(&order.of(&a.totals)).then_with(|| a.id.cmp(&b.id)));
    list.truncate(limit);
    Ok(list)
}

/// When keys or accounts were last used, Unix milliseconds, in the order asked for.
///
/// # Errors
/// The store's.
pub async fn last_used(
    store: &Store,
    dimension: Dimension,
    ids: &[String],
    zone: &jiff::tz::TimeZone,
) -> store::Result<Vec<Option<i64>>> {
    let bucket = Bucket::holding(Step::Total, 0, zone);
    let mut latest = vec![None; ids.len()];
    let mut by_partition: HashMap<u32, Vec<usize>> = HashMap::new();
    for (at, id) in ids.iter().enumerate() {
        for partition in partitions(dimension, id) {
            by_partition.entry(partition).or_default().push(at);
        }
    }
    for (partition, places) in by_partition {
        let names: Vec<String> = places.iter().map(|at| bucket.row(dimension, &ids[*at])).collect();
        for (at, row) in places.into_iter().zip(rows(store, partition, &names).await?) {
            latest[at] = latest[at].max(row.get(fields::LAST_USED).copied());
        }
    }
    Ok(latest)
}

/// Sums of each bucket, in order.
async fn sums(
    store: &Store,
    dimension: Dimension,
    id: &str,
    buckets: &[Bucket],
) -> store::Result<Vec<UsageTotals>> {
    let names: Vec<String> = buckets.iter().map(|bucket| bucket.row(dimension, id)).collect();
    let mut sums = vec![UsageTotals::default(); names.len()];
    let reads = partitions(dimension, id).into_iter().map(|partition| rows(store, partition, &names));
    for rows in try_join_all(reads).await? {
        for (totals, row) in sums.iter_mut().zip(&rows) {
            fields::add(totals, row);
        }
    }
    Ok(sums)
}

async fn rows(store: &Store, partition: u32, names: &[String]) -> store::Result<Vec<Row>> {
    let mut list = Vec::with_capacity(names.len());
    for page in names.chunks(PAGE) {
        list.extend(store.rows(partition, page).await?);
    }
    Ok(list)
}

/// Rows whose names begin with one of the prefixes, by what follows it.
async fn named(store: &Store, partition: u32, prefixes: &[String]) -> store::Result<Vec<(String, Row)>> {
    let mut list = Vec::new();
    for prefix in prefixes {
        let mut after: Option<String> = None;
        loop {
            let names = store.row_names(partition, prefix, after.as_deref(), PAGE).await?;
            let rows = store.rows(partition, &names).await?;
            let more = names.len() == PAGE;
            after = names.last().cloned();
            let ids = names.into_iter().map(|name| name[prefix.len()..].to_owned());
            list.extend(ids.zip(rows).filter(|(_, row)| !row.is_empty()));
            if !more {
                break;
            }
        }
    }
    Ok(list)
}

fn partitions(dimension: Dimension, id: &str) -> Vec<u32> {
    dimension.partition(id).map_or_else(|| (0..PARTITIONS).collect(), |partition| vec![partition])
}
