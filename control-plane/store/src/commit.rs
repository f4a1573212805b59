//! Making a change: its records are sealed, its before-images found, its audit entries chained, and all of it written
//! in one atomic step. What moved meanwhile is read again, as long as the caller did not name a version.

use std::{collections::BTreeMap, sync::Arc};

use domain::Record;
use serde_json::Value;
use tokio::sync::MutexGuard;

use crate::{
    audit::{self, Fact},
    change::{Before, Change, Item},
    error::{Error, Result},
    kv::{AuditAppend, AuditHead, Batch, Committed, Document, Expect, Put, Revision, Write},
    store::Store,
};

/// Tries before writers that get in each other's way give up.
const TRIES: usize = 32;
/// Records deleted by one step of a sweep.
const SWEEP: usize = 500;

impl Store {
    /// Makes a change: all of it, audit entries included, or nothing. Gives the revision that has it.
    ///
    /// After [`Error::Unavailable`] the change may have been made or not.
    pub async fn commit(&self, change: Change) -> Result<Revision> {
        let incarnation = Arc::clone(&self.inner.kv.head().borrow().incarnation);
        self.keep_keys(&incarnation).await?;
        let revision = self.commit_here(change).await?;
        self.keep_keys(&revision.incarnation).await?;
        Ok(revision)
    }

    /// As [`Store::commit`], without a look at the data keys.
    pub(crate) async fn commit_here(&self, change: Change) -> Result<Revision> {
        if let Some(fault) = change.fault {
            return Err(fault);
        }
        let sealed = self.seal_all(&change.items)?;
        for _ in 0..TRIES {
            let Planned { writes, facts } = self.plan(&change, &sealed).await?;
            let batch = Batch { writes, fences: change.fences.clone(), audit: None };
            let positions: Vec<usize> = batch.writes.iter().map(|write| position(&change, write)).collect();
            match self.write(batch, &facts).await? {
                Committed::Done { number, incarnation } => return Ok(Revision { incarnation, number }),
                Committed::Conflict { position, found } => {
                    let item = &change.items[positions[position]];
                    if item.expect != Expect::Any {
                        return Err(conflict(item, found));
                    }
                }
                Committed::Duplicate { position, index, holder } => {
                    let kind = change.items[positions[position]].kind.to_owned();
                    return Err(Error::Duplicate { kind, index, holder });
                }
                Committed::Fenced { role } => return Err(Error::Fenced { role }),
                Committed::AuditMoved { .. } => {}
            }
        }
        Err(Error::Contended { what: "the change".into() })
    }

    /// Deletes records of a kind whose life is over, without audit entries; how many.
    pub async fn sweep<R: Record>(&self, now_ms: i64) -> Result<u64> {
        let (mut after, mut removed) = (None, 0);
        loop {
            let page = self.scan::<R>(after.as_deref(), SWEEP).await?;
            let Some(last) = page.last() else { return Ok(removed) };
            after = Some(last.value.id().to_owned());
            for record in page {
                if record.value.expires_at_ms().is_some_and(|end| end <= now_ms) {
                    let write = Write {
                        kind: R::KIND.to_owned(),
                        id: record.value.id().to_owned(),
                        expect: Expect::Version(record.version),
                        put: None,
                    };
                    let batch = Batch { writes: vec![write], ..Batch::default() };
                    // One that changed meanwhile is looked at by the next sweep.
                    removed +=
                        u64::from(matches!(self.inner.kv.commit(batch).await?, Committed::Done { .. }));
                }
            }
        }
    }

    /// Writes a batch, its facts chained onto the audit log.
    async fn write(&self, mut batch: Batch, facts: &[Fact]) -> Result<Committed> {
        if facts.is_empty() {
            return self.inner.kv.commit(batch).await;
        }
        let mut held = self.inner.audit.lock().await;
        for _ in 0..TRIES {
            let after = self.audit_head(&mut held).await?;
            let (entries, head) = audit::chain(after, facts)?;
            batch.audit = Some(AuditAppend { after, entries, head });
            let committed = self.inner.kv.commit(batch.clone()).await;
            match &committed {
                Ok(Committed::Done { .. }) => *held = Some(head),
                Ok(Committed::AuditMoved { head }) => {
                    *held = Some(*head);
                    continue;
                }
                Ok(_) => {}
                // Whether it was written is not known: ask next time.
                Err(_) => *held = None,
            }
            return committed;
        }
        Err(Error::Contended { what: "the audit log".into() })
    }

    async fn audit_head(&self, held: &mut MutexGuard<'_, Option<AuditHead>>) -> Result<AuditHead> {
        match **held {
            Some(head) => Ok(head),
            None => {
                let head = self.inner.kv.audit(None, 0).await?.head;
                **held = Some(head);
                Ok(head)
            }
        }
    }

    fn seal_all(&self, items: &[Item]) -> Result<Vec<Option<Vec<u8>>>> {
        let seal = |item: &Item| match &item.body {
            Some(body) if item.sealed => self.inner.sealer.seal(item.kind, &item.id, body).map(Some),
            body => Ok(body.as_ref().map(|body| body.to_vec())),
        };
        items.iter().map(seal).collect()
    }

    /// What to write and what to tell, from the records as they are now.
    async fn plan(&self, change: &Change, sealed: &[Option<Vec<u8>>]) -> Result<Planned> {
        let found = self.read_befores(change).await?;
        let (mut writes, mut facts) = (Vec::new(), Vec::new());
        let at_ms = self.now_ms();
        let author = &change.author;
        let mut tell = |kind: &str, target_id: &str, before: Option<Value>, after: Option<Value>| {
            facts.push(Fact {
                at_ms,
                actor: author.actor.clone(),
                address: author.address.clone(),
                action: author.action.clone(),
                kind: kind.to_owned(),
                target_id: target_id.to_owned(),
                before,
                after,
            });
        };
        for (index, item) in change.items.iter().enumerate() {
            let (expect, before) = match found.get(&index) {
                None => (item.expect, known(item)),
                Some(document) => (pin(item, document.as_ref())?, self.view(item, document.as_ref())?),
            };
            if item.body.is_none() && item.expect == Expect::Any && expect == Expect::Absent {
                continue;
            }
            if item.audited {
                tell(item.kind, &item.id, before, item.after.clone());
            }
            let put = sealed[index].clone().map(|body| Put { body, indexes: item.indexes.clone() });
            writes.push(Write { kind: item.kind.to_owned(), id: item.id.clone(), expect, put });
        }
        for note in &change.notes {
            tell(&note.kind, &note.target_id, note.before.clone(), note.after.clone());
        }
        Ok(Planned { writes, facts })
    }

    /// The documents whose before-image is needed, by the item's place.
    async fn read_befores(&self, change: &Change) -> Result<BTreeMap<usize, Option<Document>>> {
        let mut wanted: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, item) in change.items.iter().enumerate() {
            let needed = matches!(item.before, Before::Unknown)
                && (item.audited || (item.body.is_none() && item.expect == Expect::Any));
            if needed {
                wanted.entry(item.kind).or_default().push(index);
            }
        }
        let mut found = BTreeMap::new();
        for (kind, places) in wanted {
            let ids: Vec<_> = places.iter().map(|place| change.items[*place].id.clone()).collect();
            let documents = self.inner.kv.get(kind, &ids).await?;
            self.learn_keys(&documents).await?;
            found.extend(places.into_iter().zip(documents));
        }
        Ok(found)
    }

    fn view(&self, item: &Item, document: Option<&Document>) -> Result<Option<Value>> {
        let Some(document) = document.filter(|_| item.audited) else { return Ok(None) };
        let body = self.open(item.kind, item.sealed, document)?;
        (item.view)(&item.id, &body).map(Some)
    }
}

/// What one try writes and tells.
struct Planned {
    writes: Vec<Write>,
    facts: Vec<Fact>,
}

/// The expectation that makes the before-image true.
fn pin(item: &Item, document: Option<&Document>) -> Result<Expect> {
    match (item.expect, document) {
        (Expect::Any, None) => Ok(Expect::Absent),
        (Expect::Any, Some(document)) => Ok(Expect::Version(document.version)),
        (Expect::Version(wanted), found) if found.is_none_or(|document| document.version != wanted) => {
            Err(conflict(item, found.map_or(0, |document| document.version)))
        }
        (expect, _) => Ok(expect),
    }
}

fn known(item: &Item) -> Option<Value> {
    match &item.before {
        Before::Known(value) => value.clone(),
        Before::Unknown => None,
    }
}

fn position(change: &Change, write: &Write) -> usize {
    let same = |item: &Item| item.kind == write.kind && item.id == write.id;
    change.items.iter().position(same).unwrap_or_else(|| unreachable!("every write comes from an item"))
}

fn conflict(item: &Item, found: u64) -> Error {
    let expected = match item.expect {
        Expect::Absent => "none".to_owned(),
        Expect::Version(version) => version.to_string(),
        Expect::Any => "any".to_owned(),
    };
    Error::Conflict { kind: item.kind.to_owned(), id: item.id.clone(), expected, found }
}
