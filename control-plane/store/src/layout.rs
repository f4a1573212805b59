//! Every key of Redis, spelled once, and the form of positions in logs. Keys of one atomic step share one hash tag, so
//! that a cluster holds them together.

use std::fmt::Write as _;

use proto::rules::usage::PARTITIONS;

/// Behind every position.
pub(crate) const POSITION_END: &str = "~";

/// A place in a log: sorts by time, then id. Times before 1970 and beyond the year 5138 stand at the ends.
pub(crate) fn position(at_ms: i64, id: &str) -> String {
    let mut position = time_of(at_ms);
    position.push(':');
    position.push_str(id);
    position
}

/// The place before which lies all that happened before a time: reading from it backwards skips what is newer.
pub fn log_position(at_ms: i64) -> String {
    position(at_ms, "")
}

/// The first part of a place: 14 digits.
pub(crate) fn time_of(at_ms: i64) -> String {
    let mut time = String::with_capacity(15);
    let _ = write!(time, "{:014}", at_ms.clamp(0, 99_999_999_999_999));
    time
}

/// Time and id of a place.
pub(crate) fn read_position(position: &str) -> Option<(i64, &str)> {
    let (at_ms, id) = position.split_at_checked(14)?;
    Some((at_ms.parse().ok()?, id.strip_prefix(':')?))
}

/// The keys of a deployment.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    prefix: String,
}

/// The keys of one kind of documents.
pub(crate) struct KindKeys {
    /// Hash: id to version, `:` and body.
    pub(crate) documents: String,
    /// Sorted set of the ids, all of score 0.
    pub(crate) ids: String,
    /// Hash: `index=value` to id.
    pub(crate) index: String,
    /// Hash: id to the JSON list of its `index=value`.
    pub(crate) values: String,
}

/// The keys of one partition's markers and row names.
pub(crate) struct PartitionKeys {
    /// Hash: source to the last record applied.
    pub(crate) markers: String,
    /// Sorted set of the sources by when they were last applied.
    pub(crate) marked: String,
    /// Sorted set of the rows' names, all of score 0.
    pub(crate) names: String,
    /// Sorted set of the rows that expire, by when.
    pub(crate) expiries: String,
}

/// The keys of one shelf of bindings.
pub(crate) struct ShelfKeys {
    /// Sorted set of the bindings' names, all of score 0.
    pub(crate) names: String,
    /// Sorted set of the bindings' names by when they end.
    pub(crate) ends: String,
}

/// What a binding's name begins with, up to the first `/`: all that begin alike lie together.
fn shelf_of(key: &str) -> &str {
    key.split('/').next().unwrap_or_default()
}

impl Layout {
    /// The keys under a prefix.
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// Hash of facts: identity, incarnation, newest revision, ends of the audit log.
    pub(crate) fn meta(&self) -> String {
        self.documents("meta")
    }

    /// Stream: the change feed, one entry `<number>-0` per revision.
    pub(crate) fn feed(&self) -> String {
        self.documents("feed")
    }

    /// Stream: the audit log, one entry `<sequence>-0` each.
    pub(crate) fn audit(&self) -> String {
        self.documents("audit")
    }

    /// Keys of a kind of documents.
    pub(crate) fn kind(&self, kind: &str) -> KindKeys {
        KindKeys {
            documents: self.documents(&format!("d:{kind}")),
            ids: self.documents(&format!("i:{kind}")),
            index: self.documents(&format!("x:{kind}")),
            values: self.documents(&format!("v:{kind}")),
        }
    }

    /// Hash: who leads a role. Beside the documents, so that a commit can be fenced.
    pub(crate) fn leader(&self, role: &str) -> String {
        self.documents(&format!("lead:{role}"))
    }

    /// Keys of a partition.
    pub(crate) fn partition(&self, partition: u32) -> PartitionKeys {
        PartitionKeys {
            markers: self.usage(partition, "markers"),
            marked: self.usage(partition, "marked"),
            names: self.usage(partition, "rows"),
            expiries: self.usage(partition, "expiries"),
        }
    }

    /// Hash: a counter row, field to value.
    pub(crate) fn row(&self, partition: u32, row: &str) -> String {
        self.usage(partition, &format!("r:{row}"))
    }

    /// Sorted set: positions of a log, all of score 0.
    pub(crate) fn log_positions(&self, partition: u32, log: &str) -> String {
        self.usage(partition, &format!("l:{log}"))
    }

    /// Hash: id of a log's entry to its time (14 digits) and body.
    pub(crate) fn log_bodies(&self, partition: u32, log: &str) -> String {
        self.usage(partition, &format!("b:{log}"))
    }

    /// String: a cell.
    pub(crate) fn cell(&self, cell: &str) -> String {
        format!("{}{{m:{cell}}}", self.prefix)
    }

    /// Sorted set: names of cells, all of score 0; one that is gone may still be named.
    pub(crate) fn cells(&self) -> String {
        format!("{}{{cells}}:names", self.prefix)
    }

    /// String that expires: the account a session is bound to.
    pub(crate) fn binding(&self, key: &str) -> String {
        format!("{}{{b:{}}}:b:{key}", self.prefix, shelf_of(key))
    }

    /// Keys of the shelf on which a binding lies.
    pub(crate) fn shelf(&self, key: &str) -> ShelfKeys {
        let shelf = |what: &str| format!("{}{{b:{}}}:{what}", self.prefix, shelf_of(key));
        ShelfKeys { names: shelf("names"), ends: shelf("ends") }
    }

    /// All shelves of sessions' bindings.
    pub(crate) fn shelves(&self) -> impl Iterator<Item = ShelfKeys> {
        (0..PARTITIONS).map(|partition| self.shelf(&format!("{partition:02x}/")))
    }

    /// Channel: newest revisions, as `<incarnation>:<number>`.
    pub(crate) fn changed(&self) -> String {
        format!("{}changed", self.prefix)
    }

    /// Channel: messages between replicas, as topic, a zero byte and payload.
    pub(crate) fn told(&self) -> String {
        format!("{}told", self.prefix)
    }

    fn documents(&self, rest: &str) -> String {
        format!("{}{{cfg}}:{rest}", self.prefix)
    }

    fn usage(&self, partition: u32, rest: &str) -> String {
        format!("{}{{u{partition}}}:{rest}", self.prefix)
    }
}
