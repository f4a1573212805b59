//! Retention of the embedded store: a bounded piece per call, so that other writers get their turn.

use redb::{ReadableTable as _, WriteTransaction};

use super::{bindings, feed, logs, tables as t, writer::Ran};
use crate::{
    error::Result,
    kv::{AuditHead, Trim, Trimmed},
    layout,
};

/// Things removed by one call.
const PIECE: usize = 1000;

/// Removes a piece of what retention no longer keeps.
pub(super) fn trim(transaction: &WriteTransaction, trim: &Trim) -> Result<Ran<Trimmed>> {
    let removed = match trim {
        Trim::Rows { partition, now_ms } => rows(transaction, *partition, *now_ms)?,
        Trim::Markers { partition, before_ms } => markers(transaction, *partition, *before_ms)?,
        Trim::Log { partition, log, before_ms } => {
            let end = layout::position(*before_ms, "");
            logs::remove_before(transaction, *partition, log, &end, PIECE)?
        }
        Trim::LogLength { partition, log, keep } => {
            match logs::keep_from(transaction, *partition, log, *keep)? {
                Some(end) => logs::remove_before(transaction, *partition, log, &end, PIECE)?,
                None => 0,
            }
        }
        Trim::Feed { keep } => {
            let removed = feed::trim(transaction, &mut transaction.open_table(t::META)?, *keep)?;
            return Ok(done(removed));
        }
        Trim::Audit { anchor } => return Ok(done(audit(transaction, anchor)?)),
        Trim::Bindings { now_ms } => bindings::expire(transaction, *now_ms, PIECE)?,
    };
    Ok(Ran { wrote: removed > 0, answer: Trimmed { removed, more: removed >= PIECE as u64 } })
}

fn done(removed: u64) -> Ran<Trimmed> {
    Ran { wrote: removed > 0, answer: Trimmed { removed, more: false } }
}

fn rows(transaction: &WriteTransaction, partition: u32, now_ms: i64) -> Result<u64> {
    let mut rows = transaction.open_table(t::ROWS)?;
    let mut expiries = transaction.open_table(t::ROW_EXPIRY)?;
    let mut over = Vec::new();
    let whole = (partition, i64::MIN, "")..(partition, now_ms.saturating_add(1), "");
    for entry in expiries.range(whole)?.take(PIECE) {
        let (key, ()) = entry.map(|(key, _)| (key, ()))?;
        let (_, expires_at, name) = key.value();
        over.push((expires_at, name.to_owned()));
    }
    for (expires_at, name) in &over {
        expiries.remove((partition, *expires_at, name.as_str()))?;
        rows.remove((partition, name.as_str()))?;
    }
    Ok(over.len() as u64)
}

fn markers(transaction: &WriteTransaction, partition: u32, before_ms: i64) -> Result<u64> {
    let mut markers = transaction.open_table(t::MARKERS)?;
    let mut old = Vec::new();
    for entry in markers.iter()? {
        let (key, marker) = entry?;
        let (source, of) = key.value();
        if of == partition && marker.value().1 < before_ms {
            old.push(source.to_owned());
        }
        if old.len() == PIECE {
            break;
        }
    }
    for source in &old {
        markers.remove((source.as_str(), partition))?;
    }
    Ok(old.len() as u64)
}

fn audit(transaction: &WriteTransaction, anchor: &AuditHead) -> Result<u64> {
    let mut meta = transaction.open_table(t::META)?;
    let (head, before) = (feed::place(&meta, t::AUDIT_HEAD)?, feed::place(&meta, t::AUDIT_ANCHOR)?);
    if anchor.sequence <= before.sequence || anchor.sequence > head.sequence {
        return Ok(0);
    }
    transaction.open_table(t::AUDIT)?.retain_in(..=anchor.sequence, |_, _| false)?;
    feed::set_place(&mut meta, t::AUDIT_ANCHOR, anchor)?;
    Ok(anchor.sequence - before.sequence)
}
