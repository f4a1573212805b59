//! What this process knows of the store without asking: the newest revision, the clock, the identity.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

use crate::kv::{Identity, Revision, Told};

/// Messages that wait for a slow listener before it loses the oldest.
const TOLD: usize = 1024;

/// Shared by the calls and the background tasks.
#[derive(Debug)]
pub(super) struct State {
    head: watch::Sender<Revision>,
    told: broadcast::Sender<Told>,
    identity: Mutex<Option<Identity>>,
    /// The store's clock less ours, microseconds.
    offset_us: AtomicI64,
    /// The last time given.
    last_ms: AtomicI64,
}

impl State {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            head: watch::Sender::new(Revision { incarnation: "".into(), number: 0 }),
            told: broadcast::Sender::new(TOLD),
            identity: Mutex::default(),
            offset_us: AtomicI64::new(0),
            last_ms: AtomicI64::new(0),
        })
    }

    /// A revision exists. Within an incarnation the newest never goes back.
    pub(super) fn saw(&self, revision: &Revision) {
        self.head.send_if_modified(|head| {
            let news = head.incarnation != revision.incarnation || head.number < revision.number;
            if news {
                *head = revision.clone();
            }
            news
        });
    }

    pub(super) fn head(&self) -> watch::Receiver<Revision> {
        self.head.subscribe()
    }

    /// Somebody said something.
    pub(super) fn heard(&self, told: Told) {
        // Nobody listening is no failure.
        let _ = self.told.send(told);
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<Told> {
        self.told.subscribe()
    }

    /// The store's clock was read between two moments of ours.
    pub(super) fn tick(&self, before_us: i64, store_us: i64, after_us: i64) {
        self.offset_us.store(store_us - (before_us + (after_us - before_us) / 2), Ordering::Relaxed);
    }

    pub(super) fn now_ms(&self) -> i64 {
        let now = (process::clock::unix_us() + self.offset_us.load(Ordering::Relaxed)) / 1000;
        self.last_ms.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// Takes an identity over; whether it differs from the one known.
    pub(super) fn identify(&self, identity: &Identity) -> bool {
        let known = self.identity.lock().replace(identity.clone());
        known.is_some_and(|known| known != *identity)
    }
}
