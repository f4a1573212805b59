//! How an account stands with the scheduler, and the switches that people have for it.

use domain::{Account, AccountWindows};
use proto::{admin, rules::upstream_window::Window, types};
use store::Expect;
use tonic::{Code, Status};

use super::Accounts;
use crate::{convert, guard::Caller};

/// Times that a reset is tried while nodes tell of the same account.
const TRIES: usize = 8;

impl Accounts {
    pub(super) async fn toggle(
        &self,
        caller: &Caller,
        asked: admin::ToggleSchedulableRequest,
    ) -> Result<types::Account, Status> {
        let held = self.held(&asked.platform, &asked.id).await?;
        let mut account = held.value.clone();
        account.schedulable = asked.schedulable.unwrap_or(!held.value.schedulable);
        if account.schedulable == held.value.schedulable {
            return self.shown(&held).await;
        }
        account.updated_at_ms = self.records.now_ms();
        let account = self.records.update(caller, &held, account).await?;
        self.shown(&account).await
    }

    /// Forgets what verdicts have said, or limits alone; on every node, since the state's generation rises.
    pub(super) async fn forget(
        &self,
        caller: &Caller,
        platform: &str,
        id: &str,
        limits_alone: bool,
    ) -> Result<types::Account, Status> {
        for _ in 0..TRIES {
            let held = self.held(platform, id).await?;
            let mut account = held.value.clone();
            let windows = self.records.view().get::<AccountWindows>(&held.value.id);
            let changed = match limits_alone {
                true => account.state.reset_limits(),
                false => {
                    account.state.reset();
                    true
                }
            };
            match (changed, &windows) {
                (true, _) => {}
                // Nodes forget the windows that they have seen by themselves.
                (false, Some(_)) => account.state.generation += 1,
                (false, None) => return self.shown(&held).await,
            }
            account.updated_at_ms = self.records.now_ms();
            let mut change = self.records.change(caller).update(&held, &account);
            if windows.is_some() {
                change = change.delete::<AccountWindows>(&account.id, Expect::Any);
            }
            match self.records.try_commit(change).await {
                Ok(()) => return self.shown(&self.records.get::<Account>(&account.id).await?).await,
                // A node told of the account meanwhile: what it said is forgotten too.
                Err(store::Error::Conflict { .. }) => {}
                Err(why) => return Err(convert::store(why)),
            }
        }
        Err(convert::refusal(Code::Aborted, "STALE", "the account changes too often; try again"))
    }

    pub(super) fn available(&self, account: &Account) -> admin::AccountAvailability {
        let windows = self.windows_of(&account.id);
        let obstacles = account.obstacles(&windows, self.records.now_ms());
        admin::AccountAvailability {
            account_id: account.id.clone(),
            available: obstacles.is_empty(),
            availability: account.availability.as_str().to_owned(),
            groups: self.groups_of(&account.id),
            obstacles,
            windows: windows.iter().map(Window::to_wire).collect(),
        }
    }
}
