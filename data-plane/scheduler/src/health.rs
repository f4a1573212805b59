//! What this node has seen of an account's health since its state was last reset by hand. It acts at once on this
//! node; the control plane merges what all nodes report and tells it back through the snapshot.

use proto::{node::AccountEvent, rules::verdict::Verdict};
use smallvec::SmallVec;
use snapshot::Account;

/// Failures running, after which an account that is in no state is left alone for a while.
const FAILURES: u32 = 3;
/// How long after that many; doubles with each further one.
const COOL_DOWN_MS: i64 = 2_000;
/// At most so long.
const COOL_DOWN_MAX_MS: i64 = 60_000;

/// A change of health, to be told to the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The state from now on, in `AccountEvent`'s words.
    pub state: &'static str,
    /// Until when, Unix milliseconds; none: no end known.
    pub until_ms: Option<i64>,
    /// The model family it speaks of; none: the whole account.
    pub family: Option<String>,
    /// State generation in which it was seen.
    pub state_generation: u64,
}

impl Event {
    /// As it goes over the wire.
    pub fn into_wire(self, account_id: &str, at_ms: i64, status: u16, reason: String) -> AccountEvent {
        AccountEvent {
            account_id: account_id.to_owned(),
            at_ms,
            state: self.state.to_owned(),
            until_ms: self.until_ms.unwrap_or(0),
            family: self.family.unwrap_or_default(),
            status: i32::from(status),
            reason,
            state_generation: self.state_generation,
        }
    }
}

/// An account's health on this node.
#[derive(Debug, Default)]
pub(crate) struct Health {
    generation: u64,
    state: Option<(&'static str, Option<i64>)>,
    families: SmallVec<[(String, i64); 2]>,
    failures: u32,
    cooling_until_ms: i64,
}

impl Health {
    /// Forgets all that was seen before the state was reset by hand.
    fn heed_reset(&mut self, account: &Account) {
        if account.state_generation > self.generation {
            *self = Self { generation: account.state_generation, ..Self::default() };
        }
    }

    /// The state the account is in on this node, with its end; `None`: none that keeps it from serving.
    pub(crate) fn state(&mut self, account: &Account, now_ms: i64) -> Option<(&'static str, Option<i64>)> {
        self.heed_reset(account);
        self.state.filter(|(_, until)| until.is_none_or(|until| now_ms < until))
    }

    /// Until when it is left alone after failures running.
    pub(crate) fn cooling(&self, now_ms: i64) -> Option<i64> {
        Some(self.cooling_until_ms).filter(|until| now_ms < *until)
    }

    /// Until when a model family is blocked.
    pub(crate) fn family(&self, family: &str, now_ms: i64) -> Option<i64> {
        let block = self.families.iter().find(|(blocked, until)| blocked == family && now_ms < *until);
        block.map(|(_, until)| *until)
    }

    /// Takes note of a verdict; the event to report if something changed.
    pub(crate) fn judge(&mut self, account: &Account, verdict: &Verdict, now_ms: i64) -> Option<Event> {
        self.heed_reset(account);
        if verdict.is_recovery() {
            return self.recover(account, now_ms);
        }
        if let Some((family, until_ms)) = verdict.family_block() {
            return self.block(account, family, until_ms, now_ms);
        }
        if let Some((state, until_ms)) = verdict.account_state() {
            let news = self.state != Some((state, until_ms));
            self.state = Some((state, until_ms));
            return news.then(|| self.event(account, state, until_ms, None));
        }
        if matches!(verdict, Verdict::Unreachable { .. } | Verdict::Broken { .. }) {
            self.failures = self.failures.saturating_add(1);
            if let Some(more) = self.failures.checked_sub(FAILURES) {
                let pause = COOL_DOWN_MS.checked_shl(more.min(16)).unwrap_or(COOL_DOWN_MAX_MS);
                self.cooling_until_ms = now_ms + pause.min(COOL_DOWN_MAX_MS);
            }
        }
        None
    }

    fn recover(&mut self, account: &Account, now_ms: i64) -> Option<Event> {
        self.failures = 0;
        self.cooling_until_ms = 0;
        self.families.retain(|(_, until)| now_ms < *until);
        let was_in_state = self.state.take().is_some();
        // `disabled` is a person's word, and no success ends it.
        let stored = !matches!(account.status.as_str(), "active" | "disabled" | "");
        (was_in_state || stored).then(|| self.event(account, "active", None, None))
    }

    fn block(&mut self, account: &Account, family: &str, until_ms: i64, now_ms: i64) -> Option<Event> {
        let before = self.families.iter().position(|(blocked, _)| blocked == family);
        let known = before.is_some_and(|at| self.families[at].1 == until_ms);
        self.families.retain(|(blocked, until)| blocked != family && now_ms < *until);
        self.families.push((family.to_owned(), until_ms));
        (!known).then(|| self.event(account, "rate_limited", Some(until_ms), Some(family.to_owned())))
    }

    fn event(
        &self,
        account: &Account,
        state: &'static str,
        until_ms: Option<i64>,
        family: Option<String>,
    ) -> Event {
        Event { state, until_ms, family, state_generation: account.state_generation }
    }
}
