//! Requests that owe nothing: turned away before their key was known, or answered without an upstream. They are counted
//! and logged, no more.

use super::record;
use crate::{
    access_log::Entry,
    metrics::{Outcome, Reason},
    relay::{
        error::Refusal,
        node::{Asked, Worker},
    },
};

/// A request that is turned away before its key is known.
pub fn turned_away(worker: &Worker, asked: &Asked, refusal: &Refusal) {
    let reason = refusal.reason.unwrap_or(Reason::Malformed);
    worker.node.metrics.refused(reason);
    let elapsed = asked.started.elapsed();
    worker.node.metrics.request_seconds.observe(elapsed.as_secs_f64());
    worker.log.write(&Entry {
        status: refusal.status.as_u16(),
        outcome: Outcome::Refused.as_str(),
        reason: reason.as_str(),
        total_us: record::micros(elapsed) as u64,
        ..entry(asked)
    });
}

/// A request that was answered without an upstream.
pub fn answered(worker: &Worker, asked: &Asked, status: http::StatusCode) {
    worker.log.write(&Entry {
        status: status.as_u16(),
        outcome: Outcome::Ok.as_str(),
        total_us: record::micros(asked.started.elapsed()) as u64,
        ..entry(asked)
    });
}

pub(super) fn entry(asked: &Asked) -> Entry<'_> {
    Entry {
        at_ms: asked.started_us / 1000,
        request_id: &asked.id,
        client: Some(asked.address),
        method: asked.head.method.as_str(),
        path: asked.head.uri.path(),
        ..Entry::default()
    }
}
