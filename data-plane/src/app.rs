//! A node as a whole: builds every part in order, serves until told to end, drains. It decides nothing that a part could
//! decide; standalone and `crs-data` differ only in what they pass in.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

pub use link::{Connect, Stream as ControlStream, Target};
use link::{Identity, Link};
use process::{clock, tasks::Tasks};
use proto::rules::{
    ids::{AccountId, NodeId},
    price,
};
use secrecy::{SecretSlice, SecretString};
use snapshot::{Facts, Handle, PlatformFacts};
use spool::{Lane, Spool};
use tokio_util::sync::CancellationToken;
use upstream::{Connector, Exchange, Guard, Options};

use crate::{
    access_log::AccessLog,
    config::Config,
    metrics::Metrics,
    ops,
    pumps::{
        activation::Activation,
        bindings::Bindings,
        config::{self as config_pump, Feed},
        events::Events,
        leases,
        lives::Lives,
        recovery,
        refusals::Refusals,
        tokens::Tokens,
        usage,
    },
    relay::{
        authenticate::Throttle,
        demand::Means,
        node::{Ids, Node, Queues, Worker},
        read::Budget,
    },
    server::{Door, Readiness, Server},
};

mod error;
mod probe;

pub use error::Error;
use probe::NodeProbe;

/// How long the last records may take on their way to the control plane before the process ends.
const LAST_RECORDS: Duration = Duration::from_secs(5);
/// How long the pumps may take to end.
const PUMPS: Duration = Duration::from_secs(5);

/// What a node is built from.
pub struct Setup {
    /// Its settings.
    pub config: Config,
    /// Where the control plane is.
    pub control: Target,
    /// With what it joins.
    pub join_token: SecretString,
    /// How long streams may go on once the control plane has said that the membership has ended.
    pub membership_grace: Duration,
    /// Its id, where a certificate says it; none: one of its own, kept in its data directory.
    pub node_id: Option<NodeId>,
    /// Its name for people.
    pub node_name: String,
    /// What seals the snapshot on disk; it does not live in the data directory.
    pub secret: SecretSlice<u8>,
    /// Whether administration is on loopback, so that upstreams on loopback are allowed where nothing else is said.
    pub administered_locally: bool,
}

/// Why a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was told to.
    Asked,
    /// Its membership has ended.
    Revoked,
}

/// A node that serves.
pub struct App {
    config: Config,
    metrics: Arc<Metrics>,
    probe: Arc<NodeProbe>,
    readiness: Arc<Readiness>,
    spool: Arc<Spool>,
    /// Kept beyond the workers that write to them: what the last streams wrote is synced, and only then shipped.
    lanes: Vec<Arc<Lane>>,
    feed: Feed,
    server: Server,
    pumps: Tasks,
    drain_asked: CancellationToken,
    membership_ended: CancellationToken,
    membership_grace: Duration,
    snapshot_path: PathBuf,
    // Written out when it is dropped, last of all.
    _log: AccessLog,
}

impl App {
    /// Builds every part and starts to serve. Requests are answered 503 until a snapshot is there.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn build(setup: Setup) -> Result<Self, Error> {
        let Setup { config, control, join_token, membership_grace, node_id: certified, .. } = setup;
        let (node_name, secret, administered_locally) =
            (setup.node_name, setup.secret, setup.administered_locally);
        folder(&config.data_dir)?;
        let id = certified.map_or_else(|| node_id(&config.data_dir), Ok)?;
        let lives_folder = config.data_dir.join("lives");
        let lives = Lives::begin(&lives_folder).map_err(file("lives of this node", &lives_folder))?;
        if lives.is_alone().map_err(file("lives of this node", &lives_folder))? {
            crate::server::nobody_listens(config.server.listen)
                .map_err(|source| Error::Listen { address: config.server.listen, source })?;
        }
        let lives = Arc::new(lives);
        let (metrics, pumps) = (Arc::new(Metrics::new()), Tasks::new("pumps"));
        let log_path = config.data_dir.clone();
        let log = AccessLog::start(&config.access_log, metrics.access_log_dropped.clone())
            .map_err(file("access log", &log_path))?;
        let spool = open_spool(&config, &id)?;
        let snapshot = Arc::new(Handle::new(&Registry));
        let snapshot_path = config.data_dir.join("snapshot");
        let disk = config_pump::Disk { path: snapshot_path.clone(), secret: Arc::new(secret) };
        config_pump::load(&snapshot, &disk);
        let version = proto::VERSION.to_owned();
        let epoch = lives.epoch().clone();
        let link =
            Link::new(&Identity { node: id.clone(), epoch, name: node_name, version, join_token }, &control)?;
        let membership_ended = link.membership_ended();
        let parts = Parts { link, snapshot, spool, metrics, lives, readiness: Arc::default(), pumps };
        let node = parts.node(&config, id);
        let workers = config.server.workers.max(1);
        let lanes = (0..workers).map(|_| parts.spool.lane()).collect::<Result<Vec<_>, _>>()?;
        let server = parts.server(&config, &node, &lanes, &log, administered_locally)?;
        let (feed, probe, drain_asked) = parts.start(&node, disk, server.address());
        if let Some(address) = config.ops_listen {
            let listener = ops::bind(address).await.map_err(|source| Error::Listen { address, source })?;
            ops::serve(listener, Arc::clone(&parts.metrics), Arc::clone(&probe) as _, &parts.pumps);
        }
        let Parts { spool, metrics, readiness, pumps, .. } = parts;
        Ok(Self {
            config,
            metrics,
            probe,
            readiness,
            spool,
            lanes,
            feed,
            server,
            pumps,
            drain_asked,
            membership_ended,
            membership_grace,
            snapshot_path,
            _log: log,
        })
    }

    /// Where it serves clients.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its metrics, for a process that serves them elsewhere.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// What it says of itself, likewise.
    pub fn probe(&self) -> Arc<dyn ops::Probe> {
        Arc::clone(&self.probe) as _
    }

    /// Serves until `shutdown` is done or the control plane asks for a drain, then drains: readiness off, accepting for
    /// a while yet, streams to their end (bounded), the last records on their way. A node whose membership has ended
    /// does so within its grace, and keeps nothing from which it could relay.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Ending {
        let mut ending = Ending::Asked;
        tokio::select! {
            () = shutdown => tracing::info!("told to end; draining"),
            () = self.drain_asked.cancelled() => tracing::info!("the control plane asks to drain"),
            () = self.membership_ended.cancelled() => ending = Ending::Revoked,
        }
        let drain = &self.config.drain;
        let (mut delay, mut timeout) = (drain.delay, drain.timeout);
        if ending == Ending::Revoked {
            tracing::error!(grace = ?self.membership_grace, "this node's membership has ended: it stops relaying");
            delay = delay.min(self.membership_grace);
            timeout = timeout.min(self.membership_grace - delay);
        }
        self.readiness.drain();
        self.feed.status_changed();
        tokio::time::sleep(delay).await;
        self.server.drain(timeout).await;
        if let Err(error) = self.spool.sync() {
            tracing::error!(%error, "the spool could not be synced");
        }
        let deadline = Instant::now() + LAST_RECORDS;
        while self.spool.lag() > 0 && Instant::now() < deadline && *self.feed.connected.borrow() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.pumps.drain(PUMPS).await;
        drop(self.lanes);
        if ending == Ending::Revoked
            && let Err(error) = std::fs::remove_file(&self.snapshot_path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::error!(%error, path = %self.snapshot_path.display(), "the snapshot could not be removed");
        }
        tracing::info!(records_waiting = self.spool.lag(), "drained");
        ending
    }
}

/// What is built first, and most others need.
struct Parts {
    link: Link,
    snapshot: Arc<Handle>,
    spool: Arc<Spool>,
    metrics: Arc<Metrics>,
    lives: Arc<Lives>,
    readiness: Arc<Readiness>,
    pumps: Tasks,
}

impl Parts {
    fn node(&self, config: &Config, id: NodeId) -> Arc<Node> {
        Arc::new(Node {
            id,
            snapshot: Arc::clone(&self.snapshot),
            limits: limits::Limits::new(),
            scheduler: scheduler::Scheduler::new(),
            metrics: Arc::clone(&self.metrics),
            prices: price::Table::shipped(),
            events: Events::default(),
            bindings: Bindings::new(self.link.clone()),
            tokens: Tokens::new(self.link.clone(), Arc::clone(&self.snapshot)),
            activation: Activation::new(Arc::clone(&self.snapshot)),
            refusals: Refusals::default(),
            channel: self.link.channel(),
            budget: Budget::new(config.relay.body_budget),
            throttle: Throttle::default(),
            queues: Queues::default(),
            means: Means::default(),
            config: config.relay.clone(),
        })
    }

    fn server(
        &self,
        config: &Config,
        node: &Arc<Node>,
        lanes: &[Arc<Lane>],
        log: &AccessLog,
        administered_locally: bool,
    ) -> Result<Server, Error> {
        let mut guard = Guard::new(config.upstream.allow_private.clone());
        if config.upstream.allow_private_unset && administered_locally {
            guard = guard.with_loopback();
        }
        let connector = Connector::new(Options {
            guard,
            extra_ca: config.upstream.ca_file.clone(),
            connect_timeout: config.upstream.connect_timeout,
            ..Options::default()
        })?;
        let started_ms = clock::unix_ms();
        let doors = lanes.iter().map(|lane| {
            let worker = Worker {
                node: Arc::clone(node),
                exchange: Exchange::new(Arc::clone(&connector), config.upstream.mode, Tasks::new("upstream")),
                spool: Arc::clone(lane),
                log: log.lane(),
                tasks: Tasks::new("relay"),
                ids: Ids::new().map_err(Error::Random)?,
                scratch: parking_lot::Mutex::default(),
            };
            Ok(Door { worker: Arc::new(worker), readiness: Arc::clone(&self.readiness), started_ms })
        });
        let doors = doors.collect::<Result<Vec<_>, Error>>()?;
        let address = config.server.listen;
        Server::start(&config.server, doors).map_err(|source| Error::Listen { address, source })
    }

    fn start(
        &self,
        node: &Arc<Node>,
        disk: config_pump::Disk,
        address: SocketAddr,
    ) -> (Feed, Arc<NodeProbe>, CancellationToken) {
        let drain = CancellationToken::new();
        let status = probe::status(self, address);
        let (link, tasks) = (self.link.clone(), &self.pumps);
        let snapshot = Arc::clone(&self.snapshot);
        let readiness = Arc::clone(&self.readiness);
        let config =
            config_pump::Config { snapshot, status, drain: drain.clone(), readiness, disk: Some(disk) };
        let feed = config_pump::start(config, link.clone(), tasks);
        leases::start(Arc::clone(&node.limits), Arc::clone(&self.lives), link.clone(), tasks);
        leases::follow_settings(Arc::clone(&node.limits), Arc::clone(&self.snapshot), &feed, tasks);
        usage::start(Arc::clone(&self.spool), link.clone(), tasks);
        recovery::start(Arc::clone(&self.spool), node.id.as_str().to_owned(), tasks);
        node.events.start(link.clone(), tasks);
        node.refusals.start(link.clone(), tasks);
        node.activation.start(link, tasks);
        forget_accounts(node, &feed, tasks);
        let probe = Arc::new(NodeProbe::new(self, feed.clone()));
        (feed, probe, drain)
    }
}

/// What the scheduler knows of accounts that are gone is forgotten, and the bindings that were dropped.
fn forget_accounts(node: &Arc<Node>, feed: &Feed, tasks: &Tasks) {
    let (node, mut revision, stopping) = (Arc::clone(node), feed.revision.clone(), tasks.stopping());
    tasks.spawn("accounts", async move {
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                changed = revision.changed() => if changed.is_err() { return },
            }
            let snapshot = node.snapshot.current();
            node.scheduler.retain(|id| snapshot.account(&AccountId::from(id)).is_some());
            node.scheduler.bindings().heed(snapshot.binding_drops());
        }
    });
}

/// The platform registry, as the snapshot sees it.
struct Registry;

impl PlatformFacts for Registry {
    fn facts(&self, slug: &str) -> Option<Facts> {
        let info = platforms::registry::find(slug)?.info();
        let also = info.also.iter().map(|dialect| dialect.as_str()).collect();
        Some(Facts { family: info.family, service: info.service, dialect: info.dialect.as_str(), also })
    }
}

fn open_spool(config: &Config, id: &NodeId) -> Result<Arc<Spool>, Error> {
    let options = spool::Options {
        max_bytes: config.spool.max_bytes,
        retain_acked: config.spool.retain_acked,
        ..spool::Options::default()
    };
    let (spool, old) = Spool::open(&config.data_dir.join("spool"), options)?;
    for epoch in old {
        recovery::recover(epoch, id.as_str());
    }
    Ok(spool)
}

/// The node's id, made at its first start and kept in its data directory.
fn node_id(data_dir: &Path) -> Result<NodeId, Error> {
    let path = data_dir.join("node-id");
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(NodeId::new(text.trim())),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(file("node id", &path)(error)),
    }
    let id = NodeId::generate();
    std::fs::write(&path, id.as_str()).map_err(file("node id", &path))?;
    Ok(id)
}

fn folder(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(file("data directory", path))
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { what, path, source }
}
