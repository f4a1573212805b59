//! Where a promise is tested: a backend with two replicas, or with one process that plays both.

use std::{path::PathBuf, time::Duration};

use crate::{MasterKey, RedisOptions, Store};

/// Waits longer than anything promised takes, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A backend under test.
pub struct Bed {
    kind: Kind,
    /// The first replica.
    pub one: Store,
    /// The second: another one, or the first again where the backend has only one.
    pub two: Store,
    /// Kept until the bed is closed.
    _keep: Box<dyn std::any::Any + Send + Sync>,
}

enum Kind {
    Embedded(PathBuf),
    Redis { url: String, prefix: String },
}

/// The suite's master key.
pub fn master() -> MasterKey {
    MasterKey::parse("5f1d3c0a9be44872a6d0e39b71c85f2e4ad61b07c3f9285e60b7d41fa2938c5e").unwrap()
}

impl Bed {
    /// The embedded backend in a directory of its own.
    pub async fn embedded() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let directory = keep.path().join("store");
        let one = Store::open_embedded(&directory, master()).await.unwrap();
        Self { kind: Kind::Embedded(directory), two: one.clone(), one, _keep: Box::new(keep) }
    }

    /// Two replicas on a Redis server of their own.
    pub async fn redis() -> Self {
        let server = crate::testing::redis().unwrap();
        let url = server.url();
        Self::on(&url, "crs:", server).await
    }

    /// Two replicas on a Redis that is there, under a prefix of their own.
    pub async fn on(url: &str, prefix: &str, keep: impl Send + Sync + 'static) -> Self {
        let (one, two) = (open(url, prefix, master()).await, open(url, prefix, master()).await);
        let kind = Kind::Redis { url: url.to_owned(), prefix: prefix.to_owned() };
        Self { kind, one: one.unwrap(), two: two.unwrap(), _keep: Box::new(keep) }
    }

    /// Closes all replicas and opens the store again, with another master key.
    pub async fn reopen(&self, master: MasterKey) -> crate::Result<Store> {
        self.close().await;
        match &self.kind {
            Kind::Embedded(directory) => Store::open_embedded(directory, master).await,
            Kind::Redis { url, prefix } => open(url, prefix, master).await,
        }
    }

    /// Closes all replicas.
    pub async fn close(&self) {
        self.one.close().await;
        self.two.close().await;
    }
}

/// Opens a Redis store with deadlines for a busy machine: these tests are about what is done, not how fast.
async fn open(url: &str, prefix: &str, master: MasterKey) -> crate::Result<Store> {
    let options = RedisOptions { prefix: prefix.to_owned(), hot: PATIENCE, cold: PATIENCE };
    Store::open_redis_with(url, options, master).await
}
