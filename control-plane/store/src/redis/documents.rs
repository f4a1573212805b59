//! Documents, feed and audit log on Redis.

use std::{collections::BTreeMap, sync::Arc};

use redis::Value;

use super::{
    Redis,
    replies::{Reply, read},
    scripts,
};
use crate::{
    error::{Error, Result},
    events::{FEED_KEEP, read_events, write_events},
    kv::{AuditHead, AuditPage, Batch, Committed, Document, Expect, Feed, Revision, Write},
    layout::KindKeys,
};

/// Documents read by one call: their ids become arguments.
const PAGE: usize = 1000;

/// Writes a batch.
pub(super) async fn commit(redis: &Redis, batch: &Batch) -> Result<Committed> {
    let layout = &redis.layout;
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut keys = vec![layout.meta(), layout.feed(), layout.audit()];
    for write in &batch.writes {
        let next = kinds.len() + 1;
        kinds.entry(&write.kind).or_insert_with(|| {
            let KindKeys { documents, ids, index, values } = layout.kind(&write.kind);
            keys.extend([documents, ids, index, values]);
            next
        });
    }
    keys.extend(batch.fences.iter().map(|fence| layout.leader(&fence.role)));
    let mut arguments = head(redis, batch, kinds.len())?;
    for write in &batch.writes {
        write_arguments(&mut arguments, kinds[write.kind.as_str()], write)?;
    }
    arguments.extend(batch.audit.iter().flat_map(|audit| audit.entries.iter().cloned()));
    let reply = redis.link.script(redis.link.cold, &scripts::COMMIT, &keys, &arguments).await?;
    let committed = committed(batch, Reply::list("commit", reply)?)?;
    if let Committed::Done { number, incarnation } = &committed {
        redis.state.saw(&Revision { incarnation: Arc::clone(incarnation), number: *number });
    }
    Ok(committed)
}

fn head(redis: &Redis, batch: &Batch, kinds: usize) -> Result<Vec<Vec<u8>>> {
    let mut arguments: Vec<Vec<u8>> = Vec::with_capacity(16 + batch.writes.len() * 8);
    let mut text = |text: String| arguments.push(text.into_bytes());
    text(fresh());
    text(kinds.to_string());
    text(batch.fences.len().to_string());
    text(batch.writes.len().to_string());
    text(write_events(&batch.writes)?);
    text(FEED_KEEP.to_string());
    text(redis.layout.changed());
    let audit = batch.audit.as_ref();
    let (after, head) = audit.map_or_else(Default::default, |audit| (audit.after, audit.head));
    text(audit.map_or(0, |audit| audit.entries.len()).to_string());
    text(after.sequence.to_string());
    text(hex::encode(after.hash));
    text(head.sequence.to_string());
    text(hex::encode(head.hash));
    for fence in &batch.fences {
        text(fence.number.to_string());
    }
    Ok(arguments)
}

fn write_arguments(arguments: &mut Vec<Vec<u8>>, kind: usize, write: &Write) -> Result<()> {
    let expect = match write.expect {
        Expect::Any => "*".to_owned(),
        Expect::Absent => "0".to_owned(),
        // No document has it.
        Expect::Version(0) => "none".to_owned(),
        Expect::Version(version) => version.to_string(),
    };
    let (verb, body) = match &write.put {
        Some(put) => ("put", put.body.clone()),
        None => ("delete", Vec::new()),
    };
    let indexes = write.put.iter().flat_map(|put| &put.indexes);
    let values: Vec<String> = indexes.map(|(index, value)| format!("{index}={value}")).collect();
    let json = serde_json::to_vec(&values).map_err(|why| Error::corrupt("index values", why))?;
    let mut bytes = |bytes: Vec<u8>| arguments.push(bytes);
    bytes(kind.to_string().into_bytes());
    bytes(write.id.clone().into_bytes());
    bytes(expect.into_bytes());
    bytes(verb.as_bytes().to_vec());
    bytes(body);
    bytes(json);
    bytes(values.len().to_string().into_bytes());
    values.into_iter().for_each(|value| bytes(value.into_bytes()));
    Ok(())
}

fn committed(batch: &Batch, mut reply: Reply) -> Result<Committed> {
    let outcome: String = reply.take()?;
    match outcome.as_str() {
        "done" => {
            let number = reply.take()?;
            Ok(Committed::Done { number, incarnation: reply.take::<String>()?.into() })
        }
        "conflict" => Ok(Committed::Conflict { position: reply.take()?, found: reply.take()? }),
        "duplicate" => {
            let (position, value) = (reply.take()?, reply.take::<String>()?);
            let index = value.split_once('=').map_or(value.as_str(), |(index, _)| index).to_owned();
            Ok(Committed::Duplicate { position, index, holder: reply.take()? })
        }
        "fenced" => {
            let place: usize = reply.take()?;
            let role = batch.fences.get(place).map(|fence| fence.role.clone()).unwrap_or_default();
            Ok(Committed::Fenced { role })
        }
        "audit" => Ok(Committed::AuditMoved { head: place(&mut reply)? }),
        other => Err(Error::corrupt("commit", format!("its outcome is {other}"))),
    }
}

/// A new incarnation, in case the script finds that it needs one.
pub(super) fn fresh() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn place(reply: &mut Reply) -> Result<AuditHead> {
    let (sequence, text): (u64, String) = (reply.take()?, reply.take()?);
    let mut hash = [0; 32];
    if !text.is_empty() {
        hex::decode_to_slice(text, &mut hash).map_err(|why| Error::corrupt("the audit log's head", why))?;
    }
    Ok(AuditHead { sequence, hash })
}

/// Documents by id.
pub(super) async fn get(redis: &Redis, kind: &str, ids: &[String]) -> Result<Vec<Option<Document>>> {
    let mut found = Vec::with_capacity(ids.len());
    let key = redis.layout.kind(kind).documents;
    for ids in ids.chunks(PAGE) {
        let value = redis.link.read(redis.link.cold, redis::cmd("HMGET").arg(&key).arg(ids)).await?;
        let bodies: Vec<Option<Vec<u8>>> = read("documents", value)?;
        for (id, body) in ids.iter().zip(bodies) {
            found.push(body.map(|body| document(kind, id, &body)).transpose()?);
        }
    }
    Ok(found)
}

/// The document that holds a value of an index.
pub(super) async fn find(redis: &Redis, kind: &str, index: &str, value: &str) -> Result<Option<Document>> {
    let keys = redis.layout.kind(kind);
    let keys = [keys.documents, keys.index];
    let arguments = [format!("{index}={value}").into_bytes()];
    match redis.link.script(redis.link.cold, &scripts::FIND, &keys, &arguments).await? {
        Value::Nil => Ok(None),
        reply => {
            let mut reply = Reply::list("find", reply)?;
            let id: String = reply.take()?;
            let body: Option<Vec<u8>> = reply.take()?;
            body.map(|body| document(kind, &id, &body)).transpose()
        }
    }
}

/// Documents of a kind in order.
pub(super) async fn scan(
    redis: &Redis,
    kind: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Document>> {
    let keys = redis.layout.kind(kind);
    let keys = [keys.documents, keys.ids];
    let mut found: Vec<Document> = Vec::new();
    loop {
        let wanted = PAGE.min(limit - found.len());
        let last = found.last().map(|document| document.id.as_str()).or(after);
        let from = last.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let arguments = [from.into_bytes(), wanted.to_string().into_bytes()];
        let reply = redis.link.script(redis.link.cold, &scripts::SCAN, &keys, &arguments).await?;
        let mut reply = Reply::list("scan", reply)?;
        let (ids, bodies): (Vec<String>, Vec<Option<Vec<u8>>>) = (reply.take()?, reply.take()?);
        let whole = ids.len() < wanted;
        for (id, body) in ids.into_iter().zip(bodies) {
            let body =
                body.ok_or_else(|| Error::corrupt(format!("{kind}/{id}"), "it is listed but missing"))?;
            found.push(document(kind, &id, &body)?);
        }
        if whole || found.len() >= limit {
            return Ok(found);
        }
    }
}

/// A document as it is stored: version, `:`, body.
fn document(kind: &str, id: &str, stored: &[u8]) -> Result<Document> {
    let split = stored.iter().position(|byte| *byte == b':').and_then(|colon| {
        let version = std::str::from_utf8(&stored[..colon]).ok()?.parse().ok()?;
        Some(Document { id: id.to_owned(), version, body: stored[colon + 1..].to_vec() })
    });
    split.ok_or_else(|| Error::corrupt(format!("{kind}/{id}"), "it has no version"))
}

/// A piece of the feed, with what else the script tells.
pub(super) struct Looked {
    pub(super) feed: Feed,
    pub(super) identity: String,
    pub(super) since_ms: i64,
    /// The server's clock, Unix microseconds.
    pub(super) time_us: i64,
}

/// Reads the feed after a number.
pub(super) async fn changes(redis: &Redis, after: u64, limit: usize) -> Result<Looked> {
    // Lua's numbers end here, and so do revisions.
    let after = after.min(1 << 53);
    let keys = [redis.layout.meta(), redis.layout.feed()];
    let arguments = [fresh(), after.to_string(), limit.clamp(1, PAGE).to_string()].map(String::into_bytes);
    let reply = redis.link.script(redis.link.cold, &scripts::CHANGES, &keys, &arguments).await?;
    let mut reply = Reply::list("changes", reply)?;
    let incarnation: Arc<str> = reply.take::<String>()?.into();
    let head = reply.take()?;
    let (identity, since_ms) = (reply.take()?, reply.take()?);
    let (seconds, micros): (i64, i64) = reply.take()?;
    let events = match reply.take_value() {
        Value::Nil => None,
        entries => Some(events(Reply::list("changes", entries)?)?),
    };
    let feed = Feed { incarnation, head, events };
    Ok(Looked { feed, identity, since_ms, time_us: seconds * 1_000_000 + micros })
}

fn events(mut entries: Reply) -> Result<Vec<crate::kv::Event>> {
    let mut events = Vec::new();
    while !entries.is_empty() {
        let (number, json) = stream_entry(&mut entries)?;
        events.extend(read_events(number, &json)?);
    }
    Ok(events)
}

/// An entry of a stream of ours: `<number>-0` with one field.
fn stream_entry(entries: &mut Reply) -> Result<(u64, Vec<u8>)> {
    let mut entry = entries.take_list()?;
    let id: String = entry.take()?;
    let mut fields = entry.take_list()?;
    let _: String = fields.take()?;
    let number = id.strip_suffix("-0").and_then(|number| number.parse().ok());
    Ok((number.ok_or_else(|| Error::corrupt("a stream", "an entry has no number"))?, fields.take()?))
}

/// A piece of the audit log.
pub(super) async fn audit(redis: &Redis, before: Option<u64>, limit: usize) -> Result<AuditPage> {
    let keys = [redis.layout.meta(), redis.layout.audit()];
    let from = match before {
        None => "+".to_owned(),
        Some(before) => format!("({before}-0"),
    };
    let arguments = [from, limit.to_string()].map(String::into_bytes);
    let reply = redis.link.script(redis.link.cold, &scripts::AUDIT, &keys, &arguments).await?;
    let mut reply = Reply::list("audit", reply)?;
    let (head, anchor) = (place(&mut reply)?, place(&mut reply)?);
    let (mut list, mut entries) = (reply.take_list()?, Vec::new());
    while !list.is_empty() {
        entries.push(stream_entry(&mut list)?);
    }
    Ok(AuditPage { entries, head, anchor })
}
