//! First requests of keys whose life begins with their first request: remembered here at once, told to the control
//! plane until it knows. The earliest over all nodes wins there.

use std::{collections::HashMap, sync::Arc, time::Duration};

use link::{Backoff, Link};
use parking_lot::Mutex;
use process::tasks::Tasks;
use proto::{
    node::{ActivateRequest, key_info_service_client::KeyInfoServiceClient},
    rules::ids::KeyId,
};
use snapshot::Handle;
use tokio::sync::Notify;

/// How long one call may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// First uses that this node has seen. Cheap to clone.
#[derive(Clone)]
pub struct Activation(Arc<Inner>);

struct Inner {
    snapshot: Arc<Handle>,
    seen: Mutex<HashMap<KeyId, FirstUse>>,
    added: Notify,
}

#[derive(Clone, Copy)]
struct FirstUse {
    at_ms: i64,
    /// Whether the control plane knows.
    told: bool,
}

impl Activation {
    /// With nothing seen yet.
    pub fn new(snapshot: Arc<Handle>) -> Self {
        Self(Arc::new(Inner { snapshot, seen: Mutex::default(), added: Notify::new() }))
    }

    /// When this node saw a key's first request, Unix milliseconds, if the snapshot does not say yet.
    pub fn first_use(&self, key: &KeyId) -> Option<i64> {
        self.0.seen.lock().get(key).map(|first| first.at_ms)
    }

    /// A request of a key that was not used yet, as far as this node knows. Gives when its life began.
    pub fn begin(&self, key: &KeyId, now_ms: i64) -> i64 {
        let began =
            self.0.seen.lock().entry(key.clone()).or_insert(FirstUse { at_ms: now_ms, told: false }).at_ms;
        self.0.added.notify_one();
        began
    }

    /// Starts the task that tells.
    pub fn start(&self, link: Link, tasks: &Tasks) {
        let (activation, stopping) = (self.clone(), tasks.stopping());
        tasks.spawn("activation", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = activation.tell_for_ever(&link) => {}
            }
        });
    }

    async fn tell_for_ever(&self, link: &Link) {
        let mut backoff = Backoff::default();
        loop {
            match self.next() {
                None => self.0.added.notified().await,
                Some((key, at_ms)) => {
                    if self.tell(link, &key, at_ms).await {
                        backoff.reset();
                    } else {
                        tokio::time::sleep(backoff.next(getrandom::u32().unwrap_or_default())).await;
                    }
                }
            }
        }
    }

    /// A first use to tell. Those that the snapshot has taken up are forgotten.
    fn next(&self) -> Option<(KeyId, i64)> {
        let snapshot = self.0.snapshot.current();
        let mut seen = self.0.seen.lock();
        seen.retain(|key, first| {
            !first.told
                || snapshot
                    .key(key)
                    .is_some_and(|key| key.expires_at_ms.is_none() && key.activation_ms.is_some())
        });
        seen.iter().find(|(_, first)| !first.told).map(|(key, first)| (key.clone(), first.at_ms))
    }

    /// Returns whether the control plane knows now, or never will.
    async fn tell(&self, link: &Link, key: &KeyId, at_ms: i64) -> bool {
        let mut client = KeyInfoServiceClient::new(link.channel());
        let call = client.activate(ActivateRequest { key_id: key.as_str().to_owned(), at_ms });
        let known = match tokio::time::timeout(DEADLINE, call).await {
            Ok(Ok(_)) => true,
            // The key was deleted meanwhile, or does not expire from first use any more.
            Ok(Err(status)) => matches!(
                status.code(),
                tonic::Code::NotFound | tonic::Code::InvalidArgument | tonic::Code::FailedPrecondition
            ),
            Err(_) => false,
        };
        if known && let Some(first) = self.0.seen.lock().get_mut(key) {
            first.told = true;
        }
        known
    }
}
