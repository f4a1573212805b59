//! Values of the counter and log verbs.

use std::collections::BTreeMap;

/// A counter row: field to value.
pub type Row = BTreeMap<String, i64>;

/// The changes of one counter row. Sums saturate at the ends of `i64`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowChange {
    /// When the row may be forgotten, Unix milliseconds; `None`: never. Taken when the row is made.
    pub expires_at_ms: Option<i64>,
    /// Added to fields.
    pub add: BTreeMap<String, i64>,
    /// Fields that become at least this; 0 to 2⁵³.
    pub raise: BTreeMap<String, i64>,
}

/// An entry of an append log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Name of the log within its partition.
    pub log: String,
    /// Id, unique within the log: the same id again replaces the entry.
    pub id: String,
    /// When it happened, Unix milliseconds: entries are read in this order.
    pub at_ms: i64,
    /// What is kept.
    pub body: Vec<u8>,
}

/// What one source counts in one partition: applied at most once.
///
/// The marker of (source, partition) is the last record applied. Equal to `previous`: all is applied and the marker
/// becomes `last`. At or past `last`: it was applied before. Else something before it is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apply {
    /// The partition.
    pub partition: u32,
    /// The source: a spool epoch.
    pub source: String,
    /// The source's last record before these in this partition; 0: none.
    pub previous: u64,
    /// The last of these records.
    pub last: u64,
    /// When, Unix milliseconds of the store's clock: the marker is kept by it.
    pub now_ms: i64,
    /// Rows by name. Sorted, since rows that lie together are written together.
    pub rows: BTreeMap<String, RowChange>,
    /// Entries of logs.
    pub entries: Vec<LogEntry>,
}

impl Apply {
    /// Adds to a field of a row. A row's first given expiry holds.
    pub fn add(&mut self, row: &str, expires_at_ms: Option<i64>, field: &str, amount: i64) {
        let value = entry(&mut self.row(row, expires_at_ms).add, field);
        *value = value.saturating_add(amount);
    }

    /// Adds to many fields of a row, which is looked for once. A row's first given expiry holds.
    pub fn add_all(&mut self, row: &str, expires_at_ms: Option<i64>, amounts: &[(&str, i64)]) {
        let add = &mut self.row(row, expires_at_ms).add;
        for (field, amount) in amounts {
            let value = entry(add, field);
            *value = value.saturating_add(*amount);
        }
    }

    /// Raises a field of a row to at least `value` (0 to 2⁵³).
    pub fn raise(&mut self, row: &str, expires_at_ms: Option<i64>, field: &str, value: i64) {
        let held = entry(&mut self.row(row, expires_at_ms).raise, field);
        *held = value.max(*held);
    }

    fn row(&mut self, row: &str, expires_at_ms: Option<i64>) -> &mut RowChange {
        if !self.rows.contains_key(row) {
            self.rows.insert(row.to_owned(), RowChange { expires_at_ms, ..RowChange::default() });
        }
        entry(&mut self.rows, row)
    }
}

/// The value of a key, allocating the key only when it is new.
fn entry<'m, V: Default>(map: &'m mut BTreeMap<String, V>, key: &str) -> &'m mut V {
    if !map.contains_key(key) {
        map.insert(key.to_owned(), V::default());
    }
    map.get_mut(key).unwrap_or_else(|| unreachable!("it was put there just now"))
}

/// What became of an [`Apply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// All of it was applied.
    Done,
    /// It had been applied before; nothing was done.
    Already {
        /// The marker.
        have: u64,
    },
    /// Something before it is missing; nothing was done.
    Gap {
        /// The marker: send again from after it.
        have: u64,
    },
}

/// How far a source has been applied in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkerAt {
    /// The source.
    pub source: String,
    /// The partition.
    pub partition: u32,
    /// The last record applied.
    pub applied: u64,
}

/// An entry of an append log, as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogItem {
    /// Its place: sorts by time, then id; reading goes on from before it.
    pub position: String,
    /// Its id.
    pub id: String,
    /// When it happened, Unix milliseconds.
    pub at_ms: i64,
    /// What was kept.
    pub body: Vec<u8>,
}

/// What retention removes. All times are Unix milliseconds of the store's clock.
#[derive(Clone, Debug)]
pub enum Trim {
    /// Rows whose expiry lies at or before `now_ms`.
    Rows {
        /// The partition.
        partition: u32,
        /// Now.
        now_ms: i64,
    },
    /// Markers of sources that were last applied before `before_ms`. Keep at least 30 days: a source that is shipped
    /// again after its marker is gone would be counted twice.
    Markers {
        /// The partition.
        partition: u32,
        /// The bound.
        before_ms: i64,
    },
    /// Entries of a log that happened before `before_ms`.
    Log {
        /// The partition.
        partition: u32,
        /// The log.
        log: String,
        /// The bound.
        before_ms: i64,
    },
    /// Entries of a log beyond the newest `keep`.
    LogLength {
        /// The partition.
        partition: u32,
        /// The log.
        log: String,
        /// How many stay.
        keep: u64,
    },
    /// All of the change feed but its newest `keep` revisions.
    Feed {
        /// How many stay.
        keep: u64,
    },
    /// Audit entries up to and including the anchor, which then stands for them.
    Audit {
        /// Sequence and hash of the last entry that goes.
        anchor: super::AuditHead,
    },
    /// Bindings past their life, where the backend does not forget them by itself.
    Bindings {
        /// Now.
        now_ms: i64,
    },
}

/// What a trim did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// How many things went.
    pub removed: u64,
    /// Whether there is more of it: call again.
    pub more: bool,
}
