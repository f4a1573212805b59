//! Removes what retention no longer keeps: rows of statistics that have ended, request records, audit entries,
//! markers of spools that nobody will ship again, the feed's far past, bindings past their life.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use proto::rules::usage::PARTITIONS;
use store::Trim;

use super::{DAY_MS, History, settings};
use crate::driver::{Job, Turn};

/// Days after its last record that a spool's markers are kept: far longer than a node keeps what it has shipped.
const MARKER_DAYS: i64 = 60;
/// Revisions of the change feed that are kept: who is further behind reads everything anew.
const FEED: u64 = 100_000;

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
        removed += self.history.trim_before(before(kept.request_days)).await?;
        removed += turn.store.audit_trim(before(kept.audit_days)).await?;
        Ok(removed)
    }
}
