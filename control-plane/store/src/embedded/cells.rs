//! Cells of the embedded store: steps run where they are written, so none ever runs in vain.

use redb::{ReadTransaction, ReadableTable as _, WriteTransaction};

use super::{tables as t, writer::Ran};
use crate::{
    error::Result,
    kv::{Moment, Next, Step},
};

/// Runs a step over a cell.
pub(super) fn update(
    transaction: &WriteTransaction,
    cell: &str,
    step: &Step,
    now_ms: i64,
) -> Result<Ran<()>> {
    let mut cells = transaction.open_table(t::CELLS)?;
    let (next, now_ms) = match cells.get(cell)? {
        Some(found) => {
            let (written_at, bytes) = found.value();
            let now_ms = now_ms.max(written_at);
            (step(Some(bytes), Moment { now_ms, doubtful: false }), now_ms)
        }
        None => (step(None, Moment { now_ms, doubtful: false }), now_ms),
    };
    match next {
        Next::Keep => Ok(Ran::looked(())),
        Next::Put(bytes) => {
            cells.insert(cell, (now_ms, bytes.as_slice()))?;
            Ok(Ran::wrote(()))
        }
        Next::Remove => {
            cells.remove(cell)?;
            Ok(Ran::wrote(()))
        }
    }
}

/// Names of cells in order.
pub(super) fn names(
    transaction: &ReadTransaction,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>> {
    let cells = transaction.open_table(t::CELLS)?;
    let from = after.filter(|after| *after > prefix).unwrap_or(prefix);
    let mut names = Vec::new();
    for entry in cells.range(from..)? {
        let (key, _) = entry?;
        let name = key.value();
        if !name.starts_with(prefix) || names.len() >= limit {
            break;
        }
        if Some(name) != after {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
