//! The store as its callers see it: a backend, the seal and the codec as one cheap handle.
//!
//! Typed records are in `records` and `commit`; counters, meters, bindings and leadership pass through with little
//! added.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::sync::{Mutex, broadcast, watch};

use crate::{
    embedded::Embedded,
    error::Result,
    kv::{AuditHead, Identity, Kv, Revision, Status, Told},
    redis,
    seal::{MasterKey, Sealer},
};

/// A store. Clones share one.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) sealer: Sealer,
    pub(crate) master: MasterKey,
    /// The audit log's head as last seen. Held while an audited commit is under way, so that commits of one process
    /// do not make each other chain anew.
    pub(crate) audit: Mutex<Option<AuditHead>>,
    /// The incarnation in which the store is known to have the data keys.
    pub(crate) keys_of: parking_lot::Mutex<Arc<str>>,
}

/// How a Redis store is reached.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Prefix of every key and channel.
    pub prefix: String,
    /// Deadline of a call on a request's path.
    pub hot: Duration,
    /// Deadline of other calls.
    pub cold: Duration,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self { prefix: "crs:".into(), hot: Duration::from_millis(250), cold: Duration::from_secs(2) }
    }
}

impl Store {
    /// Opens the store of one process in `directory`, which is made where it is missing.
    pub async fn open_embedded(directory: &Path, master: MasterKey) -> Result<Self> {
        let kv = Embedded::open(directory).await?;
        Self::over(Arc::new(kv), master).await
    }

    /// Opens a Redis store: `redis://`, `rediss://`, `redis-sentinel://host,host/service`, `redis+cluster://host,host`.
    pub async fn open_redis(url: &str, prefix: &str, master: MasterKey) -> Result<Self> {
        let options = RedisOptions { prefix: prefix.to_owned(), ..RedisOptions::default() };
        Self::open_redis_with(url, options, master).await
    }

    /// As [`Store::open_redis`], with other deadlines.
    pub async fn open_redis_with(url: &str, options: RedisOptions, master: MasterKey) -> Result<Self> {
        let kv = redis::Handle::open(url, options).await?;
        Self::over(Arc::new(kv), master).await
    }

    /// A store over a backend: makes the first data key where there is none, and unwraps them all.
    pub async fn over(kv: Arc<dyn Kv>, master: MasterKey) -> Result<Self> {
        let inner = Inner {
            kv,
            sealer: Sealer::empty(),
            master,
            audit: Mutex::new(None),
            keys_of: parking_lot::Mutex::new("".into()),
        };
        let store = Self { inner: Arc::new(inner) };
        match store.unlock().await {
            Ok(()) => Ok(store),
            Err(why) => {
                store.close().await;
                Err(why)
            }
        }
    }

    /// The backend itself.
    pub fn kv(&self) -> &Arc<dyn Kv> {
        &self.inner.kv
    }

    /// Who the store is. Asks it: a failover shows here.
    pub async fn identity(&self) -> Result<Identity> {
        self.inner.kv.identity().await
    }

    /// How the store is.
    pub async fn status(&self) -> Result<Status> {
        self.inner.kv.status().await
    }

    /// The store's clock, Unix milliseconds, without asking it.
    pub fn now_ms(&self) -> i64 {
        self.inner.kv.now_ms()
    }

    /// Follows the newest revision, wherever it was made.
    pub fn watch(&self) -> watch::Receiver<Revision> {
        self.inner.kv.head()
    }

    /// Sends a message to every replica, this one included; best effort.
    pub async fn tell(&self, topic: &str, payload: &[u8]) -> Result<()> {
        self.inner.kv.tell(topic, payload).await
    }

    /// Messages that replicas send from now on.
    pub fn listen(&self) -> broadcast::Receiver<Told> {
        self.inner.kv.listen()
    }

    /// Ends background work and gives file or connections back. Calls after it fail.
    pub async fn close(&self) {
        self.inner.kv.close().await;
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store(..)")
    }
}
