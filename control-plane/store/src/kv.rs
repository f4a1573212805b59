//! The seam: all that a backend must be able to do, in about a dozen verbs, each of them one atomic step.
//!
//! It knows bytes, versions and counters, not records, keys or seals: those are written once, over it. Two backends
//! implement it, `redis` and `embedded`, and one suite holds both to the same promises.

mod cells;
mod counters;
mod documents;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{broadcast, watch};

pub use self::{
    cells::{Bound, Candidate, Listed, Moment, Next, Step},
    counters::{Applied, Apply, LogEntry, LogItem, MarkerAt, Row, RowChange, Trim, Trimmed},
    documents::{
        AuditAppend, AuditHead, AuditPage, Batch, Committed, Document, Event, Expect, Feed, Fence, Put, Write,
    },
};
use crate::error::Result;

/// Who a store is and how its history began. Both change when data may have gone back: a restore, a failover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Identity of the store as a whole, usage counters included.
    pub store_identity: String,
    /// Incarnation of the documents' history: revisions of different incarnations cannot be compared.
    pub incarnation: Arc<str>,
    /// When this incarnation began, Unix milliseconds of the store's clock.
    pub since_ms: i64,
}

/// A point in the documents' history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The incarnation in which the number counts.
    pub incarnation: Arc<str>,
    /// Grows by one with every commit that changes a document; 0: none yet.
    pub number: u64,
}

/// How a backend is, for the status page and the start-up log.
#[derive(Clone, Debug)]
pub struct Status {
    /// `embedded` or `redis`.
    pub backend: &'static str,
    /// What runs it, with its version.
    pub server: String,
    /// How durable an acknowledged write is, in words.
    pub durability: String,
}

/// A message between replicas: best effort, never the only way that something becomes known.
#[derive(Clone, Debug)]
pub struct Told {
    /// What it is about.
    pub topic: String,
    /// What is said.
    pub payload: Vec<u8>,
}

/// A backend.
///
/// Every call has a deadline of its own and answers [`crate::Error::Unavailable`] when it passes.
#[async_trait]
pub trait Kv: Send + Sync + 'static {
    /// Who the store is, as of now.
    async fn identity(&self) -> Result<Identity>;
    /// How the store is.
    async fn status(&self) -> Result<Status>;
    /// The store's clock, Unix milliseconds, as well as this process knows it without asking.
    fn now_ms(&self) -> i64;

    /// Writes several documents with their indexes, one entry of the feed and the audit entries: all or nothing.
    async fn commit(&self, batch: Batch) -> Result<Committed>;
    /// Documents by id, in the order asked for.
    async fn get(&self, kind: &str, ids: &[String]) -> Result<Vec<Option<Document>>>;
    /// The document that holds a value of a unique index.
    async fn find(&self, kind: &str, index: &str, value: &str) -> Result<Option<Document>>;
    /// Documents of a kind by id in ascending byte order, those after `after`, at most `limit`.
    async fn scan(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Vec<Document>>;
    /// What was committed after revision number `after`: at most `limit` whole revisions.
    async fn changes(&self, after: u64, limit: usize) -> Result<Feed>;
    /// Follows the newest revision; wakes within a second of every change, wherever it was made.
    fn head(&self) -> watch::Receiver<Revision>;
    /// Audit entries before sequence `before` (`None`: from the newest), newest first, at most `limit`.
    async fn audit(&self, before: Option<u64>, limit: usize) -> Result<AuditPage>;

    /// Applies increments and log entries at most once, together with their source's marker.
    async fn apply(&self, apply: Apply) -> Result<Applied>;
    /// How far these sources have been applied, in every partition where they have.
    async fn markers(&self, sources: &[String]) -> Result<Vec<MarkerAt>>;
    /// Counter rows in the order asked for; a row that is not there, or past its expiry, is empty.
    async fn rows(&self, partition: u32, rows: &[String]) -> Result<Vec<Row>>;
    /// Names of rows that begin with `prefix`, ascending, those after `after`, at most `limit`. Names of rows that
    /// have just expired may still be among them.
    async fn row_names(
        &self,
        partition: u32,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>>;
    /// Entries of a log before position `before` (`None`: from the newest), newest first, at most `limit`.
    async fn log_range(
        &self,
        partition: u32,
        log: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<LogItem>>;
    /// Bodies of log entries by their ids, in the order asked for.
    async fn log_get(&self, partition: u32, log: &str, ids: &[String]) -> Result<Vec<Option<Vec<u8>>>>;
    /// Removes what retention no longer keeps: a bounded piece per call.
    async fn trim(&self, trim: Trim) -> Result<Trimmed>;

    /// Reads a cell, computes and writes it back as one atomic step; `step` may be called more than once.
    async fn update(&self, cell: &str, step: Step) -> Result<()>;
    /// Names of cells that begin with `prefix`, ascending, those after `after`, at most `limit`.
    async fn cells(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>>;
    /// Gets a binding, or sets it where there is none: the first writer wins.
    async fn bind(&self, key: &str, candidate: Candidate) -> Result<Bound>;
    /// Bindings whose names begin with `prefix`, ascending, those after `after`: at most `limit` names are looked at.
    /// The prefix reaches at least to the first `/`: bindings lie on shelves that are named by what is before it.
    async fn bindings(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listed>;
    /// Forgets a binding; whether there was one.
    async fn unbind(&self, key: &str) -> Result<bool>;

    /// Acquires or renews the leadership of a role for `ttl_ms`: the fencing number, or `None` when another leads.
    /// A holder's name is that of one life of one process, never given again.
    async fn lead(&self, role: &str, holder: &str, ttl_ms: i64) -> Result<Option<u64>>;
    /// Gives leadership back, if `holder` has it.
    async fn release(&self, role: &str, holder: &str) -> Result<()>;

    /// Sends a message to every replica, this one included.
    async fn tell(&self, topic: &str, payload: &[u8]) -> Result<()>;
    /// Messages sent from now on.
    fn listen(&self) -> broadcast::Receiver<Told>;

    /// Ends background work and gives the store's file or connections back. Calls after it fail.
    async fn close(&self);
}
