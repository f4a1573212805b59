//! Which account serves a request: filter, rank, stickiness, health, slots.
//!
//! It reads snapshot fields and its own table, never a platform's name, and it opens no connection. The relay's
//! `choose` step asks it, `settle` tells it what the upstream's answer said of the account.

mod ask;
mod bindings;
mod choose;
mod filter;
mod health;
#[cfg(test)]
mod model;
mod rank;
mod standing;

use std::sync::Arc;

use proto::rules::{upstream_window::Window, verdict::Verdict};
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

    /// Takes note of what the answer to an attempt that began at a time said of an account, at once; what the control
    /// plane should be told, if anything changed. Times are Unix milliseconds.
    pub fn judge(&self, account: &Account, verdict: &Verdict, began_ms: i64, now_ms: i64) -> Option<Event> {
        let standing = self.table.seated(account);
        if verdict.is_recovery() && account.is_plain() && standing.is_quiet(account) {
            return None;
        }
        let (concluded, event) = standing.health.change(account, |health| {
            let was_on_trial = health.is_on_trial();
            let event = health.judge(account, verdict, began_ms, now_ms);
            (was_on_trial && !health.is_on_trial(), event)
        });
        if concluded {
            self.freed.notify_waiters();
        }
        event
    }

    /// Takes note of the usage windows that an answer told of; what the control plane should be told, if they changed.
    pub fn observe(&self, account: &Account, windows: Vec<Window>) -> Option<Event> {
        if windows.is_empty() {
            return None;
        }
        self.table.seated(account).health.change(account, |health| health.observe(account, windows))
    }

    /// Requests in flight at an account from this node.
    pub fn in_flight(&self, account: &Account) -> u32 {
        self.table.seated(account).in_flight()
    }

    /// Why an account cannot be chosen now for whatever model, if it cannot: its state as this node sees it.
    pub fn state(&self, account: &Account, now_ms: i64) -> Option<Reason> {
        filter::state(account, &self.table.seated(account), now_ms)
    }

    /// The sessions' bindings that this node knows.
    pub fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// Raised whenever a slot of an account with a cap is given back, and when it is known how an account fared that was
    /// on trial.
    pub fn freed(&self) -> &Notify {
        &self.freed
    }

    /// Forgets accounts that are gone. For the config pump, after a change.
    pub fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.table.retain(exists);
    }
}
