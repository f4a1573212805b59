//! How each account stands on this node: requests in flight, and health. Slots are the obligation to give back.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use parking_lot::{Mutex, MutexGuard, RwLock};
use proto::rules::ids::AccountId;
use rustc_hash::FxHashMap;
use snapshot::Account;
use tokio::sync::Notify;

use crate::health::Health;

/// One account's standing.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    in_flight: AtomicU32,
    /// Where the rotation has it: see `rank`.
    pub(crate) finish: AtomicU64,
    pub(crate) health: Guarded,
}

/// Health behind a lock that is not taken while there is nothing to see.
#[derive(Debug)]
pub(crate) struct Guarded {
    health: Mutex<Health>,
    /// 0: look. Else one more than the state generation in which there was nothing to see.
    quiet: AtomicU64,
}

impl Default for Guarded {
    fn default() -> Self {
        Self { health: Mutex::default(), quiet: AtomicU64::new(1) }
    }
}

impl Guarded {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Health> {
        self.health.lock()
    }

    /// Changes it.
    pub(crate) fn change<T>(&self, account: &Account, change: impl FnOnce(&mut Health) -> T) -> T {
        let mut health = self.health.lock();
        let changed = change(&mut health);
        let quiet = if health.is_quiet() { account.state_generation.saturating_add(1) } else { 0 };
        self.quiet.store(quiet, Relaxed);
        changed
    }
}

impl Standing {
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Whether nothing was seen here that could keep the account from serving.
    pub(crate) fn is_quiet(&self, account: &Account) -> bool {
        // What was quiet before a reset by hand is quiet after it.
        (1..=account.state_generation.saturating_add(1)).contains(&self.health.quiet.load(Relaxed))
    }

    /// Whether a request more would be over the cap.
    pub(crate) fn is_busy(&self, cap: Option<u32>) -> bool {
        cap.is_some_and(|cap| self.in_flight() >= cap)
    }

    /// A slot, unless the cap was reached in the meantime.
    pub(crate) fn take(self: &Arc<Self>, cap: Option<u32>, freed: &Arc<Notify>) -> Option<Slot> {
        let within = |held: u32| cap.is_none_or(|cap| held < cap).then_some(held + 1);
        self.in_flight.fetch_update(Relaxed, Relaxed, within).ok()?;
        let freed = Arc::clone(freed);
        Some(Slot { standing: Arc::clone(self), freed, capped: cap.is_some(), probe: None })
    }
}

/// Standings by account. Entries come with the first look and go with their account.
#[derive(Debug)]
pub(crate) struct Table {
    standings: RwLock<FxHashMap<AccountId, Arc<Standing>>>,
    /// Tells this table's seats from another's: several schedulers may look at one snapshot.
    owner: u64,
}

impl Default for Table {
    fn default() -> Self {
        static OWNERS: AtomicU64 = AtomicU64::new(0);
        Self { standings: RwLock::default(), owner: OWNERS.fetch_add(1, Relaxed) }
    }
}

impl Table {
    /// By the account's seat.
    pub(crate) fn seated<'a>(&self, account: &'a Account) -> Stands<'a> {
        let sit = || Seated { owner: self.owner, standing: self.standing(&account.id) };
        match account.seat.get_or_put(sit) {
            Some(seated) if seated.owner == self.owner => Stands::Seated(&seated.standing),
            _ => Stands::Looked(self.standing(&account.id)),
        }
    }

    fn standing(&self, account: &AccountId) -> Arc<Standing> {
        if let Some(standing) = self.standings.read().get(account) {
            return Arc::clone(standing);
        }
        Arc::clone(self.standings.write().entry(account.clone()).or_default())
    }

    pub(crate) fn retain(&self, exists: impl Fn(&str) -> bool) {
        // A standing with requests in flight lives on in their slots, unlisted: its account is gone.
        self.standings.write().retain(|account, _| exists(account.as_str()));
    }
}

/// How an account stands with one scheduler, kept at the account's seat: found without a look-up and without counting
/// a reference.
struct Seated {
    owner: u64,
    standing: Arc<Standing>,
}

/// An account's standing, at its seat or looked up.
pub(crate) enum Stands<'a> {
    Seated(&'a Arc<Standing>),
    Looked(Arc<Standing>),
}

impl std::ops::Deref for Stands<'_> {
    type Target = Arc<Standing>;

    fn deref(&self) -> &Arc<Standing> {
        match self {
            Self::Seated(standing) => standing,
            Self::Looked(standing) => standing,
        }
    }
}

/// A place on an account, given back on drop.
#[must_use = "a slot is given back as soon as it is dropped"]
#[derive(Debug)]
pub struct Slot {
    standing: Arc<Standing>,
    freed: Arc<Notify>,
    capped: bool,
    /// When it was chosen to try the account, if it was.
    probe: Option<i64>,
}

impl Slot {
    /// The same, of a request that tries the account for the others; `None`: somebody else does.
    pub(crate) fn on_trial(mut self, account: &Account, now_ms: i64) -> Option<Self> {
        let health = &self.standing.health;
        health.change(account, |health| health.begin_probe(now_ms)).then_some(())?;
        self.probe = Some(now_ms);
        Some(self)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.standing.in_flight.fetch_sub(1, Relaxed);
        let probed = self.probe.is_some_and(|began| self.standing.health.lock().end_probe(began));
        if self.capped || probed {
            self.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_bounded_and_come_back() {
        let (table, freed) = (Table::default(), Arc::default());
        let standing = table.standing(&"a".into());
        let slots: Vec<_> = (0..3).map_while(|_| standing.take(Some(2), &freed)).collect();
        assert_eq!(slots.len(), 2);
        assert!(table.standing(&"a".into()).is_busy(Some(2)));
        table.retain(|_| false);
        drop(slots);
        assert_eq!(standing.in_flight(), 0);
        assert_eq!(table.standing(&"a".into()).in_flight(), 0);
    }
}
