//! The live tail: records as they are applied, to those who watch, on whichever replica they are. While somebody watches
//! on one replica it says so to the others every few seconds, and they tell what they apply over the store's channel, up
//! to a bound. While nobody watches it costs a look at two numbers per batch.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{Stream, stream};
use parking_lot::Mutex;
use process::{clock, tasks::Tasks};
use prost::Message as _;
use proto::{admin::TailRequestsResponse, types::UsageRecord};
use store::{Store, Told};
use tokio::{
    sync::{
        Notify,
        broadcast::{self, error::RecvError},
        mpsc,
    },
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::records::Filter;

/// Topics on the store's channel: records, and that somebody watches.
const RECORDS: &str = "tail";
const WANTED: &str = "tail-wanted";
/// How often a replica says that somebody watches there, and how long that holds.
const SAY_EVERY: Duration = Duration::from_secs(2);
const HOLDS_MS: i64 = 7_000;
/// Records told to other replicas in one second, at most.
const MOST_PER_SECOND: u32 = 500;
/// Records that wait for one watcher, and for the channel.
const WAITING: usize = 2_048;
/// Longest silence towards a watcher.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// Longest life of one tail: as long as an access token.
const LONGEST: Duration = Duration::from_secs(900);

type Item = Arc<TailRequestsResponse>;

/// The tails of one replica.
pub(crate) struct Tails {
    replica: String,
    here: broadcast::Sender<Item>,
    elsewhere: mpsc::Sender<Item>,
    /// Until when somebody watches on another replica, Unix milliseconds.
    wanted_until_ms: AtomicI64,
    /// The second, and what was told in it; what was left out since.
    told: Mutex<(i64, u32, i64)>,
    opened: Notify,
}

impl Tails {
    pub(crate) fn start(store: &Store, replica: String, tasks: &Tasks) -> Arc<Self> {
        let (elsewhere, outgoing) = mpsc::channel(WAITING);
        let tails = Arc::new(Self {
            replica,
            here: broadcast::channel(WAITING).0,
            elsewhere,
            wanted_until_ms: AtomicI64::new(0),
            told: Mutex::default(),
            opened: Notify::new(),
        });
        let (carrier, store, stopping) = (Arc::clone(&tails), store.clone(), tasks.stopping());
        tasks.spawn("request-tail", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = carrier.carry(&store, outgoing) => {}
            }
        });
        tails
    }

    /// Records were applied here.
    pub(crate) fn seen<'r>(&self, records: impl Iterator<Item = &'r UsageRecord>) {
        let now_ms = clock::unix_ms();
        let (here, elsewhere) = (self.here.receiver_count() > 0, self.wanted_until_ms.load(Relaxed) > now_ms);
        if !here && !elsewhere {
            return;
        }
        for record in records {
            let request = UsageRecord { explanation: None, ..record.clone() };
            let skipped = if elsewhere { self.budget(now_ms / 1000) } else { None };
            let item = |skipped| Arc::new(TailRequestsResponse { request: Some(request.clone()), skipped });
            if here {
                // Nobody there any more is no error.
                let _ = self.here.send(item(0));
            }
            if let Some(skipped) = skipped {
                let _ = self.elsewhere.try_send(item(skipped));
            }
        }
    }

    /// Whether one more may be told in this second, and how many were left out before it.
    fn budget(&self, second: i64) -> Option<i64> {
        let mut told = self.told.lock();
        if told.0 != second {
            (told.0, told.1) = (second, 0);
        }
        if told.1 >= MOST_PER_SECOND {
            told.2 += 1;
            return None;
        }
        told.1 += 1;
        Some(std::mem::take(&mut told.2))
    }

    async fn carry(&self, store: &Store, mut outgoing: mpsc::Receiver<Item>) {
        let mut told = store.listen();
        let mut say = tokio::time::interval(SAY_EVERY);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                heard = told.recv() => match heard {
                    Ok(told) => self.hear(&told),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
                count = outgoing.recv_many(&mut batch, 64) => {
                    if count == 0 {
                        return;
                    }
                    self.tell(store, RECORDS, batch.drain(..)).await;
                }
                _ = say.tick() => self.say_wanted(store).await,
                () = self.opened.notified() => self.say_wanted(store).await,
            }
        }
    }

    async fn say_wanted(&self, store: &Store) {
        if self.here.receiver_count() > 0 {
            self.tell(store, WANTED, std::iter::empty()).await;
        }
    }

    /// Best effort, as all that goes over the channel.
    async fn tell(&self, store: &Store, topic: &str, items: impl Iterator<Item = Item>) {
        let mut payload = self.replica.clone().into_bytes();
        payload.push(0);
        items.for_each(|item| payload.extend(item.encode_length_delimited_to_vec()));
        if let Err(why) = store.tell(topic, &payload).await {
            tracing::debug!(%why, "other replicas were not told of records");
        }
    }

    fn hear(&self, told: &Told) {
        if told.topic != RECORDS && told.topic != WANTED {
            return;
        }
        let mut parts = told.payload.splitn(2, |byte| *byte == 0);
        let (Some(from), Some(mut items)) = (parts.next(), parts.next()) else { return };
        if from == self.replica.as_bytes() {
            return;
        }
        if told.topic == WANTED {
            self.wanted_until_ms.store(clock::unix_ms() + HOLDS_MS, Relaxed);
            return;
        }
        while !items.is_empty() {
            let Ok(item) = TailRequestsResponse::decode_length_delimited(&mut items) else { return };
            let _ = self.here.send(Arc::new(item));
        }
    }

    /// The wanted records from now on.
    pub(crate) fn watch(
        &self,
        filter: Filter,
        stopping: CancellationToken,
    ) -> impl Stream<Item = Result<TailRequestsResponse, Status>> + Send + use<> {
        let watcher = Watcher {
            filter,
            records: self.here.subscribe(),
            skipped: 0,
            ends: Instant::now() + LONGEST,
            stopping,
        };
        self.opened.notify_one();
        stream::unfold(Some(watcher), async |watcher| {
            let mut watcher = watcher?;
            match watcher.next().await? {
                Ok(item) => Some((Ok(item), Some(watcher))),
                Err(status) => Some((Err(status), None)),
            }
        })
    }
}

/// One watcher.
struct Watcher {
    filter: Filter,
    records: broadcast::Receiver<Item>,
    skipped: i64,
    ends: Instant,
    stopping: CancellationToken,
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<TailRequestsResponse, Status>> {
        let silent = Instant::now() + SIGN_OF_LIFE;
        loop {
            let item = tokio::select! {
                () = self.stopping.cancelled() => {
                    return Some(Err(Status::unavailable("this replica ends: open the tail again")));
                }
                () = tokio::time::sleep_until(self.ends) => return None,
                () = tokio::time::sleep_until(silent) => return Some(Ok(self.say(None))),
                item = self.records.recv() => item,
            };
            match item {
                Ok(item) => {
                    self.skipped += item.skipped;
                    if let Some(record) = item.request.as_ref().filter(|record| self.filter.admits(record)) {
                        return Some(Ok(self.say(Some(record.clone()))));
                    }
                }
                Err(RecvError::Lagged(missed)) => self.skipped += i64::try_from(missed).unwrap_or(i64::MAX),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn say(&mut self, request: Option<UsageRecord>) -> TailRequestsResponse {
        TailRequestsResponse { request, skipped: std::mem::take(&mut self.skipped) }
    }
}
