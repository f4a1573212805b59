//! Counters and logs on Redis.

use std::collections::BTreeMap;

use super::{
    Redis,
    replies::{Reply, read},
    scripts,
};
use crate::{
    error::{Error, Result},
    kv::{Applied, Apply, LogEntry, LogItem, MarkerAt, Row, RowChange},
    layout::{self, PartitionKeys},
};
use proto::rules::usage::PARTITIONS;

/// Names or entries read by one call.
const PAGE: usize = 1000;

/// Counts at most once.
pub(super) async fn apply(redis: &Redis, apply: &Apply) -> Result<Applied> {
    let layout = &redis.layout;
    let PartitionKeys { markers, marked, names, expiries } = layout.partition(apply.partition);
    let mut keys = vec![markers, marked, names, expiries];
    let mut logs: BTreeMap<&str, Vec<&LogEntry>> = BTreeMap::new();
    for entry in &apply.entries {
        logs.entry(&entry.log).or_default().push(entry);
    }
    let mut arguments: Vec<Vec<u8>> = vec![apply.source.clone().into_bytes()];
    let mut text = |text: String| arguments.push(text.into_bytes());
    text(apply.previous.to_string());
    text(apply.last.to_string());
    text(apply.now_ms.to_string());
    text(apply.rows.len().to_string());
    text(logs.len().to_string());
    for (name, change) in &apply.rows {
        keys.push(layout.row(apply.partition, name));
        row_arguments(&mut arguments, name, change);
    }
    for (log, entries) in logs {
        keys.push(layout.log_positions(apply.partition, log));
        keys.push(layout.log_bodies(apply.partition, log));
        arguments.push(entries.len().to_string().into_bytes());
        for entry in entries {
            arguments.push(entry.id.clone().into_bytes());
            arguments.push(layout::time_of(entry.at_ms).into_bytes());
            arguments.push(entry.body.clone());
        }
    }
    let reply = redis.link.script(redis.link.cold, &scripts::APPLY, &keys, &arguments).await?;
    let mut reply = Reply::list("apply", reply)?;
    let (outcome, have): (String, u64) = (reply.take()?, reply.take()?);
    match outcome.as_str() {
        "done" => Ok(Applied::Done),
        "already" => Ok(Applied::Already { have }),
        "gap" => Ok(Applied::Gap { have }),
        other => Err(Error::corrupt("apply", format!("its outcome is {other}"))),
    }
}

fn row_arguments(arguments: &mut Vec<Vec<u8>>, name: &str, change: &RowChange) {
    let mut text = |text: String| arguments.push(text.into_bytes());
    text(name.to_owned());
    text(change.expires_at_ms.map(|at| at.to_string()).unwrap_or_default());
    text(change.add.len().to_string());
    text(change.raise.len().to_string());
    for (field, value) in change.add.iter().chain(&change.raise) {
        text(field.clone());
        text(value.to_string());
    }
}

/// Markers of sources in all partitions.
pub(super) async fn markers(redis: &Redis, sources: &[String]) -> Result<Vec<MarkerAt>> {
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    let key = |partition| redis.layout.partition(partition).markers;
    let commands: Vec<_> = (0..PARTITIONS)
        .map(|partition| redis::cmd("HMGET").arg(key(partition)).arg(sources).to_owned())
        .collect();
    let replies = redis.link.read_all(&commands).await?;
    let mut found = Vec::new();
    for (partition, reply) in (0..).zip(replies) {
        let applied: Vec<Option<u64>> = read("markers", reply)?;
        for (source, applied) in sources.iter().zip(applied) {
            found.extend(applied.map(|applied| MarkerAt { source: source.clone(), partition, applied }));
        }
    }
    found.sort_by(|a, b| (&a.source, a.partition).cmp(&(&b.source, b.partition)));
    Ok(found)
}

/// Rows in the order asked for.
pub(super) async fn rows(redis: &Redis, partition: u32, names: &[String]) -> Result<Vec<Row>> {
    let mut rows = Vec::with_capacity(names.len());
    for names in names.chunks(PAGE) {
        // A row has some twenty fields: a bounded read.
        let key = |name| redis.layout.row(partition, name);
        let commands: Vec<_> =
            names.iter().map(|name| redis::cmd("HGETALL").arg(key(name)).to_owned()).collect();
        for reply in redis.link.read_all(&commands).await? {
            rows.push(read("rows", reply)?);
        }
    }
    Ok(rows)
}

/// Members of a sorted set that begin with a prefix.
pub(super) async fn names(
    redis: &Redis,
    key: &str,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>> {
    let from = match after.filter(|after| *after >= prefix) {
        Some(after) => format!("({after}"),
        None => format!("[{prefix}"),
    };
    // No UTF-8 text has this byte, so this is behind all that begin with the prefix.
    let to = [b"(".as_slice(), prefix.as_bytes(), b"\xff"].concat();
    let mut command = redis::cmd("ZRANGE");
    command.arg(key).arg(from).arg(to).arg("BYLEX").arg("LIMIT").arg(0).arg(limit.min(100_000));
    read("names", redis.link.read(redis.link.cold, &command).await?)
}

/// Entries of a log before a position, newest first.
pub(super) async fn log_range(
    redis: &Redis,
    partition: u32,
    log: &str,
    before: Option<&str>,
    limit: usize,
) -> Result<Vec<LogItem>> {
    let keys = [redis.layout.log_positions(partition, log), redis.layout.log_bodies(partition, log)];
    let mut items: Vec<LogItem> = Vec::new();
    loop {
        let wanted = PAGE.min(limit - items.len());
        let last = items.last().map(|item| item.position.as_str()).or(before);
        let from = last.map_or_else(|| "+".to_owned(), |position| format!("({position}"));
        let arguments = [from, wanted.to_string()].map(String::into_bytes);
        let reply = redis.link.script(redis.link.cold, &scripts::LOG_RANGE, &keys, &arguments).await?;
        let mut reply = Reply::list("log", reply)?;
        let (positions, bodies): (Vec<String>, Vec<Option<Vec<u8>>>) = (reply.take()?, reply.take()?);
        let whole = positions.len() < wanted;
        for (position, body) in positions.into_iter().zip(bodies) {
            let item = layout::read_position(&position).zip(body).and_then(|((at_ms, id), body)| {
                Some(LogItem {
                    id: id.to_owned(),
                    at_ms,
                    body: body.get(14..)?.to_vec(),
                    position: position.clone(),
                })
            });
            items.push(item.ok_or_else(|| Error::corrupt(format!("log {log}"), "an entry is broken"))?);
        }
        if whole || items.len() >= limit {
            return Ok(items);
        }
    }
}

/// Bodies of log entries by id.
pub(super) async fn log_get(
    redis: &Redis,
    partition: u32,
    log: &str,
    ids: &[String],
) -> Result<Vec<Option<Vec<u8>>>> {
    let key = redis.layout.log_bodies(partition, log);
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(PAGE) {
        let reply = redis.link.read(redis.link.cold, redis::cmd("HMGET").arg(&key).arg(ids)).await?;
        let bodies: Vec<Option<Vec<u8>>> = read("log", reply)?;
        found.extend(
            bodies.into_iter().map(|body| body.map(|body| body.get(14..).unwrap_or_default().to_vec())),
        );
    }
    Ok(found)
}
