//! What nodes are told unasked: pleas to give back, and that asking again makes sense. A node hangs on any replica, so
//! what is not for a stream of this one goes to the others over the store's channel. Best effort: a plea that is lost is
//! made again, a hint that is lost is found by asking.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use process::tasks::Tasks;
use proto::{
    node::{LeaseReclaim, LeaseResponse},
    rules::quota::store::Exhausted,
};
use serde::{Deserialize, Serialize};
use store::Store;
use tokio::sync::{broadcast::error::RecvError, mpsc};

/// The topic on the store's channel.
const TOPIC: &str = "lease";
/// Messages that wait for one stream.
const WAITING: usize = 256;

/// What came out of one step for others.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Post {
    /// The meter.
    meter: String,
    /// Epoch and how much it is asked for.
    reclaims: Vec<(String, i64)>,
    /// Epochs that should ask again.
    hints: Vec<String>,
    /// The replica that sent it.
    #[serde(default)]
    from: String,
}

impl Post {
    pub(crate) fn new<'e>(
        meter: &str,
        reclaims: impl Iterator<Item = (&'e str, i64)>,
        hints: impl Iterator<Item = &'e str>,
    ) -> Self {
        Self {
            meter: meter.to_owned(),
            reclaims: reclaims.map(|(epoch, amount)| (epoch.to_owned(), amount)).collect(),
            hints: hints.map(str::to_owned).collect(),
            from: String::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.reclaims.is_empty() && self.hints.is_empty()
    }
}

/// The streams of this replica, by epoch.
pub(crate) struct Pushes {
    replica: String,
    streams: Mutex<HashMap<String, mpsc::Sender<LeaseResponse>>>,
}

impl Pushes {
    /// Listens to the other replicas until the tasks stop.
    pub(crate) fn start(store: &Store, replica: String, tasks: &Tasks) -> Arc<Self> {
        let pushes = Arc::new(Self { replica, streams: Mutex::default() });
        let (deliverer, mut told, stopping) = (Arc::clone(&pushes), store.listen(), tasks.stopping());
        tasks.spawn("lease-pushes", async move {
            loop {
                let told = tokio::select! {
                    () = stopping.cancelled() => return,
                    told = told.recv() => told,
                };
                match told {
                    Ok(told) if told.topic == TOPIC => deliverer.take(&told.payload),
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
        pushes
    }

    /// A node's stream: what is pushed to it until the other end is dropped.
    pub(crate) fn open(&self, epoch: &str) -> mpsc::Receiver<LeaseResponse> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let mut streams = self.streams.lock();
        streams.retain(|_, stream| !stream.is_closed());
        streams.insert(epoch.to_owned(), sender);
        receiver
    }

    /// How many nodes hang here.
    pub(crate) fn len(&self) -> usize {
        self.streams.lock().values().filter(|stream| !stream.is_closed()).count()
    }

    /// Delivers what is for streams of this replica, and sends the rest to the others.
    pub(crate) async fn send(&self, store: &Store, post: Post) {
        let mut rest = self.deliver(post);
        if rest.is_empty() {
            return;
        }
        rest.from.clone_from(&self.replica);
        let Ok(payload) = serde_json::to_vec(&rest) else { return };
        if let Err(why) = store.tell(TOPIC, &payload).await {
            tracing::debug!(%why, "other replicas were not told");
        }
    }

    fn take(&self, payload: &[u8]) {
        if let Ok(post) = serde_json::from_slice::<Post>(payload)
            && post.from != self.replica
        {
            self.deliver(post);
        }
    }

    /// Delivers what is for streams of this replica; answers what is not.
    fn deliver(&self, post: Post) -> Post {
        let streams = self.streams.lock();
        let push = |epoch: &str, message: LeaseResponse| match streams.get(epoch) {
            // A stream that does not keep up misses it, and asks anyway.
            Some(stream) if !stream.is_closed() => {
                let _ = stream.try_send(message);
                true
            }
            _ => false,
        };
        let meter = post.meter.clone();
        let reclaims = post.reclaims.into_iter().filter(|(epoch, amount)| {
            let reclaim = LeaseReclaim { meter: meter.clone(), amount: *amount };
            !push(epoch, LeaseResponse { reclaims: vec![reclaim], ..LeaseResponse::default() })
        });
        let reclaims: Vec<_> = reclaims.collect();
        let hints = post.hints.into_iter().filter(|epoch| {
            let hint = Exhausted::hint(&meter);
            !push(epoch, LeaseResponse { exhausted: vec![hint], ..LeaseResponse::default() })
        });
        Post { hints: hints.collect(), reclaims, meter: post.meter, from: post.from }
    }
}
