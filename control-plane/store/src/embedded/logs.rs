//! Append logs of the embedded store.

use redb::{ReadTransaction, ReadableTable as _, WriteTransaction};

use super::tables as t;
use crate::{
    error::{Error, Result},
    kv::{LogEntry, LogItem},
    layout,
};

/// Appends entries; one with an id that is there replaces it.
pub(super) fn append(transaction: &WriteTransaction, partition: u32, entries: &[LogEntry]) -> Result<()> {
    let mut logs = transaction.open_table(t::LOGS)?;
    let mut ids = transaction.open_table(t::LOG_IDS)?;
    for entry in entries {
        let (log, id) = (entry.log.as_str(), entry.id.as_str());
        let position = layout::position(entry.at_ms, id);
        let old = ids.insert((partition, log, id), position.as_str())?.map(|old| old.value().to_owned());
        if let Some(old) = old {
            logs.remove((partition, log, old.as_str()))?;
        }
        logs.insert((partition, log, position.as_str()), entry.body.as_slice())?;
    }
    Ok(())
}

/// Entries before a position, newest first.
pub(super) fn range(
    transaction: &ReadTransaction,
    partition: u32,
    log: &str,
    before: Option<&str>,
    limit: usize,
) -> Result<Vec<LogItem>> {
    let logs = transaction.open_table(t::LOGS)?;
    let end = before.unwrap_or(layout::POSITION_END);
    let mut items = Vec::new();
    for entry in logs.range((partition, log, "")..(partition, log, end))?.rev().take(limit) {
        let (key, body) = entry?;
        let position = key.value().2.to_owned();
        let (at_ms, id) = layout::read_position(&position)
            .ok_or_else(|| Error::corrupt(format!("log {log}"), "an entry has no position"))?;
        items.push(LogItem { at_ms, id: id.to_owned(), body: body.value().to_vec(), position });
    }
    Ok(items)
}

/// Bodies by id.
pub(super) fn get(
    transaction: &ReadTransaction,
    partition: u32,
    log: &str,
    ids: &[String],
) -> Result<Vec<Option<Vec<u8>>>> {
    let logs = transaction.open_table(t::LOGS)?;
    let places = transaction.open_table(t::LOG_IDS)?;
    let mut bodies = Vec::with_capacity(ids.len());
    for id in ids {
        let body = match places.get((partition, log, id.as_str()))? {
            Some(place) => logs.get((partition, log, place.value()))?.map(|body| body.value().to_vec()),
            None => None,
        };
        bodies.push(body);
    }
    Ok(bodies)
}

/// Removes entries with positions before `end`, at most `limit`; how many.
pub(super) fn remove_before(
    transaction: &WriteTransaction,
    partition: u32,
    log: &str,
    end: &str,
    limit: usize,
) -> Result<u64> {
    let mut logs = transaction.open_table(t::LOGS)?;
    let mut ids = transaction.open_table(t::LOG_IDS)?;
    let mut positions = Vec::new();
    for entry in logs.range((partition, log, "")..(partition, log, end))?.take(limit) {
        positions.push(entry?.0.value().2.to_owned());
    }
    for position in &positions {
        logs.remove((partition, log, position.as_str()))?;
        if let Some((_, id)) = layout::read_position(position) {
            ids.remove((partition, log, id))?;
        }
    }
    Ok(positions.len() as u64)
}

/// The position from which exactly `keep` entries remain, if there are more.
pub(super) fn keep_from(
    transaction: &WriteTransaction,
    partition: u32,
    log: &str,
    keep: u64,
) -> Result<Option<String>> {
    let logs = transaction.open_table(t::LOGS)?;
    let whole = (partition, log, "")..(partition, log, layout::POSITION_END);
    match logs.range(whole)?.rev().nth(keep as usize) {
        None => Ok(None),
        // It goes itself: the bound lies just behind it.
        Some(entry) => Ok(Some(format!("{}\0", entry?.0.value().2))),
    }
}
