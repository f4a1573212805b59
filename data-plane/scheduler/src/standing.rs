//! How each account stands on this node: requests in flight, and health. Slots are the obligation to give back.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use parking_lot::{Mutex, RwLock};
use proto::rules::ids::AccountId;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use crate::health::Health;

/// One account's standing.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    in_flight: AtomicU32,
    /// Where the rotation has it: see `rank`.
    pub(crate) finish: AtomicU64,
    pub(crate) health: Mutex<Health>,
}

impl Standing {
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Whether a request more would be over the cap.
    pub(crate) fn is_busy(&self, cap: Option<u32>) -> bool {
        cap.is_some_and(|cap| self.in_flight() >= cap)
    }

    /// A slot, unless the cap was reached in the meantime.
    pub(crate) fn take(self: &Arc<Self>, cap: Option<u32>, freed: &Arc<Notify>) -> Option<Slot> {
        let within = |held: u32| cap.is_none_or(|cap| held < cap).then_some(held + 1);
        self.in_flight.fetch_update(Relaxed, Relaxed, within).ok()?;
        Some(Slot { standing: Arc::clone(self), freed: cap.map(|_| Arc::clone(freed)) })
    }
}

/// Standings by account. Entries come with the first look and go with their account.
#[derive(Debug, Default)]
pub(crate) struct Table(RwLock<FxHashMap<AccountId, Arc<Standing>>>);

impl Table {
    pub(crate) fn standing(&self, account: &AccountId) -> Arc<Standing> {
        if let Some(standing) = self.0.read().get(account) {
            return Arc::clone(standing);
        }
        Arc::clone(self.0.write().entry(account.clone()).or_default())
    }

    pub(crate) fn retain(&self, exists: impl Fn(&str) -> bool) {
        // A standing with requests in flight lives on in their slots, unlisted: its account is gone.
        self.0.write().retain(|account, _| exists(account.as_str()));
    }
}

/// A place on an account, given back on drop.
#[must_use = "a slot is given back as soon as it is dropped"]
#[derive(Debug)]
pub struct Slot {
    standing: Arc<Standing>,
    freed: Option<Arc<Notify>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.standing.in_flight.fetch_sub(1, Relaxed);
        if let Some(freed) = &self.freed {
            freed.notify_waiters();
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
