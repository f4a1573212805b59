//! Typed reading: records by id, by index, in order, and the feed of their changes.

use domain::Record;
use zeroize::Zeroizing;

use crate::{
    change::Versioned,
    codec,
    error::Result,
    kv::{Document, Event, Revision},
    seal::{DataKey, Sealer},
    store::Store,
};

/// A piece of the feed of changes.
#[derive(Clone, Debug)]
pub enum Changes {
    /// What changed since the revision asked for, in order. Read on from the last event's number; with no event, from
    /// `head`.
    Since {
        /// The changes. All those of one revision are among them, or none.
        events: Vec<Event>,
        /// The newest revision.
        head: Revision,
    },
    /// The revision asked for is compacted away or of another incarnation: read everything anew.
    TooOld {
        /// The newest revision.
        head: Revision,
    },
}

impl Store {
    /// A record by its id.
    pub async fn get<R: Record>(&self, id: &str) -> Result<Option<Versioned<R>>> {
        let mut found = self.get_many::<R>(&[id.to_owned()]).await?;
        Ok(found.pop().flatten())
    }

    /// Records by their ids, in the order asked for.
    pub async fn get_many<R: Record>(&self, ids: &[String]) -> Result<Vec<Option<Versioned<R>>>> {
        let found = self.inner.kv.get(R::KIND, ids).await?;
        self.learn_keys(&found).await?;
        found
            .into_iter()
            .map(|document| document.map(|document| self.decode(&document)).transpose())
            .collect()
    }

    /// The record that holds `value` in a unique index.
    pub async fn find<R: Record>(&self, index: &str, value: &str) -> Result<Option<Versioned<R>>> {
        let found = [self.inner.kv.find(R::KIND, index, value).await?];
        self.learn_keys(&found).await?;
        let [document] = found;
        document.map(|document| self.decode(&document)).transpose()
    }

    /// Records by ascending id, those after `after`, at most `limit`.
    pub async fn scan<R: Record>(&self, after: Option<&str>, limit: usize) -> Result<Vec<Versioned<R>>> {
        let found: Vec<_> = self.inner.kv.scan(R::KIND, after, limit).await?.into_iter().map(Some).collect();
        self.learn_keys(&found).await?;
        found.iter().flatten().map(|document| self.decode(document)).collect()
    }

    /// What changed after a revision: at most `limit` whole revisions.
    pub async fn changes(&self, after: &Revision, limit: usize) -> Result<Changes> {
        let feed = self.inner.kv.changes(after.number, limit).await?;
        let head = Revision { incarnation: feed.incarnation, number: feed.head };
        match feed.events {
            Some(events) if head.incarnation == after.incarnation => Ok(Changes::Since { events, head }),
            _ => Ok(Changes::TooOld { head }),
        }
    }

    /// The newest revision. Asks the store.
    pub async fn revision(&self) -> Result<Revision> {
        let feed = self.inner.kv.changes(u64::MAX, 1).await?;
        Ok(Revision { incarnation: feed.incarnation, number: feed.head })
    }

    /// Opens and decodes one document. All keys it may need have been learnt.
    pub(crate) fn decode<R: Record>(&self, document: &Document) -> Result<Versioned<R>> {
        let body = self.open(R::KIND, R::SEALED, document)?;
        let value = codec::decode(&format!("{}/{}", R::KIND, document.id), &body)?;
        Ok(Versioned { value, version: document.version })
    }

    /// The encoded body of a document, its seal removed.
    pub(crate) fn open(&self, kind: &str, sealed: bool, document: &Document) -> Result<Zeroizing<Vec<u8>>> {
        let body = if sealed {
            self.inner.sealer.open(kind, &document.id, &document.body)?
        } else {
            document.body.clone()
        };
        Ok(Zeroizing::new(body))
    }

    /// Reads the data keys again when a document is sealed under one that another replica made meanwhile.
    pub(crate) async fn learn_keys(&self, documents: &[Option<Document>]) -> Result<()> {
        let unknown = documents.iter().flatten().filter_map(|document| Sealer::key_of(&document.body));
        let unknown = unknown.into_iter().any(|number| !self.inner.sealer.knows(number));
        if unknown { self.load_keys().await.map(|_| ()) } else { Ok(()) }
    }

    /// Reads and unwraps all data keys that are not known yet; gives all of them.
    pub(crate) async fn load_keys(&self) -> Result<Vec<Versioned<DataKey>>> {
        // Few: one per rotation.
        let keys = self.scan_unsealed::<DataKey>().await?;
        for key in &keys {
            let number = key.value.number()?;
            if !self.inner.sealer.knows(number) {
                let unwrapped = key.value.unwrap(&self.inner.master)?;
                self.inner.sealer.install(number, unwrapped, key.value.created_at_ms());
            }
        }
        Ok(keys)
    }

    /// All records of a small kind that is not sealed.
    async fn scan_unsealed<R: Record>(&self) -> Result<Vec<Versioned<R>>> {
        let documents = self.inner.kv.scan(R::KIND, None, usize::MAX).await?;
        documents.iter().map(|document| self.decode(document)).collect()
    }
}
