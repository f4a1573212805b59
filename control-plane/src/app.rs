//! A control-plane replica: every part built in order, served, and ended in order. This file wires; it decides nothing.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use clients::Http;
use domain::Node;
use fleet::{Fleet, OpenFeed};
use futures_util::StreamExt as _;
use jobs::{Driver, Renewer};
use process::{clock, tasks::Tasks};
use publish::Publisher;
use secrecy::ExposeSecret as _;
use store::{Kinds, Store, View};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use upstream::{Connector, Guard, Options};

use crate::{
    bootstrap,
    condition::Condition,
    config::{Config, ListenConfig, MasterKeyError, OutboundConfig, StoreConfig},
    connector::NodeConnector,
    history::FleetHistory,
    listen::{self, Ending, Peer, TlsError},
    ops::{Ops, Part},
    prober::{ForNodes, Prober},
};

/// Longest wait for a store that another process is just giving up.
const TAKE_OVER: Duration = Duration::from_secs(15);
/// Longest wait for requests of administrators, and for background work, at the end.
const FINISH: Duration = Duration::from_secs(10);

/// Why a control plane cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory cannot be made.
    #[error("data directory {path}")]
    DataDir {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No usable master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The store's.
    #[error("store: {0}")]
    Store(#[from] store::Error),
    /// The deployment cannot begin.
    #[error(transparent)]
    Bootstrap(#[from] api::bootstrap::BootstrapError),
    /// The generated password could not be shown.
    #[error("the generated password could not be shown")]
    Show(#[source] io::Error),
    /// The way out cannot be built.
    #[error(transparent)]
    Outbound(#[from] upstream::SetupError),
    /// TLS cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The admin API cannot be served.
    #[error("admin API: {0}")]
    Api(String),
    /// A port cannot be opened.
    #[error("cannot listen on {listen} for {what}: {source}")]
    Listen {
        /// For what.
        what: &'static str,
        /// Where.
        listen: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A control plane.
pub struct App {
    config: Config,
    store: Store,
    fleet: Fleet,
    admin: api::Admin,
    condition: Arc<Condition>,
    jobs: Driver,
    ending: Ending,
    background: Tasks,
}

impl App {
    /// Opens the store, makes what a new deployment needs, and builds every part. No port is bound yet.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn build(config: Config) -> Result<Self, Error> {
        let store = open_store(&config).await?;
        match Self::over(config, store.clone()).await {
            Ok(app) => Ok(app),
            Err(why) => {
                store.close().await;
                Err(why)
            }
        }
    }

    /// As [`App::build`], over a store that is open already.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn over(config: Config, store: Store) -> Result<Self, Error> {
        first_start(&config, &store).await?;
        let background = Tasks::new("control-plane");
        let kinds = api::with_kinds(Kinds::new()).with::<Node>();
        let view = View::start(&store, kinds, &background).await?;
        let publisher = Publisher::start(&store, &view, &background).await?;
        // One life of one process: leadership and messages between replicas go by it.
        let replica = uuid::Uuid::new_v4().to_string();
        let feeds = publisher.clone();
        let open: OpenFeed = Arc::new(move |held| feeds.watch(held).boxed());
        let guard = guard(&config.outbound, config.control.listen);
        let options =
            Options { guard: guard.clone(), extra_ca: config.outbound.ca_file.clone(), ..Options::default() };
        let http = Http::new(Connector::new(options)?);
        let renewer = Renewer::new(store.clone(), http.clone());
        let for_nodes = Arc::new(ForNodes(renewer.clone()));
        let fleet = Fleet::start(&store, &view, open, for_nodes, replica.clone(), &background).await?;
        let deps = api::Deps {
            store: store.clone(),
            view: view.clone(),
            fleet: fleet.clone(),
            prober: Arc::new(Prober { http, guard, renewer: renewer.clone() }),
            now_ms: clock::unix_ms,
            options: api::Options {
                trusted_proxies: config.admission.trusted_proxies.clone(),
                cors_origins: config.admission.cors_origins.clone(),
                ..api::Options::default()
            },
        };
        let admin = api::admin(deps).await.map_err(|why| Error::Api(why.to_string()))?;
        let condition = Condition::start(&store, &view, &publisher, &fleet, &background);
        let history = Arc::new(FleetHistory { store: store.clone() });
        let jobs = Driver::start(jobs::all(history, renewer), &store, &replica, &background);
        let ending = Ending::new("control-plane-ports");
        Ok(Self { config, store, fleet, admin, condition, jobs, ending, background })
    }

    /// The in-process way to the node services.
    pub fn node_connector(&self) -> NodeConnector {
        NodeConnector::new(self.fleet.services(), &self.ending)
    }

    /// The nodes, as this replica sees them.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// How it is, for the operations port of a process with more parts.
    pub fn condition(&self) -> Arc<dyn Part> {
        Arc::clone(&self.condition) as Arc<dyn Part>
    }

    /// The running jobs, to nudge one.
    pub fn jobs(&self) -> &Driver {
        &self.jobs
    }

    /// Binds the ports and begins to serve; `parts` speak through the operations port beside this one.
    ///
    /// # Errors
    /// When a port cannot be opened or its TLS cannot be served.
    pub fn start(&self, parts: Vec<Arc<dyn Part>>) -> Result<Listening, Error> {
        let config = &self.config;
        let (control, control_tls) = open("administration", &config.control)?;
        let nodes = config.nodes.as_ref().map(|nodes| open("nodes", nodes)).transpose()?;
        let (ops, _) = open("operations", &plain(config.ops_listen))?;
        let address = |listener: &TcpListener| listener.local_addr().ok();
        let listening = Listening {
            control: address(&control),
            nodes: nodes.as_ref().and_then(|(listener, _)| address(listener)),
            ops: address(&ops),
        };
        let ending = &self.ending;
        let peer = |extensions: &mut http::Extensions, peer: &Peer| {
            extensions.insert(api::Peer(peer.address));
        };
        let certified = |extensions: &mut http::Extensions, peer: &Peer| {
            if let Some(name) = &peer.certified {
                extensions.insert(fleet::Certified(name.clone()));
            }
        };
        listen::serve("admin", control, control_tls, self.admin.clone(), peer, ending);
        if let Some((listener, tls)) = nodes {
            listen::serve("nodes", listener, tls, self.fleet.services(), certified, ending);
        }
        let parts = std::iter::once(self.condition()).chain(parts).collect();
        listen::serve("ops", ops, None, Ops::new(parts).service(), |_, _| {}, ending);
        self.condition.listening();
        tracing::info!(
            control = %config.control.listen,
            nodes = ?config.nodes.as_ref().map(|nodes| nodes.listen),
            ops = %config.ops_listen,
            "control plane serves"
        );
        Ok(listening)
    }

    /// Serves until a future ends, then ends in order.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn serve(self, until: impl Future<Output = ()>) -> Result<(), Error> {
        let started = self.start(Vec::new());
        if started.is_ok() {
            until.await;
        }
        self.end().await;
        started.map(drop)
    }

    /// Says on the operations port that the end has begun.
    pub async fn unready(&self) {
        self.condition.ending();
        self.admin.draining().await;
    }

    /// Ends in order: no new connections, streams to nodes cut, requests finished, background work done, the store
    /// given back. Bounded: what has not finished in time is dropped.
    pub async fn end(self) {
        self.unready().await;
        // Streams to nodes never end by themselves: the drain would wait for them.
        self.background.stop();
        self.ending.drain(FINISH.min(self.config.drain_timeout)).await;
        self.background.drain(FINISH).await;
        self.store.close().await;
        tracing::info!("control plane ended");
    }
}

/// Addresses that are listened on.
#[derive(Clone, Copy, Debug)]
pub struct Listening {
    /// Administration.
    pub control: Option<SocketAddr>,
    /// Nodes.
    pub nodes: Option<SocketAddr>,
    /// Operations.
    pub ops: Option<SocketAddr>,
}

async fn open_store(config: &Config) -> Result<Store, Error> {
    let dir = &config.data_dir;
    std::fs::create_dir_all(dir)
        .map_err(|source| Error::DataDir { path: dir.display().to_string(), source })?;
    let StoreConfig { url, prefix, master_key } = &config.store;
    let master = master_key.load()?;
    if let Some(url) = url {
        return Ok(Store::open_redis(url.expose_secret(), prefix, master).await?);
    }
    let until = tokio::time::Instant::now() + TAKE_OVER;
    let mut told = false;
    loop {
        match Store::open_embedded(&dir.join("store"), master.clone()).await {
            Err(why @ store::Error::InUse { .. }) if tokio::time::Instant::now() < until => {
                if !std::mem::replace(&mut told, true) {
                    tracing::info!(%why, "waiting for the other process to give the store up");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            opened => return Ok(opened?),
        }
    }
}

async fn first_start(config: &Config, store: &Store) -> Result<(), Error> {
    let first = &config.bootstrap;
    let (name, password) = (Some(first.username.as_str()), first.password.as_ref());
    let made = api::bootstrap::ensure(store, name, password, clock::unix_ms()).await?;
    if let Some(generated) = made {
        let scheme = if config.control.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", config.control.listen);
        bootstrap::show(&generated, &url, first.print).map_err(Error::Show)?;
    }
    Ok(())
}

/// Which addresses may be called: what the operator allowed, else loopback while administration is on loopback.
fn guard(config: &OutboundConfig, control: SocketAddr) -> Guard {
    let guard = Guard::new(config.allow_private.clone());
    if config.allow_private.is_empty() && control.ip().is_loopback() { guard.with_loopback() } else { guard }
}

fn plain(listen: SocketAddr) -> ListenConfig {
    ListenConfig { listen, tls: None, client_ca: None, plaintext_anywhere: true }
}

fn open(what: &'static str, config: &ListenConfig) -> Result<(TcpListener, Option<TlsAcceptor>), Error> {
    let tls = config.tls.as_ref().map(|files| listen::tls(files, config.client_ca.as_deref())).transpose()?;
    let listen = config.listen;
    let listener = listen::bind(listen).map_err(|source| Error::Listen { what, listen, source })?;
    Ok((listener, tls))
}
