//! What an author wants changed: records to put and to delete, checked and written as one atomic step by
//! [`crate::Store::commit`].

use domain::Record;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    audit::Author,
    codec,
    error::{Error, Result},
    kv::{Expect, Fence},
};

/// A record with the version at which it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<R> {
    /// The record.
    pub value: R,
    /// Its version: expect it in a change to overwrite nobody else's.
    pub version: u64,
}

/// Changes of one author that are made together or not at all. Each changed record of an audited kind becomes one
/// entry of the audit log.
#[must_use = "a change does nothing until it is committed"]
pub struct Change {
    pub(crate) author: Author,
    pub(crate) items: Vec<Item>,
    pub(crate) notes: Vec<Note>,
    pub(crate) fences: Vec<Fence>,
    pub(crate) fault: Option<Error>,
}

/// The change of one record, its type forgotten.
pub(crate) struct Item {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) expect: Expect,
    pub(crate) sealed: bool,
    pub(crate) audited: bool,
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
    pub(crate) indexes: Vec<(String, String)>,
    pub(crate) before: Before,
    pub(crate) after: Option<Value>,
    /// The audit view of an encoded record of this kind.
    pub(crate) view: fn(&str, &[u8]) -> Result<Value>,
}

/// What is known of a record before its change.
pub(crate) enum Before {
    /// Its audit view, or that it was not.
    Known(Option<Value>),
    /// To be read.
    Unknown,
}

/// An audit entry that tells of no record.
pub(crate) struct Note {
    pub(crate) kind: String,
    pub(crate) target_id: String,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

impl Change {
    /// A change without content yet.
    pub fn new(author: Author) -> Self {
        Self { author, items: Vec::new(), notes: Vec::new(), fences: Vec::new(), fault: None }
    }

    /// Writes a record.
    pub fn put<R: Record>(mut self, record: &R, expect: Expect) -> Self {
        let before = if expect == Expect::Absent { Before::Known(None) } else { Before::Unknown };
        self.add(record, expect, before);
        self
    }

    /// Overwrites a record as it was read, without reading it again.
    pub fn update<R: Record>(mut self, read: &Versioned<R>, record: &R) -> Self {
        if read.value.id() != record.id() {
            self.fault = Some(Error::Invalid { why: format!("an update of {} changes its id", R::KIND) });
        }
        let before = Before::Known(R::AUDITED.then(|| read.value.audit_view()));
        self.add(record, Expect::Version(read.version), before);
        self
    }

    /// Deletes a record. One that is not there counts as deleted where `expect` is [`Expect::Any`].
    pub fn delete<R: Record>(mut self, id: &str, expect: Expect) -> Self {
        if expect == Expect::Absent {
            self.fault = Some(Error::Invalid { why: "a delete that expects nothing to be there".into() });
        }
        self.push(Item {
            kind: R::KIND,
            id: id.to_owned(),
            expect,
            sealed: R::SEALED,
            audited: R::AUDITED,
            body: None,
            indexes: Vec::new(),
            before: Before::Unknown,
            after: None,
            view: view_of::<R>,
        });
        self
    }

    /// Adds an audit entry for what is no record: a login, a drain, an export. Secrets must be masked already.
    pub fn note(mut self, kind: &str, target_id: &str, before: Option<Value>, after: Option<Value>) -> Self {
        self.notes.push(Note { kind: kind.to_owned(), target_id: target_id.to_owned(), before, after });
        self
    }

    /// Makes the change only while the leadership of `role` with this fencing number holds.
    pub fn fence(mut self, role: &str, number: u64) -> Self {
        self.fences.push(Fence { role: role.to_owned(), number });
        self
    }

    /// How many records it changes.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it changes no record.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn add<R: Record>(&mut self, record: &R, expect: Expect, before: Before) {
        let body = match codec::encode(record) {
            Ok(body) => Some(Zeroizing::new(body)),
            Err(why) => {
                self.fault = Some(why);
                return;
            }
        };
        self.push(Item {
            kind: R::KIND,
            id: record.id().to_owned(),
            expect,
            sealed: R::SEALED,
            audited: R::AUDITED,
            body,
            indexes: record.indexes().into_iter().map(|(index, value)| (index.to_owned(), value)).collect(),
            before,
            after: R::AUDITED.then(|| record.audit_view()),
            view: view_of::<R>,
        });
    }

    fn push(&mut self, item: Item) {
        if self.items.iter().any(|other| other.kind == item.kind && other.id == item.id) {
            self.fault = Some(Error::Invalid {
                why: format!("{}/{} is changed twice in one step", item.kind, item.id),
            });
        }
        self.items.push(item);
    }
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.items.iter().map(|item| format!("{}/{}", item.kind, item.id)).collect();
        f.debug_struct("Change").field("author", &self.author).field("items", &names).finish_non_exhaustive()
    }
}

fn view_of<R: Record>(id: &str, body: &[u8]) -> Result<Value> {
    Ok(codec::decode::<R>(&format!("{}/{id}", R::KIND), body)?.audit_view())
}
