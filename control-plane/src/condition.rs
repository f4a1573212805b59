//! How this control plane is: whether it can serve, and its metrics.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use fleet::Fleet;
use process::{clock, tasks::Tasks};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use publish::Publisher;
use store::{Store, View};

use crate::ops::Part;

/// How often the store is asked whether it is there.
const PULSE: Duration = Duration::from_secs(1);
/// A store that has not answered for so long is away, milliseconds.
const AWAY_AFTER_MS: i64 = 5_000;

/// The condition. Shared by the operations port and the process's end.
pub struct Condition {
    listening: AtomicBool,
    ending: AtomicBool,
    store_answered_ms: AtomicI64,
    view: View,
    publisher: Publisher,
    fleet: Fleet,
    metrics: Metrics,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Release {
    version: &'static str,
}

struct Metrics {
    registry: Registry,
    store_up: Gauge,
    view_revision: Gauge,
    entries: Gauge,
    records: Counter<u64, AtomicU64>,
    dead: Counter<u64, AtomicU64>,
    lease_streams: Gauge,
}

impl Condition {
    /// Follows the store until the tasks stop.
    pub fn start(
        store: &Store,
        view: &View,
        publisher: &Publisher,
        fleet: &Fleet,
        tasks: &Tasks,
    ) -> Arc<Self> {
        let condition = Arc::new(Self {
            listening: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            store_answered_ms: AtomicI64::new(clock::unix_ms()),
            view: view.clone(),
            publisher: publisher.clone(),
            fleet: fleet.clone(),
            metrics: Metrics::new(),
        });
        let (pulse, store, stopping) = (Arc::clone(&condition), store.clone(), tasks.stopping());
        tasks.spawn("store-pulse", async move {
            let mut due = tokio::time::interval(PULSE);
            due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    _ = due.tick() => {}
                }
                if store.identity().await.is_ok() {
                    pulse.store_answered_ms.store(clock::unix_ms(), Ordering::Relaxed);
                }
            }
        });
        condition
    }

    /// The ports are open.
    pub fn listening(&self) {
        self.listening.store(true, Ordering::Relaxed);
    }

    /// The end has begun.
    pub fn ending(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    fn store_is_away(&self) -> bool {
        clock::unix_ms() - self.store_answered_ms.load(Ordering::Relaxed) > AWAY_AFTER_MS
    }
}

impl Part for Condition {
    fn unready(&self) -> Vec<&'static str> {
        let mut unready = Vec::new();
        if !self.listening.load(Ordering::Relaxed) {
            unready.push("control plane: ports");
        }
        if self.ending.load(Ordering::Relaxed) {
            unready.push("control plane: draining");
        }
        if self.store_is_away() {
            unready.push("control plane: store");
        }
        unready
    }

    fn metrics(&self) -> String {
        let (metrics, figures) = (&self.metrics, self.fleet.figures());
        metrics.store_up.set(i64::from(!self.store_is_away()));
        metrics.view_revision.set(self.view.revision().number as i64);
        metrics.entries.set(self.publisher.entries() as i64);
        metrics.records.inner().store(figures.records_applied, Ordering::Relaxed);
        metrics.dead.inner().store(figures.records_dead, Ordering::Relaxed);
        metrics.lease_streams.set(figures.lease_streams as i64);
        let mut text = String::new();
        match encode(&mut text, &metrics.registry) {
            Ok(()) => text,
            Err(_) => String::new(),
        }
    }
}

impl Metrics {
    fn new() -> Self {
        let release = Family::<Release, Gauge>::default();
        release.get_or_create(&Release { version: proto::VERSION }).set(1);
        let mut metrics = Self {
            registry: Registry::with_prefix("crs_control"),
            store_up: Gauge::default(),
            view_revision: Gauge::default(),
            entries: Gauge::default(),
            records: Counter::default(),
            dead: Counter::default(),
            lease_streams: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("release", "The release that runs, as a label; always 1", release);
        registry.register("store_up", "Whether the store answers", metrics.store_up.clone());
        registry.register(
            "view_revision",
            "Store revision that this replica has",
            metrics.view_revision.clone(),
        );
        registry.register("entries", "Entries published to nodes", metrics.entries.clone());
        registry.register("usage_records", "Usage records applied by this process", metrics.records.clone());
        registry.register(
            "usage_records_put_aside",
            "Usage records that could not be understood; they are in the log `dead`",
            metrics.dead.clone(),
        );
        registry.register(
            "lease_streams",
            "Nodes that lease from this replica",
            metrics.lease_streams.clone(),
        );
        metrics
    }
}
