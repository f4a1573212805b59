//! Which account serves a request: filter, rank, stickiness, health, slots.
//!
//! It reads snapshot fields and its own table, never a platform's name, and it opens no connection. The relay's
//! `choose` step asks it, `settle` tells it what the upstream's answer said of the account.

mod ask;
mod bindings;
mod choose;
mod filter;
mod health;
mod rank;
mod standing;

use std::sync::Arc;

use proto::rules::verdict::Verdict;
use snapshot::Account;
use tokio::sync::Notify;

pub use ask::{Ask, Choice, Considered, How, NoAccount, Reason, Unchosen};
pub use bindings::{Bindings, Bound};
pub use health::Event;
pub use standing::Slot;

/// Health and load of all accounts as this node sees them, and the sessions' bindings that it knows.
#[derive(Debug, Default)]
pub struct Scheduler {
    table: standing::Table,
    rotation: rank::Rotation,
    bindings: Bindings,
    freed: Arc<Notify>,
}

impl Scheduler {
    /// A scheduler that knows nothing yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Chooses an account and takes a slot on it.
    ///
    /// # Errors
    /// [`Unchosen::BoundBusy`] only when the asker is patient; [`Unchosen::NoAccount`] with the reasons.
    pub fn choose(&self, ask: &Ask<'_>) -> Result<Choice, Unchosen> {
        choose::choose(self, ask)
    }

    /// Takes note of what an answer said of an account, at once; what the control plane should be told, if anything
    /// changed.
    pub fn judge(&self, account: &Account, verdict: &Verdict, now_ms: i64) -> Option<Event> {
        self.table.standing(&account.id).health.lock().judge(account, verdict, now_ms)
    }

    /// Requests in flight at an account from this node.
    pub fn in_flight(&self, account: &Account) -> u32 {
        self.table.standing(&account.id).in_flight()
    }

    /// Why an account cannot be chosen now for whatever model, if it cannot: its state as this node sees it.
    pub fn state(&self, account: &Account, now_ms: i64) -> Option<Reason> {
        filter::standing(account, &self.table.standing(&account.id), now_ms).map(|(reason, _)| reason)
    }

    /// The sessions' bindings that this node knows.
    pub fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// Raised whenever a slot of an account with a cap is given back.
    pub fn freed(&self) -> &Notify {
        &self.freed
    }

    /// Forgets accounts that are gone. For the config pump, after a change.
    pub fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.table.retain(exists);
    }
}
