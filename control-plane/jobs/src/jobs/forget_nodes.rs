//! Forgets nodes that have not been heard for a day.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{DAY_MS, History};
use crate::driver::{Job, Turn};

pub struct ForgetNodes {
    pub history: Arc<dyn History>,
}

#[async_trait]
impl Job for ForgetNodes {
    fn name(&self) -> &'static str {
        "forget_nodes"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self, turn: &Turn) -> anyhow::Result<u64> {
        Ok(self.history.forget_silent(turn.now_ms - DAY_MS, &turn.author()).await?)
    }
}
