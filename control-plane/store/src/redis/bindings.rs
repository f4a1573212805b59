//! Bindings on Redis: each a string that expires by itself, on a shelf (one hash tag) with the names and the ends of all
//! that lie there, so that they can be listed. What is on a shelf changes in one step.

use redis::Value;

use super::{
    Redis, counters,
    replies::{Reply, read},
    scripts,
};
use crate::{
    error::Result,
    kv::{Bound, Candidate, Listed, Trimmed},
    layout::ShelfKeys,
};

/// Names cleared away by one call.
const PIECE: usize = 1000;

/// Gets, renews or sets a binding.
pub(super) async fn bind(redis: &Redis, key: &str, candidate: Candidate) -> Result<Bound> {
    let ShelfKeys { names, ends } = redis.layout.shelf(key);
    let keys = [redis.layout.binding(key), names, ends];
    let Candidate { account, replaces, ttl_ms, renew_below_ms } = candidate;
    let arguments =
        [account, replaces, ttl_ms.max(1).to_string(), renew_below_ms.to_string(), key.to_owned()];
    let arguments = arguments.map(String::into_bytes);
    let reply = redis.link.script(redis.link.hot, &scripts::BIND, &keys, &arguments).await?;
    let mut reply = Reply::list("bind", reply)?;
    let (account, ttl_ms) = (reply.take()?, reply.take()?);
    Ok(Bound { account, ttl_ms, existed: reply.take::<i64>()? == 1 })
}

/// Forgets a binding; whether it stood.
pub(super) async fn unbind(redis: &Redis, key: &str) -> Result<bool> {
    let ShelfKeys { names, ends } = redis.layout.shelf(key);
    let (keys, arguments) = ([redis.layout.binding(key), names, ends], [key.as_bytes().to_vec()]);
    let reply = redis.link.script(redis.link.hot, &scripts::UNBIND, &keys, &arguments).await?;
    Ok(read::<i64>("unbind", reply)? == 1)
}

/// Bindings by name, those that live.
pub(super) async fn list(redis: &Redis, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listed> {
    let names = counters::names(redis, &redis.layout.shelf(prefix).names, prefix, after, limit).await?;
    let next = names.last().filter(|_| names.len() >= limit).cloned();
    if names.is_empty() {
        return Ok(Listed::default());
    }
    let keys: Vec<String> = names.iter().map(|name| redis.layout.binding(name)).collect();
    let reply = redis.link.script(redis.link.cold, &scripts::BINDINGS, &keys, &[]).await?;
    let mut reply = Reply::list("bindings", reply)?;
    let mut bindings = Vec::new();
    for name in names {
        let (account, ttl_ms): (String, i64) = (reply.take()?, reply.take()?);
        if ttl_ms > 0 {
            bindings.push((name, account, ttl_ms));
        }
    }
    Ok(Listed { bindings, next })
}

/// Clears the names of ended bindings away, a piece of each shelf.
pub(super) async fn trim(redis: &Redis, now_ms: i64) -> Result<Trimmed> {
    let mut trimmed = Trimmed::default();
    for shelf in redis.layout.shelves() {
        let mut command = redis::cmd("ZRANGE");
        command.arg(&shelf.ends).arg("-inf").arg(now_ms).arg("BYSCORE").arg("LIMIT").arg(0).arg(PIECE);
        let names: Vec<String> = match redis.link.read(redis.link.cold, &command).await? {
            Value::Nil => Vec::new(),
            value => read("ends of bindings", value)?,
        };
        if names.is_empty() {
            continue;
        }
        trimmed.more |= names.len() >= PIECE;
        let mut keys = vec![shelf.names, shelf.ends];
        keys.extend(names.iter().map(|name| redis.layout.binding(name)));
        let arguments: Vec<_> = names.into_iter().map(String::into_bytes).collect();
        let reply = redis.link.script(redis.link.cold, &scripts::BINDING_TRIM, &keys, &arguments).await?;
        trimmed.removed += read::<u64>("trim of bindings", reply)?;
    }
    Ok(trimmed)
}
