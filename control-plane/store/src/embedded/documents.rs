//! Documents of the embedded store: all checks of a batch come before its first write.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use redb::{ReadTransaction, ReadableTable, Table, WriteTransaction};

use super::{
    feed::{self, set_number},
    tables as t,
    writer::Ran,
};
use crate::{
    error::{Error, Result},
    kv::{Batch, Committed, Document, Expect, Write},
};

type Documents<'t> = Table<'t, (&'static str, &'static str), (u64, &'static [u8])>;
type Index<'t> = Table<'t, (&'static str, &'static str, &'static str), &'static str>;
type Indexed<'t> = Table<'t, (&'static str, &'static str), &'static [u8]>;
type Values = Vec<(String, String)>;

/// Writes a batch, or says why not.
pub(super) fn commit(
    transaction: &WriteTransaction,
    batch: &Batch,
    incarnation: &Arc<str>,
    now_ms: i64,
) -> Result<Ran<Committed>> {
    let mut meta = transaction.open_table(t::META)?;
    let leaders = transaction.open_table(t::LEADERS)?;
    for fence in &batch.fences {
        let holds = leaders.get(fence.role.as_str())?.is_some_and(|leader| {
            let (ends_at, number, _) = leader.value();
            number == fence.number && ends_at > now_ms
        });
        if !holds {
            return Ok(Ran::looked(Committed::Fenced { role: fence.role.clone() }));
        }
    }
    if let Some(audit) = &batch.audit {
        let head = feed::place(&meta, t::AUDIT_HEAD)?;
        if head != audit.after {
            return Ok(Ran::looked(Committed::AuditMoved { head }));
        }
    }
    let mut documents = transaction.open_table(t::DOCUMENTS)?;
    let mut index = transaction.open_table(t::INDEX)?;
    let mut indexed = transaction.open_table(t::INDEXED)?;
    if let Some(refused) = check(&documents, &index, &indexed, &batch.writes)? {
        return Ok(Ran::looked(refused));
    }
    let mut number = feed::number(&meta, t::HEAD)?;
    if !batch.writes.is_empty() {
        number += 1;
        set_number(&mut meta, t::HEAD, number)?;
        // All old index values go before any new one comes: one may pass from one document to another.
        for write in &batch.writes {
            drop_indexes(&mut index, &mut indexed, write)?;
        }
        for write in &batch.writes {
            put(&mut documents, &mut index, &mut indexed, write, number)?;
        }
        feed::push(transaction, &mut meta, &batch.writes, number)?;
    }
    if let Some(audit) = &batch.audit {
        feed::append_audit(transaction, &mut meta, audit)?;
    }
    Ok(Ran::wrote(Committed::Done { number, incarnation: Arc::clone(incarnation) }))
}

fn check(
    documents: &Documents<'_>,
    index: &Index<'_>,
    indexed: &Indexed<'_>,
    writes: &[Write],
) -> Result<Option<Committed>> {
    let mut freed = BTreeSet::new();
    for (position, write) in writes.iter().enumerate() {
        let key = (write.kind.as_str(), write.id.as_str());
        let found = documents.get(key)?.map_or(0, |document| document.value().0);
        let agrees = match write.expect {
            Expect::Absent => found == 0,
            Expect::Version(version) => found == version && found != 0,
            Expect::Any => true,
        };
        if !agrees {
            return Ok(Some(Committed::Conflict { position, found }));
        }
        for (name, value) in values(indexed, write)? {
            freed.insert((write.kind.as_str(), name, value));
        }
    }
    let mut taken = BTreeMap::new();
    for (position, write) in writes.iter().enumerate() {
        for (name, value) in write.put.iter().flat_map(|put| &put.indexes) {
            let key = (write.kind.as_str(), name.clone(), value.clone());
            let holder = match taken.insert(key.clone(), &write.id) {
                Some(other) if *other != write.id => Some(other.clone()),
                _ if freed.contains(&key) => None,
                _ => index.get((key.0, name.as_str(), value.as_str()))?.map(|id| id.value().to_owned()),
            };
            if let Some(holder) = holder {
                return Ok(Some(Committed::Duplicate { position, index: name.clone(), holder }));
            }
        }
    }
    Ok(None)
}

/// What a write's document has in indexes before it.
fn values(indexed: &Indexed<'_>, write: &Write) -> Result<Values> {
    match indexed.get((write.kind.as_str(), write.id.as_str()))? {
        None => Ok(Values::new()),
        Some(json) => serde_json::from_slice(json.value())
            .map_err(|why| Error::corrupt(format!("index values of {}/{}", write.kind, write.id), why)),
    }
}

fn drop_indexes(index: &mut Index<'_>, indexed: &mut Indexed<'_>, write: &Write) -> Result<()> {
    for (name, value) in values(indexed, write)? {
        index.remove((write.kind.as_str(), name.as_str(), value.as_str()))?;
    }
    indexed.remove((write.kind.as_str(), write.id.as_str()))?;
    Ok(())
}

fn put(
    documents: &mut Documents<'_>,
    index: &mut Index<'_>,
    indexed: &mut Indexed<'_>,
    write: &Write,
    number: u64,
) -> Result<()> {
    let key = (write.kind.as_str(), write.id.as_str());
    let Some(put) = &write.put else {
        documents.remove(key)?;
        return Ok(());
    };
    documents.insert(key, (number, put.body.as_slice()))?;
    for (name, value) in &put.indexes {
        index.insert((key.0, name.as_str(), value.as_str()), key.1)?;
    }
    if !put.indexes.is_empty() {
        let json = serde_json::to_vec(&put.indexes).map_err(|why| Error::corrupt("index values", why))?;
        indexed.insert(key, json.as_slice())?;
    }
    Ok(())
}

/// Documents by id, in the order asked for.
pub(super) fn get(
    transaction: &ReadTransaction,
    kind: &str,
    ids: &[String],
) -> Result<Vec<Option<Document>>> {
    let documents = transaction.open_table(t::DOCUMENTS)?;
    ids.iter().map(|id| one(&documents, kind, id)).collect()
}

/// The document that holds a value of an index.
pub(super) fn find(
    transaction: &ReadTransaction,
    kind: &str,
    index: &str,
    value: &str,
) -> Result<Option<Document>> {
    let holder = transaction.open_table(t::INDEX)?.get((kind, index, value))?;
    match holder {
        None => Ok(None),
        Some(id) => one(&transaction.open_table(t::DOCUMENTS)?, kind, id.value()),
    }
}

/// Documents of a kind in order.
pub(super) fn scan(
    transaction: &ReadTransaction,
    kind: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Document>> {
    let documents = transaction.open_table(t::DOCUMENTS)?;
    let mut found = Vec::new();
    for entry in documents.range((kind, after.unwrap_or(""))..)? {
        let (key, value) = entry?;
        let (of, id) = key.value();
        if of != kind || found.len() >= limit {
            break;
        }
        if Some(id) != after {
            let (version, body) = value.value();
            found.push(Document { id: id.to_owned(), version, body: body.to_vec() });
        }
    }
    Ok(found)
}

fn one(
    documents: &impl ReadableTable<(&'static str, &'static str), (u64, &'static [u8])>,
    kind: &str,
    id: &str,
) -> Result<Option<Document>> {
    let document = documents.get((kind, id))?.map(|found| {
        let (version, body) = found.value();
        Document { id: id.to_owned(), version, body: body.to_vec() }
    });
    Ok(document)
}
