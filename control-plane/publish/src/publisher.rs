//! The publisher: follows the view of the store and keeps the catalog current. One per replica.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use domain::{
    Group,
    snapshot::{
        FORMAT,
        diff::{Kind, Name, touched},
    },
};
use parking_lot::RwLock;
use process::tasks::Tasks;
use proto::node;
use store::{Changes, Revision, Store, View};
use tokio::sync::watch;

use crate::{catalog::Catalog, entries, feed::Feed};

/// Revisions taken from the feed at once.
const PAGE: usize = 1000;
/// How often the store is asked who it is, and wait after a failure.
const REFRESH: Duration = Duration::from_secs(5);

/// What nodes must know, kept current. Clones share one.
#[derive(Clone)]
pub struct Publisher {
    pub(crate) shared: Arc<Shared>,
}

/// What the publisher's task writes and feeds read.
pub(crate) struct Shared {
    pub(crate) store: Store,
    view: View,
    pub(crate) current: RwLock<Current>,
    /// Moves whenever `current` does.
    moved: watch::Sender<u64>,
}

/// The catalog and the history in which its numbers count.
pub(crate) struct Current {
    pub(crate) incarnation: Arc<str>,
    pub(crate) store_identity: String,
    pub(crate) catalog: Catalog,
}

impl Publisher {
    /// Builds all entries of the view and keeps them current until the tasks stop. The view must hold keys, accounts,
    /// groups and settings.
    ///
    /// # Errors
    /// When the store cannot tell who it is.
    pub async fn start(store: &Store, view: &View, tasks: &Tasks) -> store::Result<Self> {
        let revisions = view.watch();
        let revision = revisions.borrow().clone();
        let current = Current {
            incarnation: Arc::clone(&revision.incarnation),
            store_identity: store.identity().await?.store_identity,
            catalog: Catalog::new(entries::all(view), revision.number),
        };
        let shared = Arc::new(Shared {
            store: store.clone(),
            view: view.clone(),
            current: RwLock::new(current),
            moved: watch::Sender::new(0),
        });
        let follower = Follower { shared: Arc::clone(&shared), members: memberships(view) };
        let stopping = tasks.stopping();
        tasks.spawn("publisher", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = follower.run(revisions) => {}
            }
        });
        Ok(Self { shared })
    }

    /// One node's feed, from the revision that it holds: a full snapshot where that cannot be gone on from, then deltas.
    pub fn watch(&self, held: Option<node::Revision>) -> Feed {
        Feed::new(Arc::clone(&self.shared), held)
    }

    /// The revision of what is published.
    pub fn revision(&self) -> node::Revision {
        self.shared.current.read().revision()
    }

    /// How many entries are published.
    pub fn entries(&self) -> usize {
        self.shared.current.read().catalog.len()
    }
}

impl Shared {
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }
}

impl Current {
    /// The incarnation as nodes know it: entries of another build of ours are another history.
    pub(crate) fn wire_incarnation(&self) -> String {
        format!("{}+{FORMAT}", self.incarnation)
    }

    pub(crate) fn revision(&self) -> node::Revision {
        self.revision_at(self.catalog.number())
    }

    pub(crate) fn revision_at(&self, number: u64) -> node::Revision {
        node::Revision { incarnation: self.wire_incarnation(), number }
    }
}

/// Entries of the feed that the store remembers after a number, by name; `None`: it remembers less.
pub(crate) async fn names_since(store: &Store, mut from: Revision) -> store::Result<Option<Vec<Name>>> {
    let mut names = BTreeSet::new();
    loop {
        match store.changes(&from, PAGE).await? {
            Changes::TooOld { .. } => return Ok(None),
            Changes::Since { events, .. } => {
                let Some(last) = events.last().map(|event| event.number) else {
                    return Ok(Some(names.into_iter().collect()));
                };
                for event in &events {
                    let Some(kind) = Kind::of_record(&event.kind) else { continue };
                    if kind == Kind::Group {
                        // Whom it named before is not known any more.
                        return Ok(None);
                    }
                    names.insert(Name::new(kind, event.id.as_str()));
                }
                from.number = last;
            }
        }
    }
}

/// The task that moves the catalog.
struct Follower {
    shared: Arc<Shared>,
    /// Members by group, as the catalog has them.
    members: BTreeMap<String, Vec<String>>,
}

impl Follower {
    async fn run(mut self, mut revisions: watch::Receiver<Revision>) {
        let mut refresh = tokio::time::interval(REFRESH);
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let wanted = revisions.borrow_and_update().clone();
            if let Err(why) = self.catch_up(&wanted).await {
                tracing::warn!(%why, "what changed cannot be read; nodes keep what they have");
                tokio::time::sleep(Duration::from_millis(250)).await;
                continue;
            }
            tokio::select! {
                changed = revisions.changed() => if changed.is_err() { return },
                _ = refresh.tick() => self.refresh_identity().await,
            }
        }
    }

    async fn refresh_identity(&self) {
        if let Ok(identity) = self.shared.store.identity().await {
            self.shared.current.write().store_identity = identity.store_identity;
        }
    }

    /// Brings the catalog to what the view has.
    async fn catch_up(&mut self, wanted: &Revision) -> store::Result<()> {
        loop {
            let held = {
                let current = self.shared.current.read();
                Revision { incarnation: Arc::clone(&current.incarnation), number: current.catalog.number() }
            };
            if held.incarnation != wanted.incarnation {
                self.refresh_identity().await;
                self.rebuild(wanted);
                return Ok(());
            }
            if held.number >= wanted.number {
                return Ok(());
            }
            match self.shared.store.changes(&held, PAGE).await? {
                Changes::TooOld { .. } => {
                    self.rebuild(wanted);
                    return Ok(());
                }
                Changes::Since { events, .. } => {
                    // What is newer than the view comes when the view has it.
                    let had = events.iter().filter(|event| event.number <= wanted.number);
                    let reached = had.clone().next_back().map_or(wanted.number, |event| event.number);
                    let changed = had.filter_map(|event| {
                        Kind::of_record(&event.kind).map(|kind| Name::new(kind, event.id.as_str()))
                    });
                    let changed: BTreeSet<Name> = changed.collect();
                    self.advance(reached, changed);
                }
            }
        }
    }

    fn advance(&mut self, number: u64, changed: BTreeSet<Name>) {
        let view = &self.shared.view;
        let mut names = BTreeSet::new();
        for name in changed {
            let (mut before, mut after) = (Vec::new(), Vec::new());
            if name.kind == Kind::Group {
                after = entries::members(view, &name.id);
                before = self.members.insert(name.id.to_string(), after.clone()).unwrap_or_default();
            }
            names.extend(touched(name, &before, &after));
        }
        let entries: Vec<_> = names
            .into_iter()
            .map(|name| {
                let bytes = entries::one(view, &name);
                (name, bytes)
            })
            .collect();
        let differing = self.shared.current.write().catalog.advance(number, entries);
        tracing::debug!(number, differing, "published");
        self.shared.moved.send_modify(|moves| *moves += 1);
    }

    /// Builds everything anew: of the same history as a change of what differs, else as another catalog.
    fn rebuild(&mut self, revision: &Revision) {
        let all = entries::all(&self.shared.view);
        self.members = memberships(&self.shared.view);
        let mut current = self.shared.current.write();
        if current.incarnation == revision.incarnation {
            let named: BTreeSet<&Name> = all.iter().map(|(name, _)| name).collect();
            let gone: Vec<Name> =
                current.catalog.names().filter(|name| !named.contains(name)).cloned().collect();
            let changes = all.into_iter().map(|(name, bytes)| (name, Some(bytes)));
            let changes: Vec<_> = changes.chain(gone.into_iter().map(|name| (name, None))).collect();
            current.catalog.advance(revision.number, changes);
        } else {
            tracing::info!(incarnation = %revision.incarnation, "the store's history begins anew: nodes get full snapshots");
            current.incarnation = Arc::clone(&revision.incarnation);
            current.catalog = Catalog::new(all, revision.number);
        }
        drop(current);
        self.shared.moved.send_modify(|moves| *moves += 1);
    }
}

fn memberships(view: &View) -> BTreeMap<String, Vec<String>> {
    view.all::<Group>().iter().map(|group| (group.value.id.clone(), group.value.members.clone())).collect()
}
