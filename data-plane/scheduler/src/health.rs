//! What this node has seen of an account's health since its state was last reset by hand. It acts at once on this
//! node; the control plane merges what all nodes report and tells it back through the snapshot.
//!
//! A state ends by itself at its time. Then one request tries the account and the others go elsewhere, until it is known
//! how that one fared: see [`Fitness`].

use proto::{
    node::AccountEvent,
    rules::{upstream_window::Window, verdict::Verdict},
};
use smallvec::SmallVec;
use snapshot::Account;

use crate::Reason;

/// Failures running, after which an account that is in no state is left alone for a while.
const FAILURES: u32 = 3;
/// How long after that many; doubles with each further one.
const COOL_DOWN_MS: i64 = 2_000;
/// At most so long.
const COOL_DOWN_MAX_MS: i64 = 60_000;
/// A probe that has not come to anything after so long keeps no other from trying.
const PROBE_MS: i64 = 30_000;

/// A change of health, to be told to the control plane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The state from now on, in `AccountEvent`'s words; empty: nothing is said of it.
    pub state: &'static str,
    /// Until when, Unix milliseconds; none: no end known.
    pub until_ms: Option<i64>,
    /// The model family it speaks of; none: the whole account.
    pub family: Option<String>,
    /// State generation in which it was seen.
    pub state_generation: u64,
    /// Usage windows that changed.
    pub windows: Vec<Window>,
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
            windows: self.windows.iter().map(Window::to_wire).collect(),
        }
    }
}

/// Whether an account may serve now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fitness {
    /// It may.
    Fit,
    /// A state of it has just ended: whoever takes it tries it for the others.
    Unproved,
    /// Somebody tries it just now: wait, or go elsewhere.
    OnTrial,
    /// It may not, with the time at which that ends by itself.
    Unfit(Reason, Option<i64>),
}

/// What an answer said of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    name: &'static str,
    until_ms: Option<i64>,
    since_ms: i64,
}

impl State {
    fn holds(&self, now_ms: i64) -> bool {
        self.until_ms.is_none_or(|until| now_ms < until)
    }
}

/// An account's health on this node.
#[derive(Debug, Default)]
pub(crate) struct Health {
    generation: u64,
    /// Stays after its end until a success has proved that it is over.
    state: Option<State>,
    families: SmallVec<[(String, i64); 2]>,
    failures: u32,
    cooling_until_ms: i64,
    /// When it last served.
    proved_ms: i64,
    /// When the request that tries it was chosen.
    probe_ms: Option<i64>,
    windows: SmallVec<[Window; 4]>,
}

impl Health {
    /// Whether nothing was seen that could keep the account from serving.
    pub(crate) fn is_quiet(&self) -> bool {
        self.state.is_none()
            && self.families.is_empty()
            && self.failures == 0
            && self.probe_ms.is_none()
            && self.windows.is_empty()
    }

    /// Whether somebody tries the account.
    pub(crate) fn is_on_trial(&self) -> bool {
        self.probe_ms.is_some()
    }

    /// Forgets all that was seen before the state was reset by hand.
    fn heed_reset(&mut self, account: &Account) {
        if account.state_generation > self.generation {
            *self = Self { generation: account.state_generation, ..Self::default() };
        }
    }

    /// Whether the account may serve a model family.
    pub(crate) fn fitness(&mut self, account: &Account, family: &str, now_ms: i64) -> Fitness {
        if let Some((reason, until)) = self.state(account, now_ms) {
            return Fitness::Unfit(reason, until);
        }
        if now_ms < self.cooling_until_ms {
            return Fitness::Unfit(Reason::CoolingDown, Some(self.cooling_until_ms));
        }
        let stored = account.family_blocks.get(family).copied();
        let own = self.families.iter().find(|(blocked, _)| blocked == family).map(|(_, until)| *until);
        if let Some(until) = stored.max(own).filter(|until| now_ms < *until) {
            return Fitness::Unfit(Reason::FamilyBlocked, Some(until));
        }
        if let Some(until) = self.used_up(account, family, now_ms) {
            return Fitness::Unfit(Reason::WindowUsedUp, Some(until));
        }
        match self.probe_ms {
            _ if !self.is_unproved(account, now_ms) => Fitness::Fit,
            Some(since) if now_ms - since < PROBE_MS => Fitness::OnTrial,
            _ => Fitness::Unproved,
        }
    }

    /// The state that keeps the account from serving anything, with its end.
    pub(crate) fn state(&mut self, account: &Account, now_ms: i64) -> Option<(Reason, Option<i64>)> {
        self.heed_reset(account);
        // Ours is the newer word until the snapshot brings it back.
        let own = self.state.filter(|state| state.holds(now_ms)).map(|state| (state.name, state.until_ms));
        let stored = stored(account).filter(|(_, until)| until.is_none_or(|until| now_ms < until));
        own.or(stored).map(|(name, until)| (by_name(name), until))
    }

    /// Whether it was in a state that has ended by time alone, and has not served since.
    fn is_unproved(&self, account: &Account, now_ms: i64) -> bool {
        let over = stored(account)
            .and_then(|(_, until)| until)
            .is_some_and(|until| until <= now_ms && self.proved_ms < until);
        self.failures >= FAILURES || self.state.is_some() || over
    }

    /// Until when a usage window keeps it from serving a family. Of what the control plane told and what was seen here,
    /// the newer holds.
    fn used_up(&self, account: &Account, family: &str, now_ms: i64) -> Option<i64> {
        let own = |name: &str| self.windows.iter().find(|window| window.name == name);
        let newer = |told: &&Window| own(&told.name).is_none_or(|own| own.seen_at_ms < told.seen_at_ms);
        let told = account.windows.iter().filter(newer);
        let current = |seen: &&Window| {
            !account.windows.iter().any(|told| told.name == seen.name && told.seen_at_ms > seen.seen_at_ms)
        };
        let seen = self.windows.iter().filter(current);
        told.chain(seen)
            .filter_map(|window| window.blocks(family, account.window_pause_percent, now_ms))
            .max()
    }

    /// Takes the place of the one that tries the account; `false`: somebody else has it.
    pub(crate) fn begin_probe(&mut self, now_ms: i64) -> bool {
        if self.probe_ms.is_some_and(|since| now_ms - since < PROBE_MS) {
            return false;
        }
        self.probe_ms = Some(now_ms);
        true
    }

    /// The request that tried the account has ended; whether that was not known before.
    pub(crate) fn end_probe(&mut self, began_ms: i64) -> bool {
        let was_it = self.probe_ms == Some(began_ms);
        if was_it {
            self.probe_ms = None;
        }
        was_it
    }

    /// Takes note of a verdict on an attempt that began at a time; the event to report if something changed.
    pub(crate) fn judge(
        &mut self,
        account: &Account,
        verdict: &Verdict,
        began_ms: i64,
        now_ms: i64,
    ) -> Option<Event> {
        self.heed_reset(account);
        if account.state_generation < self.generation {
            return None; // From before the state was reset by hand.
        }
        if verdict.is_recovery() {
            return self.recover(account, began_ms, now_ms);
        }
        if let Some((family, until_ms)) = verdict.family_block() {
            return self.block(account, family, until_ms, now_ms);
        }
        if let Some((name, until_ms)) = verdict.account_state() {
            let state = State { name, until_ms, since_ms: now_ms };
            let news = self.state.is_none_or(|held| (held.name, held.until_ms) != (name, until_ms));
            self.state = Some(state);
            self.probe_ms = None;
            return news.then(|| Event { state: name, until_ms, ..event(account) });
        }
        match verdict {
            Verdict::Unreachable { .. } | Verdict::Broken { .. } => self.failed(now_ms),
            // An upstream that finds fault with a request is there.
            Verdict::ClientFault => (self.failures, self.cooling_until_ms, self.probe_ms) = (0, 0, None),
            _ => {}
        }
        None
    }

    fn failed(&mut self, now_ms: i64) {
        self.probe_ms = None;
        self.failures = self.failures.saturating_add(1);
        if let Some(more) = self.failures.checked_sub(FAILURES) {
            let pause = COOL_DOWN_MS.checked_shl(more.min(16)).unwrap_or(COOL_DOWN_MAX_MS);
            self.cooling_until_ms = now_ms + pause.min(COOL_DOWN_MAX_MS);
        }
    }

    /// A success ends what began before its attempt.
    fn recover(&mut self, account: &Account, began_ms: i64, now_ms: i64) -> Option<Event> {
        self.families.retain(|(_, until)| now_ms < *until);
        if self.state.is_some_and(|state| began_ms < state.since_ms) {
            return None;
        }
        (self.failures, self.cooling_until_ms, self.probe_ms) = (0, 0, None);
        self.proved_ms = now_ms;
        let was_in_state = self.state.take().is_some();
        (was_in_state || stored(account).is_some()).then(|| Event { state: "active", ..event(account) })
    }

    fn block(&mut self, account: &Account, family: &str, until_ms: i64, now_ms: i64) -> Option<Event> {
        let before = self.families.iter().position(|(blocked, _)| blocked == family);
        let known = before.is_some_and(|at| self.families[at].1 == until_ms);
        self.families.retain(|(blocked, until)| blocked != family && now_ms < *until);
        self.families.push((family.to_owned(), until_ms));
        (!known).then(|| Event {
            state: "rate_limited",
            until_ms: Some(until_ms),
            family: Some(family.to_owned()),
            ..event(account)
        })
    }

    /// Takes note of usage windows; those that others should hear of, as an event.
    pub(crate) fn observe(&mut self, account: &Account, windows: Vec<Window>) -> Option<Event> {
        let mut news = Vec::new();
        for window in windows {
            let told = account.windows.iter().find(|told| told.name == window.name);
            match self.windows.iter_mut().find(|own| own.name == window.name) {
                // What was reported stays until something is news to it, so that small steps add up.
                Some(own) if !window.is_news_to(own) => continue,
                Some(own) => own.clone_from(&window),
                None => self.windows.push(window.clone()),
            }
            if told.is_none_or(|told| window.is_news_to(told)) {
                news.push(window);
            }
        }
        (!news.is_empty()).then(|| Event { windows: news, ..event(account) })
    }
}

/// The state that the control plane told, with its end. `disabled` is a person's word and looked at before.
fn stored(account: &Account) -> Option<(&str, Option<i64>)> {
    let told = !matches!(account.status.as_str(), "active" | "disabled" | "");
    told.then_some((account.status.as_str(), account.status_until_ms))
}

fn event(account: &Account) -> Event {
    Event { state_generation: account.state_generation, ..Event::default() }
}

fn by_name(state: &str) -> Reason {
    match state {
        "rate_limited" => Reason::RateLimited,
        "overloaded" => Reason::Overloaded,
        "unauthorized" => Reason::Unauthorized,
        "forbidden" => Reason::Forbidden,
        _ => Reason::Error,
    }
}
