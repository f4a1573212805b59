//! A model of the scheduler under random use: requests come, fare well or ill, are abandoned, time passes, states are
//! reset by hand. Whatever happens: nobody is chosen who may not serve by the model's own plain rules, nobody is refused
//! while somebody could serve, caps hold, every account that was passed over has its reason, one request at most tries an
//! account, and in the end everybody serves again.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use proto::{
    node::{AccountEntry, Entry, KeyEntry, Revision, SnapshotChunk, entry},
    rules::{
        ids::{AccountId, KeyId},
        session::SessionId,
        verdict::Verdict,
    },
};
use snapshot::{Facts, Handle, PlatformFacts, Snapshot};

use crate::{Ask, Choice, Reason, Scheduler, Unchosen};

const ACCOUNTS: usize = 5;

struct OnePlatform;

impl PlatformFacts for OnePlatform {
    fn facts(&self, _: &str) -> Option<Facts> {
        Some(Facts { family: "claude", service: "claude", dialect: "anthropic_messages", also: Vec::new() })
    }
}

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    /// A request, of a session or of none.
    Ask(Option<u8>),
    /// The n-th request in flight ends so.
    End(usize, Fate),
    /// Milliseconds pass.
    Pass(i64),
    /// A person resets an account.
    Reset(usize),
}

/// How a request ends.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Fine,
    Gone,
    ClientFault,
    Limited(i64),
    Overloaded(i64),
    Family(i64),
    Broken,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fate = prop_oneof![
        4 => Just(Fate::Fine),
        1 => Just(Fate::Gone),
        1 => Just(Fate::ClientFault),
        1 => (1..5_000_i64).prop_map(Fate::Limited),
        1 => (1..5_000_i64).prop_map(Fate::Overloaded),
        1 => (1..5_000_i64).prop_map(Fate::Family),
        3 => Just(Fate::Broken),
    ];
    let step = prop_oneof![
        6 => prop::option::of(0..4_u8).prop_map(Step::Ask),
        6 => (0..8_usize, fate).prop_map(|(n, fate)| Step::End(n, fate)),
        3 => (1..3_000_i64).prop_map(Step::Pass),
        1 => (0..ACCOUNTS).prop_map(Step::Reset),
    ];
    prop::collection::vec(step, 1..120)
}

/// An account by the model's own plain rules.
#[derive(Clone, Debug, Default)]
struct Known {
    /// A state's end and begin; it stays until a success that began after it.
    state: Option<(i64, i64)>,
    family_until: i64,
    failures: u32,
    cooling_until: i64,
    trial: Option<i64>,
    in_flight: u32,
}

impl Known {
    fn ends(&self) -> i64 {
        self.state.map_or(0, |(until, _)| until).max(self.cooling_until).max(self.family_until)
    }

    fn unproved(&self) -> bool {
        self.state.is_some() || self.failures >= 3
    }

    fn on_trial(&self, now: i64) -> bool {
        self.unproved() && self.trial.is_some_and(|began| now - began < 30_000)
    }

    fn learn(&mut self, verdict: &Verdict, began: i64, now: i64) {
        match verdict {
            Verdict::Limited { until_ms } | Verdict::Overloaded { until_ms } => {
                (self.state, self.trial) = (Some((*until_ms, now)), None);
            }
            Verdict::FamilyLimited { until_ms, .. } => self.family_until = *until_ms,
            Verdict::Broken { .. } => {
                (self.failures, self.trial) = (self.failures + 1, None);
                if let Some(more) = self.failures.checked_sub(3) {
                    self.cooling_until = now + (2_000 << more.min(16)).min(60_000);
                }
            }
            Verdict::ClientFault => (self.failures, self.cooling_until, self.trial) = (0, 0, None),
            Verdict::Fine if self.state.is_none_or(|(_, since)| since <= began) => {
                (self.state, self.failures, self.cooling_until, self.trial) = (None, 0, 0, None);
            }
            _ => {}
        }
    }
}

struct World {
    handle: Handle,
    snapshot: Arc<Snapshot>,
    entries: Vec<AccountEntry>,
    scheduler: Arc<Scheduler>,
    known: Vec<Known>,
    bound: BTreeMap<u8, AccountId>,
    flying: Vec<(Choice, usize, i64)>,
    revision: u64,
    now: i64,
}

fn cap(n: usize) -> u32 {
    [0, 1, 2, 3, 0][n]
}

impl World {
    fn new() -> Self {
        let account = |n: usize| AccountEntry {
            id: format!("a{n}"),
            platform: "one".into(),
            priority: 1 + (n as i32 % 2),
            weight: 1 + n as i32,
            max_concurrency: cap(n),
            schedulable: true,
            status: "active".into(),
            ..AccountEntry::default()
        };
        let handle = Handle::new(&OnePlatform);
        let mut world = Self {
            snapshot: handle.current(),
            handle,
            entries: (0..ACCOUNTS).map(account).collect(),
            scheduler: Scheduler::new(),
            known: vec![Known::default(); ACCOUNTS],
            bound: BTreeMap::new(),
            flying: Vec::new(),
            revision: 0,
            now: 1_000_000,
        };
        world.publish();
        world
    }

    fn publish(&mut self) {
        self.revision += 1;
        let key = KeyEntry { id: "k".into(), active: true, ..KeyEntry::default() };
        let entries = self.entries.iter().cloned().map(entry::Entry::Account);
        let chunk = SnapshotChunk {
            revision: Some(Revision { incarnation: "i".into(), number: self.revision }),
            store_identity: "s".into(),
            entries: entries
                .chain([entry::Entry::Key(key)])
                .map(|entry| Entry { entry: Some(entry) })
                .collect(),
            last: true,
        };
        self.handle.apply_chunk(chunk).unwrap();
        self.snapshot = self.handle.current();
    }

    fn may_serve(&self, n: usize) -> bool {
        self.now >= self.known[n].ends()
    }

    fn is_free(&self, n: usize) -> bool {
        (cap(n) == 0 || self.known[n].in_flight < cap(n)) && !self.known[n].on_trial(self.now)
    }

    /// A request of no session.
    fn plain_ask(&self) -> Ask<'_> {
        Ask {
            snapshot: &self.snapshot,
            key: self.snapshot.key(&KeyId::from("k")).unwrap(),
            family: "claude",
            dialect: "anthropic_messages",
            model: "claude-opus-4-5",
            model_family: "opus",
            session: None,
            bound: None,
            patient: false,
            last_resort: false,
            excluded: &[],
            now_ms: self.now,
        }
    }

    fn ask(&mut self, session: Option<u8>) -> Result<(), TestCaseError> {
        let id = session.map(|n| SessionId::new("k", "model", &[n]));
        let bound = session.and_then(|n| self.bound.get(&n).cloned());
        let ask = Ask { session: id.as_ref(), bound: bound.as_ref(), ..self.plain_ask() };
        let eligible: Vec<usize> = (0..ACCOUNTS).filter(|n| self.may_serve(*n) && self.is_free(*n)).collect();
        match self.scheduler.choose(&ask) {
            Ok(choice) => {
                let n: usize = choice.account.id.as_str()[1..].parse().unwrap();
                prop_assert!(eligible.contains(&n), "a{n} may not serve: {:?}", self.known[n]);
                let own = bound.as_ref() == Some(&choice.account.id);
                let best = eligible.iter().map(|n| self.entries[*n].priority).min();
                prop_assert!(own || Some(self.entries[n].priority) == best, "a{n} is not the best");
                prop_assert_eq!(choice.considered.named().count(), if own { 0 } else { ACCOUNTS - 1 });
                let known = &mut self.known[n];
                known.in_flight += 1;
                if known.unproved() {
                    known.trial = Some(self.now);
                }
                if let Some(session) = session
                    && (choice.replaces || bound.is_none())
                {
                    self.bound.insert(session, choice.account.id.clone());
                }
                self.flying.push((choice, n, self.now));
            }
            Err(Unchosen::NoAccount(why)) => {
                prop_assert!(eligible.is_empty(), "{eligible:?} could serve");
                prop_assert_eq!(why.considered.named().count(), ACCOUNTS, "each has its reason");
                let waits = (0..ACCOUNTS).any(|n| self.may_serve(n));
                prop_assert_eq!(why.busy, waits, "busy is who could serve but for being busy");
                let first = (0..ACCOUNTS).filter(|n| !self.may_serve(*n)).map(|n| self.known[n].ends()).min();
                let told = why.retry_at_ms.unwrap_or(i64::MAX);
                prop_assert!(told <= first.unwrap_or(i64::MAX), "{told} is later than {first:?}");
            }
            Err(Unchosen::BoundBusy) => prop_assert!(false, "nobody asked to wait"),
        }
        Ok(())
    }

    fn end(&mut self, nth: usize, fate: Fate) {
        if self.flying.is_empty() {
            return;
        }
        let (choice, n, began) = self.flying.remove(nth % self.flying.len());
        let verdict = match fate {
            Fate::Fine => Some(Verdict::Fine),
            Fate::Gone => None,
            Fate::ClientFault => Some(Verdict::ClientFault),
            Fate::Limited(ms) => Some(Verdict::Limited { until_ms: self.now + ms }),
            Fate::Overloaded(ms) => Some(Verdict::Overloaded { until_ms: self.now + ms }),
            Fate::Family(ms) => {
                Some(Verdict::FamilyLimited { family: "opus".into(), until_ms: self.now + ms })
            }
            Fate::Broken => Some(Verdict::Broken { until_ms: None }),
        };
        if let Some(verdict) = &verdict {
            self.scheduler.judge(&choice.account, verdict, began, self.now);
            // What was seen of an account before its state was reset by hand is ignored.
            if choice.account.state_generation == self.entries[n].state_generation {
                self.known[n].learn(verdict, began, self.now);
            }
        }
        drop(choice);
        let known = &mut self.known[n];
        known.in_flight -= 1;
        // Whoever tried it and came to nothing leaves it to the next one.
        known.trial = known.trial.filter(|trial| *trial != began);
    }

    fn reset(&mut self, n: usize) {
        self.entries[n].state_generation += 1;
        self.publish();
        let in_flight = self.known[n].in_flight;
        self.known[n] = Known { in_flight, ..Known::default() };
    }

    /// All requests end, all time passes, and everybody is asked again.
    fn heal(&mut self) -> Result<(), TestCaseError> {
        while !self.flying.is_empty() {
            self.end(0, Fate::Gone);
        }
        self.now += 100_000;
        for _ in 0..60 {
            // The best are kept busy so that the others have their turn.
            self.ask(None)?;
            if self.flying.len() > 12 {
                self.end(0, Fate::Fine);
            }
        }
        while !self.flying.is_empty() {
            self.end(0, Fate::Fine);
        }
        for n in 0..ACCOUNTS {
            let account = self.snapshot.account(&AccountId::from(format!("a{n}").as_str())).unwrap();
            prop_assert_eq!(self.scheduler.in_flight(account), 0);
            prop_assert_eq!(self.scheduler.state(account, self.now), None::<Reason>, "a{} is not well", n);
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_rules_hold_and_everybody_recovers(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Ask(session) => world.ask(session)?,
                Step::End(n, fate) => world.end(n, fate),
                Step::Pass(ms) => world.now += ms,
                Step::Reset(n) => world.reset(n),
            }
        }
        world.heal()?;
    }

    /// Fairness: of accounts of one priority that nothing is wrong with, whoever is chosen has the least in flight for
    /// its weight, whichever requests leave.
    #[test]
    fn fair_by_weight_whichever_requests_leave(order in prop::collection::vec(0..64_usize, 300)) {
        let weights = [1, 2, 3, 4, 10];
        let mut world = World::new();
        for (entry, weight) in world.entries.iter_mut().zip(weights) {
            (entry.priority, entry.max_concurrency, entry.weight) = (1, 0, weight);
        }
        world.publish();
        let mut held = [0_i32; ACCOUNTS];
        let mut flying: Vec<(Choice, usize)> = Vec::new();
        for leaves in order {
            let choice = world.scheduler.choose(&world.plain_ask()).unwrap();
            let n: usize = choice.account.id.as_str()[1..].parse().unwrap();
            for other in 0..ACCOUNTS {
                prop_assert!(held[n] * weights[other] <= held[other] * weights[n], "a{} before a{}: {:?}", n, other, held);
            }
            held[n] += 1;
            flying.push((choice, n));
            if flying.len() > 50 {
                let (_, gone) = flying.swap_remove(leaves % flying.len());
                held[gone] -= 1;
            }
        }
    }
}
