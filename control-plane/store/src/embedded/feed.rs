//! The change feed, the audit log and the facts table of the embedded store.

use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable, Table, WriteTransaction};

use super::tables as t;
use crate::{
    error::{Error, Result},
    events::{FEED_KEEP, read_events, write_events},
    kv::{AuditAppend, AuditHead, AuditPage, Feed, Write},
};

type Meta<'t> = Table<'t, &'static str, &'static [u8]>;

/// Revisions between two trims of the feed.
const TRIM_EVERY: u64 = 1024;

/// A number of the facts table; 0 where it is missing.
pub(super) fn number(meta: &impl ReadableTable<&'static str, &'static [u8]>, key: &str) -> Result<u64> {
    match meta.get(key)? {
        None => Ok(0),
        Some(bytes) => match bytes.value().try_into() {
            Ok(bytes) => Ok(u64::from_be_bytes(bytes)),
            Err(why) => Err(Error::corrupt(key, why)),
        },
    }
}

/// A text of the facts table.
pub(super) fn text(meta: &impl ReadableTable<&'static str, &'static [u8]>, key: &str) -> Result<String> {
    let bytes = meta.get(key)?.map(|bytes| bytes.value().to_vec()).unwrap_or_default();
    String::from_utf8(bytes).map_err(|why| Error::corrupt(key, why))
}

pub(super) fn set_number(meta: &mut Meta<'_>, key: &str, value: u64) -> Result<()> {
    meta.insert(key, value.to_be_bytes().as_slice())?;
    Ok(())
}

/// A place in the audit chain; the beginning where it is missing.
pub(super) fn place(meta: &impl ReadableTable<&'static str, &'static [u8]>, key: &str) -> Result<AuditHead> {
    let Some(bytes) = meta.get(key)? else { return Ok(AuditHead::default()) };
    let place = bytes.value().split_at_checked(8).and_then(|(sequence, hash)| {
        Some(AuditHead {
            sequence: u64::from_be_bytes(sequence.try_into().ok()?),
            hash: hash.try_into().ok()?,
        })
    });
    place.ok_or_else(|| Error::corrupt(key, "it has the wrong length"))
}

pub(super) fn set_place(meta: &mut Meta<'_>, key: &str, place: &AuditHead) -> Result<()> {
    meta.insert(key, [place.sequence.to_be_bytes().as_slice(), &place.hash].concat().as_slice())?;
    Ok(())
}

/// Adds the entry of one revision.
pub(super) fn push(
    transaction: &WriteTransaction,
    meta: &mut Meta<'_>,
    writes: &[Write],
    number: u64,
) -> Result<()> {
    let json = write_events(writes)?;
    transaction.open_table(t::FEED)?.insert(number, json.as_bytes())?;
    if number.is_multiple_of(TRIM_EVERY) {
        trim(transaction, meta, FEED_KEEP)?;
    }
    Ok(())
}

/// Drops all but the newest `keep` revisions; how many went.
pub(super) fn trim(transaction: &WriteTransaction, meta: &mut Meta<'_>, keep: u64) -> Result<u64> {
    let floor = self::number(meta, t::HEAD)?.saturating_sub(keep);
    let before = self::number(meta, t::FLOOR)?;
    if floor <= before {
        return Ok(0);
    }
    transaction.open_table(t::FEED)?.retain_in(..=floor, |_, _| false)?;
    set_number(meta, t::FLOOR, floor)?;
    Ok(floor - before)
}

/// A piece of the feed.
pub(super) fn changes(
    transaction: &ReadTransaction,
    incarnation: Arc<str>,
    after: u64,
    limit: usize,
) -> Result<Feed> {
    let meta = transaction.open_table(t::META)?;
    let (head, floor) = (number(&meta, t::HEAD)?, number(&meta, t::FLOOR)?);
    if after < floor || after > head {
        return Ok(Feed { incarnation, head, events: None });
    }
    let feed = transaction.open_table(t::FEED)?;
    let mut events = Vec::new();
    for entry in feed.range(after + 1..)?.take(limit) {
        let (number, json) = entry?;
        events.extend(read_events(number.value(), json.value())?);
    }
    Ok(Feed { incarnation, head, events: Some(events) })
}

/// Adds audit entries that were chained onto the head.
pub(super) fn append_audit(
    transaction: &WriteTransaction,
    meta: &mut Meta<'_>,
    audit: &AuditAppend,
) -> Result<()> {
    let mut log = transaction.open_table(t::AUDIT)?;
    for (entry, sequence) in audit.entries.iter().zip(audit.after.sequence + 1..) {
        log.insert(sequence, entry.as_slice())?;
    }
    set_place(meta, t::AUDIT_HEAD, &audit.head)
}

/// A piece of the audit log.
pub(super) fn audit(transaction: &ReadTransaction, before: Option<u64>, limit: usize) -> Result<AuditPage> {
    let meta = transaction.open_table(t::META)?;
    let (head, anchor) = (place(&meta, t::AUDIT_HEAD)?, place(&meta, t::AUDIT_ANCHOR)?);
    let log = transaction.open_table(t::AUDIT)?;
    let mut entries = Vec::new();
    for entry in log.range(..before.unwrap_or(u64::MAX))?.rev().take(limit) {
        let (sequence, bytes) = entry?;
        entries.push((sequence.value(), bytes.value().to_vec()));
    }
    Ok(AuditPage { entries, head, anchor })
}
