//! Removes what has an end and has reached it: sessions, tokens, sign-ins that nobody ended, notes of request ids, usage
//! windows long over.

use std::time::Duration;

use async_trait::async_trait;
use domain::{AccountWindows, BindingDrop, IdempotencyKey, JoinToken, OauthSession, Session, Token};

use crate::driver::{Job, Turn};

pub struct SweepEnded;

#[async_trait]
impl Job for SweepEnded {
    fn name(&self) -> &'static str {
        "sweep_ended"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(600)
    }

    async fn run(&self, turn: &Turn) -> anyhow::Result<u64> {
        let sessions = turn.store.sweep::<Session>(turn.now_ms).await?;
        let tokens = turn.store.sweep::<Token>(turn.now_ms).await?;
        let joins = turn.store.sweep::<JoinToken>(turn.now_ms).await?;
        let windows = turn.store.sweep::<AccountWindows>(turn.now_ms).await?;
        let drops = turn.store.sweep::<BindingDrop>(turn.now_ms).await?;
        let asked = turn.store.sweep::<OauthSession>(turn.now_ms).await?;
        Ok(sessions
            + asked
            + tokens
            + joins
            + windows
            + drops
            + turn.store.sweep::<IdempotencyKey>(turn.now_ms).await?)
    }
}
