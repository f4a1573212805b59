//! Purges keys that have lain in the recycle bin for as long as the settings say.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::Key;
use store::Expect;

use super::{DAY_MS, History, settings};
use crate::driver::{Job, Turn};

/// Keys looked at in one step.
const PAGE: usize = 500;

pub struct PurgeBin {
    pub history: Arc<dyn History>,
}

#[async_trait]
impl Job for PurgeBin {
    fn name(&self) -> &'static str {
        "purge_bin"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self, turn: &Turn) -> anyhow::Result<u64> {
        let days = i64::from(settings(&turn.store).await?.retention.effective().bin_days);
        let before = turn.now_ms - days * DAY_MS;
        let (mut after, mut purged) = (None, 0);
        loop {
            let page = turn.store.scan::<Key>(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(purged) };
            after = Some(last.value.id.clone());
            for key in
                page.iter().filter(|key| key.value.deleted_at_ms.is_some_and(|binned| binned <= before))
            {
                // Restored meanwhile: the version says so, and the key stays.
                let delete = turn.change().delete::<Key>(&key.value.id, Expect::Version(key.version));
                match turn.store.commit(delete).await {
                    Ok(_) => purged += 1,
                    Err(store::Error::Conflict { .. }) => continue,
                    Err(error) => return Err(error.into()),
                }
                self.history.forget_key(&key.value.id).await?;
                for meter in turn.store.meters(&format!("{}/", key.value.id), None, PAGE).await? {
                    turn.store.forget_meter(&meter).await?;
                }
            }
        }
    }
}
