//! The jobs there are: one file each, one line each in [`all`].

mod forget_nodes;
mod purge_bin;
mod recover_accounts;
mod renew_tokens;
mod rotate_signing_keys;
mod sweep_ended;
mod trim_history;

use std::sync::Arc;

use async_trait::async_trait;
use store::Author;

use crate::{driver::Job, renewal::Renewer};

/// A day, milliseconds.
const DAY_MS: i64 = 86_400_000;

/// What the fleet lays out in the store, as far as jobs must clear it away.
#[async_trait]
pub trait History: Send + Sync + 'static {
    /// Removes request records from before a time (Unix milliseconds), and what lists them; how many.
    async fn trim_before(&self, before_ms: i64) -> store::Result<u64>;
    /// Forgets what a purged key left behind.
    async fn forget_key(&self, key_id: &str) -> store::Result<()>;
    /// Forgets nodes that have been silent since before a time (Unix milliseconds); how many.
    async fn forget_silent(&self, before_ms: i64, author: &Author) -> store::Result<u64>;
}

/// All jobs.
pub fn all(history: Arc<dyn History>, renewer: Renewer) -> Vec<Box<dyn Job>> {
    vec![
        Box::new(forget_nodes::ForgetNodes { history: history.clone() }),
        Box::new(purge_bin::PurgeBin { history: history.clone() }),
        Box::new(recover_accounts::RecoverAccounts),
        Box::new(renew_tokens::RenewTokens { renewer }),
        Box::new(rotate_signing_keys::RotateSigningKeys),
        Box::new(sweep_ended::SweepEnded),
        Box::new(trim_history::TrimHistory { history }),
    ]
}

/// The settings, or their defaults where nobody has set any.
async fn settings(store: &store::Store) -> store::Result<domain::Settings> {
    let kept = store.get::<domain::Settings>(domain::settings::ID).await?;
    Ok(kept.map(|settings| settings.value).unwrap_or_default())
}

#[cfg(test)]
mod tests;
