//! A control plane over a store of its own, and nodes' ends of its services.

use std::{path::Path, time::Duration};

use clap::Command;
use control_plane::{
    App, NodeConnector,
    config::{Config, arguments},
};
use domain::{Key, Record};
use hyper_util::rt::TokioIo;
use store::{Author, Change, Expect, MasterKey, Revision, Store};
use tempfile::TempDir;
use tonic::{
    Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

const MASTER: &str = "8a0b5c3d2e1f00112233445566778899aabbccddeeff0102030405060708090a";
/// Longest wait for what must come.
pub const SOON: Duration = Duration::from_secs(10);

/// What a node's clients run on.
pub type Wire = InterceptedService<Channel, Stamp>;

/// Says who the node is.
#[derive(Clone)]
pub struct Stamp {
    pub node: String,
    pub epoch: String,
    pub token: Option<String>,
}

impl Interceptor for Stamp {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("crs-node-id", self.node.parse().unwrap());
        metadata.insert("crs-node-epoch", self.epoch.parse().unwrap());
        metadata.insert("crs-node-name", self.node.parse().unwrap());
        metadata.insert("crs-version", proto::VERSION.parse().unwrap());
        if let Some(token) = &self.token {
            metadata.insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        Ok(request)
    }
}

/// A control plane.
pub struct Bed {
    pub store: Store,
    pub app: App,
    pub dir: TempDir,
}

pub fn config(dir: &Path) -> Config {
    let data = dir.display().to_string();
    let any = "127.0.0.1:0";
    let words =
        ["test", "--data-dir", &data, "--control-listen", any, "--node-listen", any, "--ops-listen", any];
    let more = ["--admin-password", "correct horse battery staple"];
    let matches = Command::new("test").args(arguments()).get_matches_from(words.iter().chain(&more));
    Config::read(&matches).unwrap()
}

pub fn master() -> MasterKey {
    MasterKey::parse(MASTER).unwrap()
}

impl Bed {
    /// Over an embedded store.
    pub async fn embedded() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_embedded(&dir.path().join("store"), master()).await.unwrap();
        Self::over(dir, store).await
    }

    /// A replica over a Redis.
    pub async fn redis(url: &str) -> Self {
        let store = Store::open_redis(url, "crs:", master()).await.unwrap();
        Self::over(tempfile::tempdir().unwrap(), store).await
    }

    async fn over(dir: TempDir, store: Store) -> Self {
        let app = App::over(config(dir.path()), store.clone()).await.unwrap();
        Self { store, app, dir }
    }

    /// A node's end, in process.
    pub fn node(&self, node: &str, epoch: &str) -> Wire {
        let stamp = Stamp { node: node.into(), epoch: epoch.into(), token: None };
        InterceptedService::new(in_process(self.app.node_connector()), stamp)
    }

    /// Makes a change as an administrator would.
    pub async fn put<R: Record>(&self, record: &R) -> Revision {
        let author = Author { actor: "test".into(), address: String::new(), action: "test".into() };
        self.store.commit(Change::new(author).put(record, Expect::Any)).await.unwrap()
    }

    /// Ends it.
    pub async fn end(self) {
        self.app.end().await;
    }
}

fn in_process(connector: NodeConnector) -> Channel {
    let service = tower::service_fn(move |_: http::Uri| {
        let connector = connector.clone();
        async move { connector.connect().await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://in-process").connect_with_connector_lazy(service)
}

/// A key with nothing particular.
pub fn key(id: &str) -> Key {
    Key { id: id.into(), name: format!("key {id}"), ..Key::default() }
}

/// What must come soon.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(SOON, future).await {
        Ok(came) => came,
        Err(_) => panic!("{what} did not come"),
    }
}

/// Waits until something holds.
pub async fn until<F, T>(what: &str, mut probe: F) -> T
where
    F: AsyncFnMut() -> Option<T>,
{
    soon(what, async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}
