//! Says of accounts whose block has ended that they serve again. Nodes watch the end by themselves; this is for people,
//! lists and counts by state.

use std::time::Duration;

use async_trait::async_trait;
use domain::{
    Account,
    account::{State, Status},
};

use crate::driver::{Job, Turn};

/// Accounts looked at in one step.
const PAGE: usize = 500;

pub struct RecoverAccounts;

#[async_trait]
impl Job for RecoverAccounts {
    fn name(&self) -> &'static str {
        "recover_accounts"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn run(&self, turn: &Turn) -> anyhow::Result<u64> {
        let (mut after, mut recovered) = (None, 0);
        loop {
            let page = turn.store.scan::<Account>(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(recovered) };
            after = Some(last.value.id.clone());
            for held in &page {
                let mut account = held.value.clone();
                if !expire(&mut account.state, turn.now_ms) {
                    continue;
                }
                match turn.store.commit(turn.change().update(held, &account)).await {
                    Ok(_) => recovered += 1,
                    // Another verdict came meanwhile: it is looked at by the next run.
                    Err(store::Error::Conflict { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
}

/// Ends what has ended by itself; whether anything changed.
fn expire(state: &mut State, now_ms: i64) -> bool {
    let blocks = state.family_blocks.len();
    state.family_blocks.retain(|_, block| block.until_ms > now_ms);
    let mut changed = state.family_blocks.len() != blocks;
    if state.status != Status::Disabled && state.until_ms.is_some_and(|until| until <= now_ms) {
        state.status = Status::Active;
        state.until_ms = None;
        state.reason.clear();
        state.since_ms = now_ms;
        changed = true;
    }
    changed
}
