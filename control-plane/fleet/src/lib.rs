//! Nodes, as the control plane sees them: registry, receipts, leases and reclaims, bindings, ingestion of usage,
//! verdicts on accounts. It implements the services of `crs.node.v1` over the store; it knows no admin API.
//!
//! [`Fleet`] is one replica's share of it; [`counters`], [`records`] and [`bindings`] are how statistics, request records
//! and session bindings are read.

pub mod bindings;
pub mod counters;
pub mod records;

mod account_event_service;
mod config_service;
mod fresh;
mod guard;
mod ingest;
mod key_info_service;
mod leases;
mod quota_service;
mod registry;
mod session_service;
mod streams;
mod tail;
mod usage_service;
mod verdicts;
mod write_off;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use domain::Node;
use futures_util::Stream;
use process::{clock, tasks::Tasks};
use proto::{
    admin,
    node::{
        account_event_service_server::AccountEventServiceServer, config_service_server::ConfigServiceServer,
        key_info_service_server::KeyInfoServiceServer, quota_service_server::QuotaServiceServer,
        session_service_server::SessionServiceServer, usage_service_server::UsageServiceServer,
    },
};
use store::{Author, Store, Versioned, View};
use tokio::sync::watch;
use tonic::{Status, service::Routes};

pub use config_service::OpenFeed;
pub use fresh::Renewer;
pub use guard::{Caller, Certified, Internal};
pub use leases::meter_policy;
pub use leases::{ACCOUNT_LIMIT, LONGEST_STREAM_MS, TTL_MS};
pub use registry::{SILENT_AFTER_MS, forget_silent, revision_text};
pub use write_off::WrittenOff;

/// Largest message of a node, bytes.
const MAX_MESSAGE: usize = 16 << 20;
/// How often the store is asked who it is.
const IDENTITY: Duration = Duration::from_secs(2);

/// The node services of one replica. Clones share one.
#[derive(Clone)]
pub struct Fleet {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    view: View,
    open: OpenFeed,
    guard: Arc<guard::Guard>,
    renewer: Arc<dyn Renewer>,
    registry: Arc<registry::Registry>,
    leases: Arc<leases::Leases>,
    ingest: Arc<ingest::Ingest>,
    tails: Arc<tail::Tails>,
    identity: watch::Receiver<String>,
    tasks: Tasks,
}

/// Figures for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Usage records applied by this process.
    pub records_applied: u64,
    /// Usage records put aside by this process because they could not be understood.
    pub records_dead: u64,
    /// Lease streams of this process.
    pub lease_streams: u64,
}

impl Fleet {
    /// Begins to serve nodes. The view must hold keys, accounts, settings, nodes and join tokens; `renewer` renews tokens
    /// for those that ask; `replica` names this process among its like.
    ///
    /// # Errors
    /// When the store cannot tell who it is.
    pub async fn start(
        store: &Store,
        view: &View,
        open: OpenFeed,
        renewer: Arc<dyn Renewer>,
        replica: String,
        tasks: &Tasks,
    ) -> store::Result<Self> {
        let tails = tail::Tails::start(store, replica.clone(), tasks);
        let pushes = leases::Pushes::start(store, replica, tasks);
        let leases = Arc::new(leases::Leases::new(store, view, pushes));
        let identity = watch_identity(store, &leases, tasks).await?;
        let inner = Inner {
            store: store.clone(),
            view: view.clone(),
            open,
            renewer,
            guard: guard::Guard::start(store, view, tasks),
            registry: registry::Registry::start(store, view, tasks),
            leases,
            ingest: Arc::new(ingest::Ingest::new(store, view, Arc::clone(&tails))),
            tails,
            identity,
            tasks: tasks.clone(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The six services of `crs.node.v1`.
    pub fn services(&self) -> Routes {
        let inner = &self.inner;
        let (guard, store, view) =
            (|| Arc::clone(&inner.guard), || inner.store.clone(), || inner.view.clone());
        let config = config_service::Config {
            guard: guard(),
            registry: Arc::clone(&inner.registry),
            view: view(),
            open: Arc::clone(&inner.open),
            tasks: inner.tasks.clone(),
        };
        let quota = quota_service::Quota {
            guard: guard(),
            leases: Arc::clone(&inner.leases),
            identity: inner.identity.clone(),
            tasks: inner.tasks.clone(),
        };
        let usage = usage_service::Usage {
            guard: guard(),
            store: store(),
            ingest: Arc::clone(&inner.ingest),
            refusals: records::Refusals::new(&inner.store),
            tails: Arc::clone(&inner.tails),
            identity: inner.identity.clone(),
            tasks: inner.tasks.clone(),
        };
        let events = account_event_service::AccountEvents {
            guard: guard(),
            store: store(),
            view: view(),
            renewer: Arc::clone(&inner.renewer),
        };
        let keys = key_info_service::KeyInfo { guard: guard(), store: store(), view: view() };
        let sessions = session_service::Sessions { guard: guard(), store: store() };
        Routes::new(ConfigServiceServer::new(config).max_decoding_message_size(MAX_MESSAGE))
            .add_service(QuotaServiceServer::new(quota).max_decoding_message_size(MAX_MESSAGE))
            .add_service(UsageServiceServer::new(usage).max_decoding_message_size(MAX_MESSAGE))
            .add_service(AccountEventServiceServer::new(events))
            .add_service(KeyInfoServiceServer::new(keys))
            .add_service(SessionServiceServer::new(sessions))
    }

    /// All nodes seen in the last day, by id.
    ///
    /// # Errors
    /// The store's.
    pub async fn nodes(&self) -> store::Result<Vec<admin::Node>> {
        self.inner.registry.list(clock::unix_ms()).await
    }

    /// Gives up a node that is gone for good; `None`: it is still heard, and was left alone.
    ///
    /// # Errors
    /// The store's.
    pub async fn write_off(
        &self,
        node: &Versioned<Node>,
        author: Author,
    ) -> store::Result<Option<WrittenOff>> {
        let inner = &self.inner;
        let condition = inner.registry.condition(&node.value.id).await?;
        if condition.last_seen_ms + SILENT_AFTER_MS >= clock::unix_ms() {
            return Ok(None);
        }
        write_off::write_off(&inner.store, &inner.leases, node, author).await.map(Some)
    }

    /// Records of requests as they arrive from now on, from all nodes; ends after 15 minutes or with this process.
    pub fn tail(
        &self,
        filter: records::Filter,
    ) -> impl Stream<Item = Result<admin::TailRequestsResponse, Status>> + Send + use<> {
        self.inner.tails.watch(filter, self.inner.tasks.stopping())
    }

    /// Figures for metrics.
    pub fn figures(&self) -> Figures {
        let ingest = &self.inner.ingest;
        Figures {
            records_applied: ingest.applied.load(Ordering::Relaxed),
            records_dead: ingest.dead.load(Ordering::Relaxed),
            lease_streams: self.inner.leases.pushes.len() as u64,
        }
    }
}

/// Follows who the store is: nodes declare their leases and compare their markers when it changes.
async fn watch_identity(
    store: &Store,
    leases: &Arc<leases::Leases>,
    tasks: &Tasks,
) -> store::Result<watch::Receiver<String>> {
    let (sender, receiver) = watch::channel(store.identity().await?.store_identity);
    let (store, leases, stopping) = (store.clone(), Arc::clone(leases), tasks.stopping());
    tasks.spawn("store-identity", async move {
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(IDENTITY) => {}
            }
            if let Ok(identity) = store.identity().await {
                sender.send_if_modified(|held| {
                    let changed = *held != identity.store_identity;
                    *held = identity.store_identity;
                    if changed {
                        let until = clock::unix_ms() + leases::TTL_MS;
                        leases.doubt_until_ms.store(until, Ordering::Relaxed);
                    }
                    changed
                });
            }
        }
    });
    Ok(receiver)
}

/// The store's error towards a node: it tries again.
fn unavailable(why: store::Error) -> Status {
    if why.is_transient() {
        tracing::debug!(%why, "a node has to wait for the store");
    } else {
        tracing::error!(%why, "a node's call failed");
    }
    Status::unavailable("the store did not do it; try again")
}
