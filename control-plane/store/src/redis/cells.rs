//! Cells on Redis: read, computed here, and written only where still as read. One definition of the computation serves
//! both backends, where a script would be a second one to keep equal.
//!
//! A cell is kept as `<when it was written>:<life of the server that wrote it>:<bytes>`.

use std::time::Duration;

use redis::Value;

use super::{Redis, counters, replies::Reply, scripts};
use crate::{
    error::{Error, Result},
    kv::{Moment, Next, Step},
};

/// Tries before writers that get in each other's way give up. Each failed try is another writer's success.
const TRIES: usize = 64;

/// What a cell holds, and when and where it was read.
struct Looked {
    held: Option<Vec<u8>>,
    now_ms: i64,
    life: String,
}

/// Runs a step over a cell.
pub(super) async fn update(redis: &Redis, cell: &str, step: &Step) -> Result<()> {
    // Within a process writers of a cell take turns, so that only other replicas can get in the way.
    let turn = redis.turn(cell);
    let _turn = turn.lock().await;
    let keys = [redis.layout.cell(cell)];
    let reply = redis.link.script(redis.link.hot, &scripts::CELL_READ, &keys, &[]).await?;
    let mut looked = looked(cell, reply)?;
    for attempt in 0..TRIES {
        let (next, now_ms) = run(cell, &looked, step)?;
        let (verb, value) = match next {
            Next::Keep => return Ok(()),
            Next::Remove => (b"remove".to_vec(), Vec::new()),
            Next::Put(bytes) => {
                let mut value = format!("{now_ms}:{}:", looked.life).into_bytes();
                value.extend_from_slice(&bytes);
                (b"put".to_vec(), value)
            }
        };
        let creates = looked.held.is_none() && verb == b"put";
        if creates {
            // Named before it is: a name without its cell is harmless, a cell without its name would be lost.
            let mut command = redis::cmd("ZADD");
            redis.link.write(redis.link.hot, command.arg(redis.layout.cells()).arg(0).arg(cell)).await?;
        }
        let was_there = if looked.held.is_some() { "1" } else { "0" };
        let arguments =
            [was_there.as_bytes().to_vec(), looked.held.take().unwrap_or_default(), verb.clone(), value];
        match redis.link.script(redis.link.hot, &scripts::CELL_SWAP, &keys, &arguments).await? {
            Value::Int(_) => {
                if verb == b"remove" {
                    let mut command = redis::cmd("ZREM");
                    redis.link.write(redis.link.hot, command.arg(redis.layout.cells()).arg(cell)).await?;
                }
                return Ok(());
            }
            reply => looked = self::looked(cell, reply)?,
        }
        if attempt > 2 {
            tokio::time::sleep(pause(attempt)).await;
        }
    }
    Err(Error::Contended { what: format!("cell {cell}") })
}

/// Names of cells in order.
pub(super) async fn names(
    redis: &Redis,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>> {
    counters::names(redis, &redis.layout.cells(), prefix, after, limit).await
}

fn run(cell: &str, looked: &Looked, step: &Step) -> Result<(Next, i64)> {
    let Some(held) = &looked.held else {
        return Ok((step(None, Moment { now_ms: looked.now_ms, doubtful: false }), looked.now_ms));
    };
    let (written_at, life, bytes) =
        split(held).ok_or_else(|| Error::corrupt(format!("cell {cell}"), "it has no head"))?;
    let now_ms = looked.now_ms.max(written_at);
    Ok((step(Some(bytes), Moment { now_ms, doubtful: life != looked.life }), now_ms))
}

fn split(held: &[u8]) -> Option<(i64, &str, &[u8])> {
    let mut parts = held.splitn(3, |byte| *byte == b':');
    let written_at = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let life = std::str::from_utf8(parts.next()?).ok()?;
    Some((written_at, life, parts.next()?))
}

fn looked(cell: &str, reply: Value) -> Result<Looked> {
    let mut reply = Reply::list("cell", reply)?;
    let held = reply.take()?;
    let (seconds, micros): (i64, i64) = (reply.take()?, reply.take()?);
    let life: Option<String> = reply.take()?;
    let life = life.ok_or_else(|| Error::corrupt(format!("cell {cell}"), "the server tells no run_id"))?;
    Ok(Looked { held, now_ms: seconds * 1000 + micros / 1000, life })
}

/// A wait of random length, so that replicas fall out of step.
fn pause(attempt: usize) -> Duration {
    let mut random = [0];
    // Without randomness they fall out of step by themselves, only later.
    let _ = getrandom::fill(&mut random);
    Duration::from_micros(u64::from(random[0]) * 8 * attempt.min(8) as u64)
}
