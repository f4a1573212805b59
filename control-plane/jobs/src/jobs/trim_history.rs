//! Removes what retention no longer keeps: rows of statistics that have ended, request records, audit entries,
//! markers of spools that nobody will ship again, the feed's far past, bindings past their life.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::Key;
use proto::rules::usage::PARTITIONS;
use store::{Store, Trim};

use super::{DAY_MS, History, settings};
use crate::driver::{Job, Turn};

/// Days after its last record that a spool's markers are kept: far longer than a node keeps what it has shipped.
const MARKER_DAYS: i64 = 60;
/// Revisions of the change feed that are kept: who is further behind reads everything anew.
const FEED: u64 = 100_000;
/// Keys read in one step.
const PAGE: usize = 1_000;

pub struct TrimHistory {
    pub history: Arc<dyn History>,
}

#[async_trait]
impl Job for TrimHistory {
    fn name(&self) -> &'static str {
        "trim_history"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(900)
    }

    async fn run(&self, turn: &Turn) -> anyhow::Result<u64> {
        let kept = settings(&turn.store).await?.retention.effective();
        let before = |days: u32| turn.now_ms - DAY_MS * i64::from(days);
        let mut removed = 0;
        for partition in 0..PARTITIONS {
            removed += turn.store.trim(Trim::Rows { partition, now_ms: turn.now_ms }).await?;
            let before_ms = turn.now_ms - MARKER_DAYS * DAY_MS;
            removed += turn.store.trim(Trim::Markers { partition, before_ms }).await?;
        }
        removed += turn.store.trim(Trim::Feed { keep: FEED }).await?;
        removed += turn.store.trim(Trim::Bindings { now_ms: turn.now_ms }).await?;
        let keys = key_ids(&turn.store).await?;
        removed += self.history.trim_before(&keys, before(kept.request_days)).await?;
        removed += turn.store.audit_trim(before(kept.audit_days)).await?;
        Ok(removed)
    }
}

async fn key_ids(store: &Store) -> store::Result<Vec<String>> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let page = store.scan::<Key>(ids.last().map(String::as_str), PAGE).await?;
        if page.is_empty() {
            return Ok(ids);
        }
        ids.extend(page.into_iter().map(|key| key.value.id));
    }
}
