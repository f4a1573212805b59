//! What a node says of itself: to its operations port, and to the control plane.

use std::{net::SocketAddr, sync::Arc};

use process::clock;
use proto::node::NodeStatus;
use snapshot::Handle;
use spool::Spool;

use super::Parts;
use crate::{
    metrics::Metrics,
    ops::{Probe, Unready, process_figures},
    pumps::config::{Feed, StatusOf},
    server::Readiness,
};

/// The node, as its operations port sees it.
pub(super) struct NodeProbe {
    snapshot: Arc<Handle>,
    spool: Arc<Spool>,
    readiness: Arc<Readiness>,
    feed: Feed,
}

impl NodeProbe {
    pub(super) fn new(parts: &Parts, feed: Feed) -> Self {
        Self {
            snapshot: Arc::clone(&parts.snapshot),
            spool: Arc::clone(&parts.spool),
            readiness: Arc::clone(&parts.readiness),
            feed,
        }
    }
}

impl Probe for NodeProbe {
    fn unready(&self) -> Unready {
        let mut unready = Vec::new();
        if self.snapshot.current().revision().is_none() {
            unready.push("config");
        }
        if self.readiness.is_draining() {
            unready.push("draining");
        }
        if self.spool.broken() {
            unready.push("spool");
        }
        unready
    }

    fn refresh(&self, metrics: &Metrics) {
        let figure = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        metrics.spool_lag.set(figure(self.spool.lag()));
        metrics.spool_bytes.set(figure(self.spool.bytes()));
        metrics.control_connected.set(i64::from(*self.feed.connected.borrow()));
        let revision = self.snapshot.current().revision().map_or(0, |revision| revision.number);
        metrics.config_revision.set(figure(revision));
        let (memory, descriptors) = process_figures();
        metrics.resident_memory_bytes.set(memory);
        metrics.open_descriptors.set(descriptors);
    }
}

/// What the control plane is told every few seconds.
pub(super) fn status(parts: &Parts, address: SocketAddr) -> StatusOf {
    let started_at_ms = clock::unix_ms();
    let (metrics, spool) = (Arc::clone(&parts.metrics), Arc::clone(&parts.spool));
    let readiness = Arc::clone(&parts.readiness);
    Arc::new(move || NodeStatus {
        started_at_ms,
        in_flight: metrics.in_flight.get(),
        spool_lag: i64::try_from(spool.lag()).unwrap_or(i64::MAX),
        spool_bytes: i64::try_from(spool.bytes()).unwrap_or(i64::MAX),
        listen_address: address.to_string(),
        draining: readiness.is_draining(),
        memory_bytes: process_figures().0,
    })
}
