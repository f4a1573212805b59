//! Counters of the embedded store.

use redb::{ReadTransaction, ReadableTable as _, WriteTransaction};

use super::{logs, rows::Stored, tables as t, writer::Ran};
use crate::{
    error::Result,
    kv::{Applied, Apply, MarkerAt, Row},
};

/// Counts at most once.
pub(super) fn apply(transaction: &WriteTransaction, apply: &Apply) -> Result<Ran<Applied>> {
    let mut markers = transaction.open_table(t::MARKERS)?;
    let key = (apply.source.as_str(), apply.partition);
    let have = markers.get(key)?.map_or(0, |marker| marker.value().0);
    if have >= apply.last {
        return Ok(Ran::looked(Applied::Already { have }));
    }
    if have != apply.previous {
        return Ok(Ran::looked(Applied::Gap { have }));
    }
    let mut table = transaction.open_table(t::ROWS)?;
    let mut expiries = transaction.open_table(t::ROW_EXPIRY)?;
    for (name, change) in &apply.rows {
        let found = table.get((apply.partition, name.as_str()))?;
        let found = found.map(|bytes| Stored::decode(name, bytes.value())).transpose()?;
        let mut row = match found {
            Some(row) if row.expires_at_ms > apply.now_ms => row,
            found => {
                if let Some(old) = found {
                    expiries.remove((apply.partition, old.expires_at_ms, name.as_str()))?;
                }
                let row = Stored::new(change);
                if row.expires_at_ms != i64::MAX {
                    expiries.insert((apply.partition, row.expires_at_ms, name.as_str()), ())?;
                }
                row
            }
        };
        row.take(change);
        table.insert((apply.partition, name.as_str()), row.encode().as_slice())?;
    }
    logs::append(transaction, apply.partition, &apply.entries)?;
    markers.insert(key, (apply.last, apply.now_ms))?;
    Ok(Ran::wrote(Applied::Done))
}

/// Markers of sources in all partitions.
pub(super) fn markers(transaction: &ReadTransaction, sources: &[String]) -> Result<Vec<MarkerAt>> {
    let table = transaction.open_table(t::MARKERS)?;
    let mut found = Vec::new();
    for source in sources {
        for entry in table.range((source.as_str(), 0)..=(source.as_str(), u32::MAX))? {
            let (key, marker) = entry?;
            let (source, partition) = key.value();
            found.push(MarkerAt { source: source.to_owned(), partition, applied: marker.value().0 });
        }
    }
    Ok(found)
}

/// Rows in the order asked for.
pub(super) fn rows(
    transaction: &ReadTransaction,
    partition: u32,
    names: &[String],
    now_ms: i64,
) -> Result<Vec<Row>> {
    let table = transaction.open_table(t::ROWS)?;
    let mut rows = Vec::with_capacity(names.len());
    for name in names {
        let found = table.get((partition, name.as_str()))?;
        let found = found.map(|bytes| Stored::decode(name, bytes.value())).transpose()?;
        rows.push(found.filter(|row| row.expires_at_ms > now_ms).map(|row| row.fields).unwrap_or_default());
    }
    Ok(rows)
}

/// Names of rows in order.
pub(super) fn names(
    transaction: &ReadTransaction,
    partition: u32,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>> {
    let table = transaction.open_table(t::ROWS)?;
    let from = after.filter(|after| *after > prefix).unwrap_or(prefix);
    let mut names = Vec::new();
    for entry in table.range((partition, from)..)? {
        let (key, _) = entry?;
        let (of, name) = key.value();
        if of != partition || !name.starts_with(prefix) || names.len() >= limit {
            break;
        }
        if Some(name) != after {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
