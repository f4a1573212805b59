//! Retention on Redis: a bounded piece per call.

use redis::Value;

use super::{Redis, bindings, replies::read, scripts};
use crate::{
    error::Result,
    kv::{Trim, Trimmed},
    layout,
};

/// Things removed by one call: their names become arguments.
const PIECE: u64 = 1000;

/// Removes a piece of what retention no longer keeps.
pub(super) async fn trim(redis: &Redis, trim: &Trim) -> Result<Trimmed> {
    let layout = &redis.layout;
    let piece = PIECE.to_string();
    let (script, keys, arguments) = match trim {
        Trim::Rows { partition, now_ms } => return rows(redis, *partition, *now_ms).await,
        // They expire by themselves; their names do not.
        Trim::Bindings { now_ms } => return bindings::trim(redis, *now_ms).await,
        Trim::Markers { partition, before_ms } => {
            let keys = layout.partition(*partition);
            (&scripts::MARKER_TRIM, [keys.markers, keys.marked], vec![before_ms.to_string(), piece])
        }
        Trim::Log { partition, log, before_ms } => {
            let keys = [layout.log_positions(*partition, log), layout.log_bodies(*partition, log)];
            let end = format!("({}", layout::position(*before_ms, ""));
            (&scripts::LOG_TRIM, keys, vec!["before".into(), end, piece])
        }
        Trim::LogLength { partition, log, keep } => {
            let keys = [layout.log_positions(*partition, log), layout.log_bodies(*partition, log)];
            (&scripts::LOG_TRIM, keys, vec!["length".into(), keep.to_string(), piece])
        }
        Trim::Feed { keep } => (&scripts::FEED_TRIM, [layout.meta(), layout.feed()], vec![keep.to_string()]),
        Trim::Audit { anchor } => {
            let arguments = vec![anchor.sequence.to_string(), hex::encode(anchor.hash)];
            (&scripts::AUDIT_TRIM, [layout.meta(), layout.audit()], arguments)
        }
    };
    let arguments: Vec<_> = arguments.into_iter().map(String::into_bytes).collect();
    let removed: u64 = read("trim", redis.link.script(redis.link.cold, script, &keys, &arguments).await?)?;
    let whole = matches!(trim, Trim::Feed { .. } | Trim::Audit { .. });
    Ok(Trimmed { removed, more: !whole && removed >= PIECE })
}

async fn rows(redis: &Redis, partition: u32, now_ms: i64) -> Result<Trimmed> {
    let keys = redis.layout.partition(partition);
    let mut command = redis::cmd("ZRANGE");
    command.arg(&keys.expiries).arg("-inf").arg(now_ms).arg("BYSCORE").arg("LIMIT").arg(0).arg(PIECE);
    let names: Vec<String> = match redis.link.read(redis.link.cold, &command).await? {
        Value::Nil => Vec::new(),
        value => read("expiries", value)?,
    };
    if names.is_empty() {
        return Ok(Trimmed::default());
    }
    let mut with_rows = vec![keys.names, keys.expiries];
    with_rows.extend(names.iter().map(|name| redis.layout.row(partition, name)));
    let mut arguments = vec![now_ms.to_string().into_bytes()];
    let more = names.len() as u64 >= PIECE;
    arguments.extend(names.into_iter().map(String::into_bytes));
    let reply = redis.link.script(redis.link.cold, &scripts::ROW_TRIM, &with_rows, &arguments).await?;
    Ok(Trimmed { removed: read("trim", reply)?, more })
}
