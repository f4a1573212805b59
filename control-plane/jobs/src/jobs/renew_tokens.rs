//! Renews access tokens ahead of their end, so that no request ever meets one that has ended. Nodes get the new one with
//! the snapshot while the old one still works.

use std::time::Duration;

use async_trait::async_trait;
use domain::Account;

use crate::{
    driver::{Job, Turn},
    renewal::{self, Renewer},
};

/// Accounts looked at in one step.
const PAGE: usize = 500;
/// Accounts renewed at once.
const AT_ONCE: usize = 16;

pub struct RenewTokens {
    pub renewer: Renewer,
}

#[async_trait]
impl Job for RenewTokens {
    fn name(&self) -> &'static str {
        "renew_tokens"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(2)
    }

    async fn run(&self, turn: &Turn) -> anyhow::Result<u64> {
        let (mut after, mut renewed) = (None, 0);
        loop {
            let page = turn.store.scan::<Account>(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(renewed) };
            after = Some(last.value.id.clone());
            let now_ms = turn.store.now_ms();
            let due: Vec<_> = page.iter().filter(|held| renewal::is_due(&held.value, now_ms)).collect();
            for some in due.chunks(AT_ONCE) {
                let mut under_way = tokio::task::JoinSet::new();
                for held in some {
                    let (renewer, author) = (self.renewer.clone(), turn.author());
                    let (id, generation) = (held.value.id.clone(), held.value.tokens.generation);
                    under_way.spawn(async move { renewer.renew(&id, generation, false, &author).await });
                }
                while let Some(done) = under_way.join_next().await {
                    renewed += u64::from(matches!(done, Ok(Ok(_))));
                }
            }
        }
    }
}
