//! Puts a new key for access tokens first when the newest has signed for long enough.

use std::time::Duration;

use async_trait::async_trait;
use domain::{SigningKeys, signing};

use crate::driver::{Job, Turn};

pub struct RotateSigningKeys;

#[async_trait]
impl Job for RotateSigningKeys {
    fn name(&self) -> &'static str {
        "rotate_signing_keys"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(6 * 3600)
    }

    async fn run(&self, turn: &Turn) -> anyhow::Result<u64> {
        let Some(kept) = turn.store.get::<SigningKeys>(signing::ID).await? else { return Ok(0) };
        if !kept.value.is_due(turn.now_ms) {
            return Ok(0);
        }
        let mut keys = kept.value.clone();
        keys.rotate(turn.now_ms)?;
        turn.store.commit(turn.change().update(&kept, &keys)).await?;
        Ok(1)
    }
}
