//! The Redis backend: every verb is one script or one command, on keys that share a hash tag, with a deadline and behind
//! a breaker. One server, Sentinels and a cluster look alike from here.

mod bindings;
mod breaker;
mod cells;
mod connection;
mod counters;
mod documents;
mod link;
mod replies;
mod scripts;
mod server;
mod signals;
mod state;
mod trim;
mod url;

use std::{
    hash::{BuildHasher as _, BuildHasherDefault},
    ops::Deref,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use process::tasks::Tasks;
use rustc_hash::FxHasher;
use tokio::sync::{Mutex, broadcast, watch};

use self::{link::Link, replies::read, state::State, url::Target};
use crate::{
    error::Result,
    kv::{
        Applied, Apply, AuditPage, Batch, Bound, Candidate, Committed, Document, Feed, Identity, Kv, Listed,
        LogItem, MarkerAt, Revision, Row, Status, Step, Told, Trim, Trimmed,
    },
    layout::Layout,
    store::RedisOptions,
};

/// Turns that writers of cells take within this process.
const TURNS: usize = 256;

/// A Redis store and its background work.
pub(crate) struct Handle {
    redis: Arc<Redis>,
    tasks: Tasks,
}

/// A Redis store.
pub(crate) struct Redis {
    link: Arc<Link>,
    layout: Layout,
    state: Arc<State>,
    turns: Vec<Arc<Mutex<()>>>,
}

impl Handle {
    /// Opens a store; refuses a server that cannot carry one.
    pub(crate) async fn open(url: &str, options: RedisOptions) -> Result<Self> {
        let redis = Arc::new(Redis {
            link: Link::new(&Target::parse(url)?, &options)?,
            layout: Layout::new(&options.prefix),
            state: State::new(),
            turns: (0..TURNS).map(|_| Arc::default()).collect(),
        });
        redis.check().await?;
        redis.look().await?;
        let tasks = Tasks::new("store");
        signals::start(&redis, &tasks);
        Ok(Self { redis, tasks })
    }
}

impl Deref for Handle {
    type Target = Redis;
    fn deref(&self) -> &Redis {
        &self.redis
    }
}

impl Redis {
    /// The turn of a cell's writers.
    fn turn(&self, cell: &str) -> Arc<Mutex<()>> {
        let hash = BuildHasherDefault::<FxHasher>::default().hash_one(cell);
        Arc::clone(&self.turns[hash as usize % TURNS])
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

#[async_trait]
impl Kv for Handle {
    async fn identity(&self) -> Result<Identity> {
        self.look().await
    }

    async fn status(&self) -> Result<Status> {
        self.describe().await
    }

    fn now_ms(&self) -> i64 {
        self.state.now_ms()
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        documents::commit(self, &batch).await
    }

    async fn get(&self, kind: &str, ids: &[String]) -> Result<Vec<Option<Document>>> {
        documents::get(self, kind, ids).await
    }

    async fn find(&self, kind: &str, index: &str, value: &str) -> Result<Option<Document>> {
        documents::find(self, kind, index, value).await
    }

    async fn scan(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Vec<Document>> {
        documents::scan(self, kind, after, limit).await
    }

    async fn changes(&self, after: u64, limit: usize) -> Result<Feed> {
        let feed = documents::changes(self, after, limit).await?.feed;
        self.state.saw(&Revision { incarnation: Arc::clone(&feed.incarnation), number: feed.head });
        Ok(feed)
    }

    fn head(&self) -> watch::Receiver<Revision> {
        self.state.head()
    }

    async fn audit(&self, before: Option<u64>, limit: usize) -> Result<AuditPage> {
        documents::audit(self, before, limit).await
    }

    async fn apply(&self, apply: Apply) -> Result<Applied> {
        counters::apply(self, &apply).await
    }

    async fn markers(&self, sources: &[String]) -> Result<Vec<MarkerAt>> {
        counters::markers(self, sources).await
    }

    async fn rows(&self, partition: u32, rows: &[String]) -> Result<Vec<Row>> {
        counters::rows(self, partition, rows).await
    }

    async fn row_names(
        &self,
        partition: u32,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>> {
        let key = self.layout.partition(partition).names;
        counters::names(self, &key, prefix, after, limit).await
    }

    async fn log_range(
        &self,
        partition: u32,
        log: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<LogItem>> {
        counters::log_range(self, partition, log, before, limit).await
    }

    async fn log_get(&self, partition: u32, log: &str, ids: &[String]) -> Result<Vec<Option<Vec<u8>>>> {
        counters::log_get(self, partition, log, ids).await
    }

    async fn trim(&self, trim: Trim) -> Result<Trimmed> {
        trim::trim(self, &trim).await
    }

    async fn update(&self, cell: &str, step: Step) -> Result<()> {
        cells::update(self, cell, &step).await
    }

    async fn cells(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        cells::names(self, prefix, after, limit).await
    }

    async fn bind(&self, key: &str, candidate: Candidate) -> Result<Bound> {
        bindings::bind(self, key, candidate).await
    }

    async fn bindings(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listed> {
        bindings::list(self, prefix, after, limit).await
    }

    async fn unbind(&self, key: &str) -> Result<bool> {
        bindings::unbind(self, key).await
    }

    async fn lead(&self, role: &str, holder: &str, ttl_ms: i64) -> Result<Option<u64>> {
        let keys = [self.layout.leader(role)];
        let arguments = [holder.to_owned(), ttl_ms.to_string()].map(String::into_bytes);
        read("lead", self.link.script(self.link.hot, &scripts::LEAD, &keys, &arguments).await?)
    }

    async fn release(&self, role: &str, holder: &str) -> Result<()> {
        let keys = [self.layout.leader(role)];
        let arguments = [holder.as_bytes().to_vec()];
        self.link.script(self.link.hot, &scripts::RELEASE, &keys, &arguments).await.map(|_| ())
    }

    async fn tell(&self, topic: &str, payload: &[u8]) -> Result<()> {
        let message = [topic.as_bytes(), b"\0", payload].concat();
        let mut command = redis::cmd("PUBLISH");
        self.link.write(self.link.hot, command.arg(self.layout.told()).arg(message)).await.map(|_| ())
    }

    fn listen(&self) -> broadcast::Receiver<Told> {
        self.state.listen()
    }

    async fn close(&self) {
        self.tasks.drain(Duration::from_secs(1)).await;
        self.link.close();
    }
}
