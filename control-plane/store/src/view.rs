//! A replica's copy in memory of all records of some kinds, kept current from the change feed: what lists, filters and
//! publishing read. It is at most a moment behind; [`View::caught_up`] waits for a revision.

mod collection;
mod slot;

use std::{
    any::TypeId,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use domain::Record;
use process::tasks::Tasks;
use rustc_hash::FxHashMap;
use tokio::sync::watch;

pub use self::collection::Collection;
use self::slot::{AnySlot, Slot};
use crate::{
    change::Versioned,
    error::Result,
    kv::{Event, Revision},
    records::Changes,
    store::Store,
};

/// Revisions taken from the feed at once.
const FEED_PAGE: usize = 500;
/// Documents read at once.
const PAGE: usize = 1000;
/// Wait before the store is asked again after a failure.
const RETRY: Duration = Duration::from_millis(250);

/// The kinds of a view.
#[derive(Default)]
pub struct Kinds(Vec<(TypeId, Arc<dyn AnySlot>)>);

impl Kinds {
    /// No kinds yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// And this one.
    #[must_use]
    pub fn with<R: Record>(mut self) -> Self {
        self.0.push((TypeId::of::<R>(), Arc::new(Slot::<R>::default())));
        self
    }
}

/// The copy. Clones share one.
#[derive(Clone)]
pub struct View {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    by_type: FxHashMap<TypeId, Arc<dyn AnySlot>>,
    by_kind: BTreeMap<&'static str, Arc<dyn AnySlot>>,
    revision: watch::Sender<Revision>,
}

impl View {
    /// Loads all records of these kinds and keeps them current until the tasks stop.
    pub async fn start(store: &Store, kinds: Kinds, tasks: &Tasks) -> Result<Self> {
        let mut head = store.watch();
        head.mark_unchanged();
        let by_kind = kinds.0.iter().map(|(_, slot)| (slot.kind(), Arc::clone(slot))).collect();
        let inner = Inner {
            store: store.clone(),
            by_type: kinds.0.into_iter().collect(),
            by_kind,
            revision: watch::Sender::new(Revision { incarnation: "".into(), number: 0 }),
        };
        let view = Self { inner: Arc::new(inner) };
        view.inner.reload().await?;
        let (inner, stopping) = (Arc::clone(&view.inner), tasks.stopping());
        tasks.spawn("view", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = inner.follow(head) => {}
            }
        });
        Ok(view)
    }

    /// All records of a kind as of now: a snapshot that does not change any more.
    ///
    /// # Panics
    /// When the view was started without this kind.
    pub fn all<R: Record>(&self) -> Arc<Collection<R>> {
        self.slot::<R>().snapshot()
    }

    /// One record.
    ///
    /// # Panics
    /// When the view was started without this kind.
    pub fn get<R: Record>(&self, id: &str) -> Option<Arc<Versioned<R>>> {
        self.slot::<R>().snapshot().get(id).cloned()
    }

    /// The revision that the view has at least.
    pub fn revision(&self) -> Revision {
        self.inner.revision.borrow().clone()
    }

    /// Follows the view's revision.
    pub fn watch(&self) -> watch::Receiver<Revision> {
        self.inner.revision.subscribe()
    }

    /// Waits until the view has a revision, at most `limit`; whether it has. A revision of an incarnation that is no
    /// more counts as had once the new one is loaded.
    pub async fn caught_up(&self, wanted: &Revision, limit: Duration) -> bool {
        let started = self.revision().incarnation;
        let had = |now: &Revision| match now.incarnation == wanted.incarnation {
            true => now.number >= wanted.number,
            false => now.incarnation != started,
        };
        let mut revisions = self.watch();
        tokio::time::timeout(limit, revisions.wait_for(had)).await.is_ok_and(|seen| seen.is_ok())
    }

    fn slot<R: Record>(&self) -> Arc<Slot<R>> {
        let slot = self.inner.by_type.get(&TypeId::of::<R>()).map(Arc::clone);
        let slot = slot.and_then(|slot| slot.as_any().downcast::<Slot<R>>().ok());
        slot.unwrap_or_else(|| panic!("the view was started without {}", R::KIND))
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("revision", &self.revision()).finish_non_exhaustive()
    }
}

impl Inner {
    async fn follow(&self, mut head: watch::Receiver<Revision>) {
        let mut failing = false;
        loop {
            match self.sync().await {
                Ok(()) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!("the view of the store is current again");
                    }
                    if head.changed().await.is_err() {
                        return;
                    }
                }
                Err(why) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%why, "the view of the store is not current");
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Takes over all that changed since the view's revision.
    async fn sync(&self) -> Result<()> {
        loop {
            let held = self.revision.borrow().clone();
            match self.store.changes(&held, FEED_PAGE).await? {
                Changes::TooOld { .. } => self.reload().await?,
                Changes::Since { events, head } => {
                    let Some(last) = events.last() else {
                        return Ok(());
                    };
                    let number = last.number;
                    self.take(&events).await?;
                    self.revision.send_replace(Revision { number, ..head });
                }
            }
        }
    }

    async fn take(&self, events: &[Event]) -> Result<()> {
        let mut changed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for event in events {
            if self.by_kind.contains_key(event.kind.as_str()) {
                changed.entry(&event.kind).or_default().insert(&event.id);
            }
        }
        for (kind, ids) in changed {
            let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
            for ids in ids.chunks(PAGE) {
                let found = self.store.kv().get(kind, ids).await?;
                self.store.learn_keys(&found).await?;
                self.by_kind[kind].update(&self.store, ids, found);
            }
        }
        Ok(())
    }

    /// Reads everything anew. What changes meanwhile comes with the feed afterwards.
    async fn reload(&self) -> Result<()> {
        let head = self.store.revision().await?;
        for (kind, slot) in &self.by_kind {
            let (mut all, mut after) = (Vec::new(), None::<String>);
            loop {
                let page = self.store.kv().scan(kind, after.as_deref(), PAGE).await?;
                let found: Vec<_> = page.into_iter().map(Some).collect();
                self.store.learn_keys(&found).await?;
                let Some(Some(last)) = found.last() else { break };
                after = Some(last.id.clone());
                all.extend(found.into_iter().flatten());
            }
            slot.replace(&self.store, all);
        }
        self.revision.send_replace(head);
        Ok(())
    }
}
