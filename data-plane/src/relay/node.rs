//! What the steps of a request reach for: the parts that all workers share, and those that belong to one.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use dialects::{Dialect, Operation};
use link::NodeChannel;
use parking_lot::Mutex;
use process::tasks::Tasks;
use proto::rules::{
    ids::{KeyId, NodeId},
    price,
};
use rustc_hash::FxHashMap;
use snapshot::Handle;
use upstream::Exchange;

use super::{authenticate::Throttle, demand::Means, read::Budget, settle::Scratch};
use crate::{
    access_log,
    config::RelayConfig,
    metrics::Metrics,
    pumps::{activation::Activation, bindings::Bindings, events::Events, refusals::Refusals, tokens::Tokens},
    routes::Says,
};

/// What all workers share. Each step takes the parts that it needs.
pub struct Node {
    /// The node's id.
    pub id: NodeId,
    /// What holds.
    pub snapshot: Arc<Handle>,
    /// Limits.
    pub limits: Arc<limits::Limits>,
    /// Accounts.
    pub scheduler: Arc<scheduler::Scheduler>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Prices.
    pub prices: &'static price::Table,
    /// What upstreams said of accounts.
    pub events: Events,
    /// Which account a session sticks to.
    pub bindings: Bindings,
    /// Fresh tokens for accounts whose own was refused.
    pub tokens: Tokens,
    /// First uses of keys.
    pub activation: Activation,
    /// Refused requests, for people to find.
    pub refusals: Refusals,
    /// The way to the control plane, for a key's own figures.
    pub channel: NodeChannel,
    /// Bytes.
    pub budget: Budget,
    /// Bad keys by address.
    pub throttle: Throttle,
    /// Requests that wait for a slot, by key.
    pub queues: Queues,
    /// How long answers are, by key.
    pub means: Means,
    /// What a request may take.
    pub config: RelayConfig,
}

/// What belongs to one worker thread.
pub struct Worker {
    /// What all share.
    pub node: Arc<Node>,
    /// The way out.
    pub exchange: Exchange,
    /// Its part of the spool.
    pub spool: Arc<spool::Lane>,
    /// Its part of the access log.
    pub log: Arc<access_log::Lane>,
    /// Tasks that outlive a request.
    pub tasks: Tasks,
    /// Ids.
    pub ids: Ids,
    /// Where records are encoded.
    pub scratch: Mutex<Scratch>,
}

/// A request that was let in, with what is known of it before anything is read.
pub struct Asked {
    /// Its id, as the client is told.
    pub id: String,
    /// When it arrived.
    pub started: Instant,
    /// The same, Unix microseconds.
    pub started_us: i64,
    /// Where the client is.
    pub address: IpAddr,
    /// The client's dialect.
    pub dialect: Dialect,
    /// What is asked for.
    pub operation: Operation,
    /// Platform family that serves it; [`crate::routes::BY_MODEL`] until the model is known, where that decides.
    pub family: &'static str,
    /// What of it the path says.
    pub says: Says,
    /// Method, path, headers.
    pub head: http::request::Parts,
    /// Counts it among those in flight.
    pub in_flight: InFlight,
}

/// Counts a request among those in flight until it is dropped.
pub struct InFlight(Arc<Metrics>);

impl InFlight {
    /// One more.
    pub fn begin(metrics: &Arc<Metrics>) -> Self {
        metrics.in_flight.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

/// Makes ids that are unique over all nodes without a system call for each: a time and a sequence from a random start.
#[derive(Debug)]
pub struct Ids {
    seed: u64,
    next: AtomicU64,
}

impl Ids {
    /// From a random start.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new() -> Result<Self, getrandom::Error> {
        Ok(Self { seed: getrandom::u64()?, next: AtomicU64::new(getrandom::u64()?) })
    }

    /// A UUID of version 7.
    pub fn uuid(&self, now_us: i64) -> uuid::Uuid {
        let number = self.next.fetch_add(1, Relaxed);
        let mut random = [0; 10];
        random[..8].copy_from_slice(&mix(self.seed ^ number).to_be_bytes());
        random[8..].copy_from_slice(&mix(number.wrapping_add(self.seed)).to_be_bytes()[..2]);
        uuid::Builder::from_unix_timestamp_millis((now_us / 1000).max(0) as u64, &random).into_uuid()
    }
}

/// The finaliser of splitmix64: a bijection, so that different numbers stay different.
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// How many requests of each key wait for a slot.
#[derive(Debug, Default)]
pub struct Queues(Arc<Mutex<FxHashMap<KeyId, u32>>>);

/// A place in a key's queue, given back on drop.
pub struct Place {
    queues: Arc<Mutex<FxHashMap<KeyId, u32>>>,
    key: KeyId,
}

impl Queues {
    /// A place, unless so many wait already.
    pub fn enter(&self, key: &KeyId, most: u32) -> Option<Place> {
        let mut queues = self.0.lock();
        let waiting = queues.entry(key.clone()).or_default();
        if *waiting >= most {
            return None;
        }
        *waiting += 1;
        Some(Place { queues: Arc::clone(&self.0), key: key.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.queues.lock();
        if let Some(waiting) = queues.get_mut(&self.key) {
            *waiting -= 1;
            if *waiting == 0 {
                queues.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_7_and_never_the_same() {
        let ids = Ids::new().unwrap();
        let made: std::collections::HashSet<_> =
            (0..10_000).map(|_| ids.uuid(1_700_000_000_000_000)).collect();
        assert_eq!(made.len(), 10_000);
        assert!(made.iter().all(|id| id.get_version_num() == 7));
    }

    #[test]
    fn a_queue_is_bounded_by_key() {
        let queues = Queues::default();
        let held: Vec<_> = (0..3).map_while(|_| queues.enter(&"a".into(), 2)).collect();
        assert_eq!(held.len(), 2);
        assert!(queues.enter(&"b".into(), 2).is_some());
        drop(held);
        assert!(queues.0.lock().is_empty());
    }
}
