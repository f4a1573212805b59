//! Values of the document verbs.

use std::sync::Arc;

/// What a write expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// No such document.
    Absent,
    /// The document at this version.
    Version(u64),
    /// Whatever is there, nothing included.
    Any,
}

/// A document as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its id.
    pub id: String,
    /// Number of the revision that wrote it: never given again within an incarnation.
    pub version: u64,
    /// Its body, as the codec wrote it.
    pub body: Vec<u8>,
}

/// A new body with its values in unique indexes.
#[derive(Clone, Debug)]
pub struct Put {
    /// The body.
    pub body: Vec<u8>,
    /// Index and value; replaces what the document had before.
    pub indexes: Vec<(String, String)>,
}

/// One document's change.
#[derive(Clone, Debug)]
pub struct Write {
    /// Kind of the document.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// What must be there.
    pub expect: Expect,
    /// The new body; `None` deletes.
    pub put: Option<Put>,
}

/// A leadership that must still hold for a batch to be written.
#[derive(Clone, Debug)]
pub struct Fence {
    /// The role.
    pub role: String,
    /// The fencing number that [`super::Kv::lead`] gave.
    pub number: u64,
}

/// Where the audit log's chain ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditHead {
    /// Sequence of the last entry; 0: none yet.
    pub sequence: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// Audit entries that were chained onto a head.
#[derive(Clone, Debug)]
pub struct AuditAppend {
    /// The head they continue; another head means that they must be chained anew.
    pub after: AuditHead,
    /// Encoded entries of the sequences that follow.
    pub entries: Vec<Vec<u8>>,
    /// The head they make.
    pub head: AuditHead,
}

/// What is written in one atomic step.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Documents; no document twice.
    pub writes: Vec<Write>,
    /// Leaderships that must hold.
    pub fences: Vec<Fence>,
    /// Audit entries.
    pub audit: Option<AuditAppend>,
}

/// What became of a batch. In all cases but the first nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Written.
    Done {
        /// The revision that it made, or the newest one where it wrote no document.
        number: u64,
        /// The incarnation it counts in.
        incarnation: Arc<str>,
    },
    /// A document was not as expected.
    Conflict {
        /// Which of the writes.
        position: usize,
        /// Version found; 0: none.
        found: u64,
    },
    /// An index value belongs to another document.
    Duplicate {
        /// Which of the writes.
        position: usize,
        /// The index.
        index: String,
        /// Id of the document that holds the value.
        holder: String,
    },
    /// A leadership has passed on.
    Fenced {
        /// The role.
        role: String,
    },
    /// The audit log has grown meanwhile.
    AuditMoved {
        /// Its head now.
        head: AuditHead,
    },
}

/// A change of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Kind of the document.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Number of the revision.
    pub number: u64,
    /// Whether it is gone.
    pub deleted: bool,
}

/// A piece of the change feed.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The incarnation that all numbers count in.
    pub incarnation: Arc<str>,
    /// The newest revision.
    pub head: u64,
    /// Changes in order; `None`: the number asked from is compacted away, or lies in no past of this store.
    pub events: Option<Vec<Event>>,
}

/// A piece of the audit log.
#[derive(Clone, Debug)]
pub struct AuditPage {
    /// Sequence and encoded entry, newest first.
    pub entries: Vec<(u64, Vec<u8>)>,
    /// The newest entry's place in the chain.
    pub head: AuditHead,
    /// The last entry that was trimmed away: what the oldest kept one continues.
    pub anchor: AuditHead,
}
