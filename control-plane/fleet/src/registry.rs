//! Which nodes there are, what they acknowledged and how they are. What must outlive everything (that a node exists, that
//! it shall drain) is a record; what changes every few seconds is a cell of the store, written at most once a second for
//! a receipt and every five for the rest. Neither the feed nor the audit log hears of the latter.

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::Node;
use futures_util::future::{join_all, try_join_all};
use parking_lot::Mutex;
use process::{clock, tasks::Tasks};
use proto::{admin, node};
use serde::{Deserialize, Serialize};
use store::{Author, Change, Expect, Revision, Store, View};

use crate::guard::Caller;

/// A node that was not heard for so long is silent, milliseconds.
pub const SILENT_AFTER_MS: i64 = 15_000;
/// Least time between two writes of a node's condition, milliseconds.
const WRITE_EVERY_MS: i64 = 5_000;
/// How often what is due is written.
const FLUSH: Duration = Duration::from_millis(500);
/// Refused entries that are kept of one revision.
const REFUSED: usize = 100;

/// How a node is, as it was last heard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// Unix milliseconds at which it was last heard.
    pub last_seen_ms: i64,
    /// Revision that it acknowledged, as text.
    pub applied_revision: String,
    /// Entries that it refused of it.
    pub refused: Vec<String>,
    /// Unix milliseconds of that acknowledgement.
    pub applied_at_ms: i64,
    /// Unix milliseconds at which this process of it began.
    pub started_at_ms: i64,
    /// Requests in flight.
    pub in_flight: i64,
    /// Records not yet acknowledged.
    pub spool_lag: i64,
    /// Bytes its spool holds.
    pub spool_bytes: i64,
    /// Whether it takes no new requests.
    pub draining: bool,
    /// Resident memory, bytes.
    pub memory_bytes: i64,
}

impl Condition {
    fn hear(&mut self, status: &node::NodeStatus, now_ms: i64) {
        self.last_seen_ms = now_ms;
        self.started_at_ms = status.started_at_ms;
        self.in_flight = status.in_flight;
        self.spool_lag = status.spool_lag;
        self.spool_bytes = status.spool_bytes;
        self.draining = status.draining;
        self.memory_bytes = status.memory_bytes;
    }
}

/// A node that is connected to this replica.
struct Live {
    condition: Condition,
    written_ms: i64,
    /// A receipt that was not written yet.
    urgent: bool,
}

/// The registry of one replica.
pub(crate) struct Registry {
    store: Store,
    view: View,
    live: Mutex<HashMap<String, Live>>,
}

impl Registry {
    pub(crate) fn start(store: &Store, view: &View, tasks: &Tasks) -> Arc<Self> {
        let registry = Arc::new(Self { store: store.clone(), view: view.clone(), live: Mutex::default() });
        let (writer, stopping) = (Arc::clone(&registry), tasks.stopping());
        tasks.spawn("node-registry", async move {
            let mut due = tokio::time::interval(FLUSH);
            loop {
                tokio::select! {
                    () = stopping.cancelled() => break,
                    _ = due.tick() => writer.flush(clock::unix_ms(), false).await,
                }
            }
            writer.flush(clock::unix_ms(), true).await;
        });
        registry
    }

    /// A node has connected: notes that it exists, and that a new process of it need not drain.
    pub(crate) async fn connected(
        &self,
        caller: &Caller,
        status: &node::NodeStatus,
        now_ms: i64,
    ) -> store::Result<()> {
        self.live.lock().entry(caller.node.clone()).or_insert_with(Live::new).condition.hear(status, now_ms);
        let held = self.store.get::<Node>(&caller.node).await?;
        let before = held.as_ref().map(|held| held.value.clone());
        let same_process = before.as_ref().is_some_and(|held| held.started_at_ms == status.started_at_ms);
        let record = Node {
            id: caller.node.clone(),
            name: caller.name.clone(),
            version: caller.version.clone(),
            listen_address: status.listen_address.chars().take(100).collect(),
            started_at_ms: status.started_at_ms,
            created_at_ms: before.as_ref().map_or(now_ms, |held| held.created_at_ms),
            drain_requested: same_process && before.as_ref().is_some_and(|held| held.drain_requested),
            drain_stays: same_process && before.as_ref().is_some_and(|held| held.drain_stays),
            identity: caller.identity.clone(),
        };
        if before.as_ref() == Some(&record) {
            return Ok(());
        }
        let change = Change::new(author(&caller.node, "ConfigService.Watch"));
        let change = match &held {
            Some(held) => change.update(held, &record),
            None => change.put(&record, Expect::Absent),
        };
        match self.store.commit(change).await {
            // Another connection of the same node has just written the same.
            Err(store::Error::Conflict { .. }) => Ok(()),
            done => done.map(drop),
        }
    }

    /// A node tells how it is.
    pub(crate) fn heard(&self, node: &str, status: &node::NodeStatus, now_ms: i64) {
        self.live.lock().entry(node.to_owned()).or_insert_with(Live::new).condition.hear(status, now_ms);
    }

    /// A node acknowledged a revision.
    pub(crate) fn acknowledged(&self, node: &str, ack: &node::ConfigAck, now_ms: i64) {
        let mut live = self.live.lock();
        let live = live.entry(node.to_owned()).or_insert_with(Live::new);
        let condition = &mut live.condition;
        condition.last_seen_ms = now_ms;
        condition.applied_at_ms = now_ms;
        condition.applied_revision = ack.revision.as_ref().map(revision_text).unwrap_or_default();
        condition.refused = ack.refused.iter().take(REFUSED).cloned().collect();
        live.urgent = true;
    }

    /// A node's stream has ended.
    pub(crate) async fn disconnected(&self, node: &str) {
        let live = self.live.lock().remove(node);
        if let Some(live) = live {
            self.write(node.to_owned(), live.condition).await;
        }
    }

    /// All nodes, by id.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn list(&self, now_ms: i64) -> store::Result<Vec<admin::Node>> {
        let records: Vec<Node> = self.view.all::<Node>().iter().map(|node| node.value.clone()).collect();
        let conditions = try_join_all(records.iter().map(|record| self.condition(&record.id))).await?;
        let current = self.view.revision();
        Ok(records
            .iter()
            .zip(&conditions)
            .map(|(record, held)| to_wire(record, held, &current, now_ms))
            .collect())
    }

    /// How a node is, as any replica last heard.
    pub(crate) async fn condition(&self, node: &str) -> store::Result<Condition> {
        let stored = self
            .store
            .meter(&cell(node), |row: &mut Option<Condition>, _| row.clone().unwrap_or_default())
            .await?;
        let here = self.live.lock().get(node).map(|live| live.condition.clone());
        Ok(here.filter(|here| here.last_seen_ms >= stored.last_seen_ms).unwrap_or(stored))
    }

    async fn flush(&self, now_ms: i64, all: bool) {
        let due: Vec<(String, Condition)> = {
            let mut live = self.live.lock();
            let due = live.iter_mut().filter(|(_, live)| {
                all || live.urgent || live.written_ms + WRITE_EVERY_MS <= live.condition.last_seen_ms
            });
            due.map(|(node, live)| {
                (live.urgent, live.written_ms) = (false, now_ms);
                (node.clone(), live.condition.clone())
            })
            .collect()
        };
        join_all(due.into_iter().map(|(node, condition)| self.write(node, condition))).await;
    }

    async fn write(&self, node: String, condition: Condition) {
        let newer = move |row: &mut Option<Condition>, _: store::Moment| {
            if row.as_ref().is_none_or(|held| held.last_seen_ms <= condition.last_seen_ms) {
                *row = Some(condition.clone());
            }
        };
        if let Err(why) = self.store.meter(&cell(&node), newer).await {
            tracing::debug!(node, %why, "how a node is was not written");
        }
    }
}

impl Live {
    fn new() -> Self {
        Self { condition: Condition::default(), written_ms: 0, urgent: false }
    }
}

/// The author of what a node makes of records.
pub(crate) fn author(node: &str, action: &str) -> Author {
    Author { actor: format!("node:{node}"), address: String::new(), action: action.to_owned() }
}

/// A revision as people see it: the store's own, without the mark of the entries' build.
pub fn revision_text(revision: &node::Revision) -> String {
    let incarnation = revision.incarnation.split('+').next().unwrap_or_default();
    format!("{incarnation}:{}", revision.number)
}

/// Forgets nodes that were silent since before a time; which.
///
/// # Errors
/// The store's.
pub async fn forget_silent(store: &Store, before_ms: i64, author: &Author) -> store::Result<Vec<String>> {
    let mut forgotten = Vec::new();
    for node in store.scan::<Node>(None, usize::MAX).await? {
        let id = node.value.id.clone();
        let seen = store
            .meter(&cell(&id), |row: &mut Option<Condition>, _| {
                row.as_ref().map_or(0, |row| row.last_seen_ms)
            })
            .await?;
        if seen.max(node.value.created_at_ms) >= before_ms {
            continue;
        }
        let gone = Change::new(author.clone()).delete::<Node>(&id, Expect::Version(node.version));
        match store.commit(gone).await {
            Err(store::Error::Conflict { .. }) => continue,
            done => done?,
        };
        forget_condition(store, &id).await?;
        forgotten.push(id);
    }
    Ok(forgotten)
}

/// Forgets how a node was.
pub(crate) async fn forget_condition(store: &Store, node: &str) -> store::Result<()> {
    store.forget_meter(&cell(node)).await
}

fn cell(node: &str) -> String {
    format!("node:{node}")
}

/// Changes between a revision as text and the current one; -1: they cannot be compared.
fn lag(applied: &str, current: &Revision) -> i64 {
    let number = applied.rsplit_once(':').filter(|(incarnation, _)| *incarnation == &*current.incarnation);
    let number = number.and_then(|(_, number)| number.parse::<u64>().ok());
    number.map_or(-1, |number| i64::try_from(current.number.saturating_sub(number)).unwrap_or(i64::MAX))
}

fn to_wire(record: &Node, condition: &Condition, current: &Revision, now_ms: i64) -> admin::Node {
    let time = |ms: i64| (ms > 0).then(|| domain::time::to_wire(ms));
    let state = if condition.last_seen_ms + SILENT_AFTER_MS < now_ms {
        "silent"
    } else if condition.draining || record.drain_requested {
        "draining"
    } else {
        "connected"
    };
    admin::Node {
        id: record.id.clone(),
        name: record.name.clone(),
        version: record.version.clone(),
        state: state.to_owned(),
        applied_revision: condition.applied_revision.clone(),
        refused: condition.refused.clone(),
        applied_at: time(condition.applied_at_ms),
        last_seen_at: time(condition.last_seen_ms),
        started_at: time(record.started_at_ms),
        in_flight: condition.in_flight,
        spool_lag: condition.spool_lag,
        spool_bytes: condition.spool_bytes,
        listen_address: record.listen_address.clone(),
        memory_bytes: condition.memory_bytes,
        revision_lag: lag(&condition.applied_revision, current),
        identity: record.identity.clone(),
    }
}
