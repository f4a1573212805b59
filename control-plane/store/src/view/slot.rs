//! One kind of a view, its type forgotten where the feed is followed and remembered where records are read.

use std::{any::Any, sync::Arc};

use domain::Record;
use parking_lot::RwLock;

use super::collection::Collection;
use crate::{change::Versioned, kv::Document, store::Store};

/// What the follower of the feed does with a kind.
pub(super) trait AnySlot: Send + Sync + 'static {
    /// The kind.
    fn kind(&self) -> &'static str;
    /// Replaces all records.
    fn replace(&self, store: &Store, documents: Vec<Document>);
    /// Takes over the present state of these ids.
    fn update(&self, store: &Store, ids: &[String], documents: Vec<Option<Document>>);
    /// Itself, to be cast to its type.
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// The records of one kind.
pub(super) struct Slot<R> {
    current: RwLock<Arc<Collection<R>>>,
}

impl<R> Default for Slot<R> {
    fn default() -> Self {
        Self { current: RwLock::new(Arc::new(Collection::default())) }
    }
}

impl<R> Slot<R> {
    pub(super) fn snapshot(&self) -> Arc<Collection<R>> {
        Arc::clone(&self.current.read())
    }
}

impl<R: Record> AnySlot for Slot<R> {
    fn kind(&self) -> &'static str {
        R::KIND
    }

    fn replace(&self, store: &Store, documents: Vec<Document>) {
        let old = self.snapshot();
        let records = documents
            .iter()
            .filter_map(|document| read(store, document).or_else(|| old.get(&document.id).cloned()));
        *self.current.write() = Arc::new(Collection::from_sorted(records));
    }

    fn update(&self, store: &Store, ids: &[String], documents: Vec<Option<Document>>) {
        let mut next = Collection::clone(&self.snapshot());
        for (id, document) in ids.iter().zip(documents) {
            match document {
                None => next.remove(id),
                Some(document) => {
                    if let Some(record) = read::<R>(store, &document) {
                        next.insert(record);
                    }
                }
            }
        }
        *self.current.write() = Arc::new(next);
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// A record that cannot be read is told of by name and left as it was known before: one bad record must not take the
/// others along.
fn read<R: Record>(store: &Store, document: &Document) -> Option<Arc<Versioned<R>>> {
    match store.decode(document) {
        Ok(record) => Some(Arc::new(record)),
        Err(why) => {
            tracing::error!(kind = R::KIND, id = document.id, %why, "a record cannot be read and is left out");
            None
        }
    }
}
