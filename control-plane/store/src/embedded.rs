//! The embedded backend: one file, one process, durable before it acknowledges. One thread writes (`writer`), readers
//! work on snapshots beside it.

mod bindings;
mod cells;
mod counters;
mod documents;
mod feed;
mod file;
mod logs;
mod open;
mod rows;
mod tables;
mod trim;
mod writer;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use parking_lot::Mutex;
use redb::{ReadTransaction, WriteTransaction};
use tokio::sync::{broadcast, watch};

use self::{
    file::File,
    writer::{Ran, Writer},
};
use crate::{
    error::{Error, Result},
    kv::{
        Applied, Apply, AuditPage, Batch, Bound, Candidate, Committed, Document, Feed, Identity, Kv, Listed,
        LogItem, MarkerAt, Revision, Row, Status, Step, Told, Trim, Trimmed,
    },
};

/// Messages that wait for a slow listener before it loses the oldest.
const TOLD: usize = 1024;

/// The embedded store.
#[derive(Debug)]
pub(crate) struct Embedded {
    file: Arc<File>,
    writer: Mutex<Writer>,
    identity: Identity,
    clock: AtomicI64,
    head: watch::Sender<Revision>,
    told: broadcast::Sender<Told>,
}

impl Embedded {
    /// Opens the store in a directory, which is made where it is missing.
    pub(crate) async fn open(directory: &Path) -> Result<Self> {
        let directory = directory.to_owned();
        blocking(move || {
            let file = Arc::new(File::open(&directory)?);
            let (identity, number) = open::prepare(&*file.database()?, process::clock::unix_ms())?;
            let head = Revision { incarnation: Arc::clone(&identity.incarnation), number };
            Ok(Self {
                writer: Mutex::new(Writer::start(Arc::clone(&file))?),
                file,
                identity,
                clock: AtomicI64::new(0),
                head: watch::Sender::new(head),
                told: broadcast::Sender::new(TOLD),
            })
        })
        .await
    }

    async fn write<T, F>(&self, operation: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&WriteTransaction) -> Result<Ran<T>> + Send + 'static,
    {
        let answer = self.writer.lock().submit(operation);
        answer.await.unwrap_or_else(|_| Err(Error::unavailable("the store is closed")))
    }

    async fn read<T, F>(&self, operation: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&ReadTransaction) -> Result<T> + Send + 'static,
    {
        let database = self.file.database()?;
        blocking(move || operation(&redb::ReadableDatabase::begin_read(&*database)?)).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::unavailable)?
}

#[async_trait]
impl Kv for Embedded {
    async fn identity(&self) -> Result<Identity> {
        Ok(self.identity.clone())
    }

    async fn status(&self) -> Result<Status> {
        Ok(Status {
            backend: "embedded",
            server: "redb 4".into(),
            durability: "every acknowledged write is on disk".into(),
        })
    }

    fn now_ms(&self) -> i64 {
        let now = process::clock::unix_ms();
        self.clock.fetch_max(now, Ordering::Relaxed).max(now)
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        let (incarnation, now_ms) = (Arc::clone(&self.identity.incarnation), self.now_ms());
        let committed = self.write(move |t| documents::commit(t, &batch, &incarnation, now_ms)).await?;
        if let Committed::Done { number, .. } = committed {
            self.head.send_if_modified(|head| {
                let newer = number > head.number;
                head.number = head.number.max(number);
                newer
            });
        }
        Ok(committed)
    }

    async fn get(&self, kind: &str, ids: &[String]) -> Result<Vec<Option<Document>>> {
        let (kind, ids) = (kind.to_owned(), ids.to_owned());
        self.read(move |t| documents::get(t, &kind, &ids)).await
    }

    async fn find(&self, kind: &str, index: &str, value: &str) -> Result<Option<Document>> {
        let (kind, index, value) = (kind.to_owned(), index.to_owned(), value.to_owned());
        self.read(move |t| documents::find(t, &kind, &index, &value)).await
    }

    async fn scan(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Vec<Document>> {
        let (kind, after) = (kind.to_owned(), after.map(str::to_owned));
        self.read(move |t| documents::scan(t, &kind, after.as_deref(), limit)).await
    }

    async fn changes(&self, after: u64, limit: usize) -> Result<Feed> {
        let incarnation = Arc::clone(&self.identity.incarnation);
        self.read(move |t| feed::changes(t, incarnation, after, limit)).await
    }

    fn head(&self) -> watch::Receiver<Revision> {
        self.head.subscribe()
    }

    async fn audit(&self, before: Option<u64>, limit: usize) -> Result<AuditPage> {
        self.read(move |t| feed::audit(t, before, limit)).await
    }

    async fn apply(&self, apply: Apply) -> Result<Applied> {
        self.write(move |t| counters::apply(t, &apply)).await
    }

    async fn markers(&self, sources: &[String]) -> Result<Vec<MarkerAt>> {
        let sources = sources.to_owned();
        self.read(move |t| counters::markers(t, &sources)).await
    }

    async fn rows(&self, partition: u32, rows: &[String]) -> Result<Vec<Row>> {
        let (rows, now_ms) = (rows.to_owned(), self.now_ms());
        self.read(move |t| counters::rows(t, partition, &rows, now_ms)).await
    }

    async fn row_names(
        &self,
        partition: u32,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.read(move |t| counters::names(t, partition, &prefix, after.as_deref(), limit)).await
    }

    async fn log_range(
        &self,
        partition: u32,
        log: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<LogItem>> {
        let (log, before) = (log.to_owned(), before.map(str::to_owned));
        self.read(move |t| logs::range(t, partition, &log, before.as_deref(), limit)).await
    }

    async fn log_get(&self, partition: u32, log: &str, ids: &[String]) -> Result<Vec<Option<Vec<u8>>>> {
        let (log, ids) = (log.to_owned(), ids.to_owned());
        self.read(move |t| logs::get(t, partition, &log, &ids)).await
    }

    async fn trim(&self, trim: Trim) -> Result<Trimmed> {
        self.write(move |t| trim::trim(t, &trim)).await
    }

    async fn update(&self, cell: &str, step: Step) -> Result<()> {
        let (cell, now_ms) = (cell.to_owned(), self.now_ms());
        self.write(move |t| cells::update(t, &cell, &step, now_ms)).await
    }

    async fn cells(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.read(move |t| cells::names(t, &prefix, after.as_deref(), limit)).await
    }

    async fn bind(&self, key: &str, candidate: Candidate) -> Result<Bound> {
        let (key, now_ms) = (key.to_owned(), self.now_ms());
        // Most bindings exist and are only looked at: that takes no turn of the writer.
        let (looked, asks) = (key.clone(), candidate.clone());
        let found = self.read(move |t| bindings::look(t, &looked, &asks, now_ms)).await?;
        match found {
            Some(bound) => Ok(bound),
            None => self.write(move |t| bindings::bind(t, &key, &candidate, now_ms)).await,
        }
    }

    async fn bindings(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listed> {
        let (prefix, after, now_ms) = (prefix.to_owned(), after.map(str::to_owned), self.now_ms());
        self.read(move |t| bindings::list(t, &prefix, after.as_deref(), limit, now_ms)).await
    }

    async fn unbind(&self, key: &str) -> Result<bool> {
        let (key, now_ms) = (key.to_owned(), self.now_ms());
        self.write(move |t| bindings::unbind(t, &key, now_ms)).await
    }

    async fn lead(&self, role: &str, holder: &str, ttl_ms: i64) -> Result<Option<u64>> {
        let (role, holder, now_ms) = (role.to_owned(), holder.to_owned(), self.now_ms());
        self.write(move |t| bindings::lead(t, &role, &holder, ttl_ms, now_ms)).await
    }

    async fn release(&self, role: &str, holder: &str) -> Result<()> {
        let (role, holder) = (role.to_owned(), holder.to_owned());
        self.write(move |t| bindings::release(t, &role, &holder)).await
    }

    async fn tell(&self, topic: &str, payload: &[u8]) -> Result<()> {
        // No listener is no failure.
        let _ = self.told.send(Told { topic: topic.to_owned(), payload: payload.to_vec() });
        Ok(())
    }

    fn listen(&self) -> broadcast::Receiver<Told> {
        self.told.subscribe()
    }

    async fn close(&self) {
        let thread = self.writer.lock().stop();
        let joined = tokio::task::spawn_blocking(|| thread.is_none_or(|thread| thread.join().is_ok())).await;
        if !matches!(joined, Ok(true)) {
            tracing::error!("the store's writer did not end as it should");
        }
    }
}

impl From<redb::StorageError> for Error {
    fn from(why: redb::StorageError) -> Self {
        Self::unavailable(why)
    }
}

impl From<redb::TableError> for Error {
    fn from(why: redb::TableError) -> Self {
        Self::unavailable(why)
    }
}

impl From<redb::TransactionError> for Error {
    fn from(why: redb::TransactionError) -> Self {
        Self::unavailable(why)
    }
}

impl From<redb::CommitError> for Error {
    fn from(why: redb::CommitError) -> Self {
        Self::unavailable(why)
    }
}
