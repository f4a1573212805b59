//! One node's feed: a full snapshot in parts, or what changed since the revision that it holds. Nothing is made before
//! the node takes it, so what changes while a node is slow is told once, as it is then.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use prost::Message as _;
use proto::node::{self, WatchResponse, watch_response::Message};
use store::Revision;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use crate::publisher::{Shared, names_since};

/// Bytes of entries in one message, about.
pub const CHUNK_BYTES: usize = 1 << 20;
/// Least time between two deltas: what changes within it is told together.
const COALESCE: Duration = Duration::from_millis(20);
/// Least time between two deltas that only move the revision.
const IDLE_MOVE: Duration = Duration::from_secs(1);
/// How long a replica that is behind what a node holds waits to catch up before it tells everything anew.
const BEHIND: Duration = Duration::from_secs(5);

/// A node's feed. It never ends by itself.
pub struct Feed(Pin<Box<dyn Stream<Item = WatchResponse> + Send>>);

impl Feed {
    pub(crate) fn new(shared: Arc<Shared>, held: Option<node::Revision>) -> Self {
        let moved = shared.watch();
        let place = held.map_or(Place::Nothing, Place::Claimed);
        let maker =
            Maker { shared, moved, place, parts: None, ready: VecDeque::new(), not_before: Instant::now() };
        let messages = stream::unfold(maker, |mut maker| async move {
            let message = maker.next().await;
            Some((message, maker))
        });
        Self(Box::pin(messages))
    }
}

impl Stream for Feed {
    type Item = WatchResponse;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WatchResponse>> {
        self.0.poll_next_unpin(context)
    }
}

/// Where the node is.
enum Place {
    /// It holds nothing that could be gone on from.
    Nothing,
    /// It says that it holds this.
    Claimed(node::Revision),
    /// It was told everything up to here.
    At(node::Revision),
}

/// A full snapshot under way.
struct Parts {
    revision: node::Revision,
    store_identity: String,
    entries: std::vec::IntoIter<Bytes>,
}

struct Maker {
    shared: Arc<Shared>,
    moved: watch::Receiver<u64>,
    place: Place,
    parts: Option<Parts>,
    ready: VecDeque<WatchResponse>,
    not_before: Instant,
}

impl Maker {
    async fn next(&mut self) -> WatchResponse {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return message;
            }
            if let Some(parts) = self.parts.as_mut() {
                let (chunk, last) = parts.next();
                if last {
                    self.place = Place::At(parts.revision.clone());
                    self.parts = None;
                }
                return chunk;
            }
            match std::mem::replace(&mut self.place, Place::Nothing) {
                Place::Nothing => self.parts = Some(self.snapshot()),
                Place::Claimed(held) => self.place = self.go_on(held).await,
                Place::At(held) => self.place = self.follow(held).await,
            }
        }
    }

    fn snapshot(&mut self) -> Parts {
        self.moved.mark_unchanged();
        let current = self.shared.current.read();
        Parts {
            revision: current.revision(),
            store_identity: current.store_identity.clone(),
            entries: current.catalog.all().into_iter(),
        }
    }

    /// From what a node says it holds: the first delta comes at once, even if it is empty, so that the node knows where
    /// it stands.
    async fn go_on(&mut self, held: node::Revision) -> Place {
        let (raw, floor) = {
            let current = self.shared.current.read();
            if held.incarnation != current.wire_incarnation() {
                return Place::Nothing;
            }
            (Arc::clone(&current.incarnation), current.catalog.floor())
        };
        if !self.reaches(held.number).await {
            return Place::Nothing;
        }
        let mut earlier = None;
        if held.number < floor {
            let from = Revision { incarnation: raw, number: held.number };
            earlier = names_since(&self.shared.store, from).await.ok().flatten();
            if earlier.is_none() {
                return Place::Nothing;
            }
        }
        self.moved.mark_unchanged();
        let current = self.shared.current.read();
        match current.catalog.since(held.number, earlier.as_deref(), CHUNK_BYTES) {
            Some(changed) if current.wire_incarnation() == held.incarnation => {
                let to = current.revision_at(changed.to);
                self.ready.push_back(delta(held, to.clone(), changed));
                Place::At(to)
            }
            _ => Place::Nothing,
        }
    }

    /// Waits until this replica has what a node already holds.
    async fn reaches(&mut self, number: u64) -> bool {
        let shared = Arc::clone(&self.shared);
        let reached = |_: &u64| shared.current.read().catalog.number() >= number;
        timeout(BEHIND, self.moved.wait_for(reached)).await.is_ok_and(|moved| moved.is_ok())
    }

    /// Waits for a change and tells it.
    async fn follow(&mut self, held: node::Revision) -> Place {
        sleep_until(self.not_before).await;
        let changed = {
            let current = self.shared.current.read();
            if held.incarnation != current.wire_incarnation() {
                return Place::Nothing;
            }
            let Some(changed) = current.catalog.since(held.number, None, CHUNK_BYTES) else {
                return Place::Nothing;
            };
            (changed.to > held.number).then(|| (current.revision_at(changed.to), changed))
        };
        let Some((to, changed)) = changed else {
            if self.moved.changed().await.is_err() {
                // The publisher is gone; the stream is ended by whoever serves it.
                std::future::pending::<()>().await;
            }
            return Place::At(held);
        };
        if changed.upserts.is_empty() && changed.deletes.is_empty() && !self.stays_quiet(&held).await {
            return Place::At(held);
        }
        self.not_before = Instant::now() + COALESCE;
        self.ready.push_back(delta(held, to.clone(), changed));
        Place::At(to)
    }

    /// Only the number moved: waits a moment for something to tell along with it; `false`: something came.
    async fn stays_quiet(&mut self, held: &node::Revision) -> bool {
        let until = Instant::now() + IDLE_MOVE;
        while let Ok(Ok(())) = timeout_at(until, self.moved.changed()).await {
            if self.differs_from(held) {
                return false;
            }
        }
        true
    }

    fn differs_from(&self, held: &node::Revision) -> bool {
        let current = self.shared.current.read();
        held.incarnation != current.wire_incarnation()
            || current
                .catalog
                .since(held.number, None, CHUNK_BYTES)
                .is_none_or(|changed| !changed.upserts.is_empty() || !changed.deletes.is_empty())
    }
}

impl Parts {
    fn next(&mut self) -> (WatchResponse, bool) {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while bytes < CHUNK_BYTES {
            let Some(encoded) = self.entries.next() else { break };
            bytes += encoded.len();
            entries.extend(decode(&encoded));
        }
        let last = self.entries.len() == 0;
        let chunk = node::SnapshotChunk {
            revision: Some(self.revision.clone()),
            store_identity: self.store_identity.clone(),
            entries,
            last,
        };
        (WatchResponse { message: Some(Message::Snapshot(chunk)) }, last)
    }
}

fn delta(from: node::Revision, to: node::Revision, changed: crate::catalog::Changed) -> WatchResponse {
    let delta = node::Delta {
        from: Some(from),
        to: Some(to),
        upserts: changed.upserts.iter().filter_map(decode).collect(),
        deletes: changed.deletes.iter().map(|name| name.to_wire()).collect(),
    };
    WatchResponse { message: Some(Message::Delta(delta)) }
}

/// What was encoded here decodes.
fn decode(bytes: &Bytes) -> Option<node::Entry> {
    node::Entry::decode(bytes.as_ref()).ok()
}
