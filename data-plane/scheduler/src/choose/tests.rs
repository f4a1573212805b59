//! Choices over snapshots made from the wire, as a node gets them.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use proto::{
    node::{AccountEntry, Entry, GroupEntry, KeyEntry, Revision, SnapshotChunk, entry},
    rules::{
        ids::{AccountId, KeyId},
        session::SessionId,
        verdict::Verdict,
    },
    types::AccountBinding,
};
use snapshot::{Facts, Handle, Key, PlatformFacts, Snapshot};

use super::*;

struct OnePlatform;

impl PlatformFacts for OnePlatform {
    fn facts(&self, slug: &str) -> Option<Facts> {
        let dialect = if slug == "other" { "gemini" } else { "anthropic_messages" };
        Some(Facts { family: "claude", service: "claude", dialect, also: Vec::new() })
    }
}

fn account(id: &str) -> AccountEntry {
    AccountEntry {
        id: id.into(),
        platform: "one".into(),
        name: id.into(),
        priority: 50,
        weight: 10,
        schedulable: true,
        status: "active".into(),
        availability: "shared".into(),
        ..AccountEntry::default()
    }
}

struct World {
    snapshot: Arc<Snapshot>,
    scheduler: Arc<Scheduler>,
    tried: Vec<AccountId>,
}

fn world(accounts: Vec<AccountEntry>, binding: Option<AccountBinding>) -> World {
    let members = accounts.iter().filter(|account| account.groups.contains(&"g".to_owned()));
    let group = GroupEntry {
        id: "g".into(),
        name: "g".into(),
        members: members.clone().map(|account| account.id.clone()).collect(),
        // An account of weight 99 goes first in its group, whatever its own priority.
        priorities: members.filter(|a| a.weight == 99).map(|a| (a.id.clone(), 1)).collect(),
    };
    let key = KeyEntry {
        id: "k".into(),
        active: true,
        account_binding: binding.into_iter().map(|binding| ("claude".to_owned(), binding)).collect(),
        ..KeyEntry::default()
    };
    let mut entries = vec![entry::Entry::Key(key), entry::Entry::Group(group)];
    entries.extend(accounts.into_iter().map(entry::Entry::Account));
    let handle = Handle::new(&OnePlatform);
    let chunk = SnapshotChunk {
        revision: Some(Revision { incarnation: "i".into(), number: 1 }),
        store_identity: "s".into(),
        entries: entries.into_iter().map(|entry| Entry { entry: Some(entry) }).collect(),
        last: true,
    };
    let applied = handle.apply_chunk(chunk).unwrap();
    assert!(matches!(&applied, snapshot::Applied::Now { refused, .. } if refused.is_empty()), "{applied:?}");
    World { snapshot: handle.current(), scheduler: Scheduler::new(), tried: Vec::new() }
}

impl World {
    fn key(&self) -> &Arc<Key> {
        self.snapshot.key(&KeyId::from("k")).unwrap()
    }

    fn account(&self, id: &str) -> &Arc<Account> {
        self.snapshot.account(&AccountId::from(id)).unwrap()
    }

    fn ask<'a>(&'a self, session: Option<&'a SessionId>, bound: Option<&'a AccountId>) -> Ask<'a> {
        Ask {
            snapshot: &self.snapshot,
            key: self.key(),
            family: "claude",
            dialect: "anthropic_messages",
            model: "claude-opus-4",
            model_family: "opus",
            session,
            bound,
            patient: false,
            last_resort: false,
            excluded: &self.tried,
            now_ms: 1_000,
        }
    }

    fn choose(&self) -> Result<Choice, Unchosen> {
        self.scheduler.choose(&self.ask(None, None))
    }

    fn refused(&self) -> NoAccount {
        match self.choose() {
            Err(Unchosen::NoAccount(why)) => why,
            other => panic!("{other:?}"),
        }
    }
}

fn session(n: u32) -> SessionId {
    SessionId::new("k", "test", &n.to_be_bytes())
}

#[test]
fn everyone_who_may_not_serve_keeps_the_reason() {
    type Change = fn(&mut AccountEntry);
    let cases: [(Change, Reason, Option<i64>); 12] = [
        (|a| a.platform = "other".into(), Reason::OtherDialect, None),
        (|a| a.status = "disabled".into(), Reason::Disabled, None),
        (|a| a.schedulable = false, Reason::Unschedulable, None),
        (|a| a.expires_at_ms = 1_000, Reason::Expired, None),
        (|a| a.supported_models = vec!["claude-sonnet-*".into()], Reason::Model, None),
        (|a| a.family_blocks = [("opus".to_owned(), 5_000)].into(), Reason::FamilyBlocked, Some(5_000)),
        (
            |a| (a.status, a.status_until_ms) = ("rate_limited".into(), 9_000),
            Reason::RateLimited,
            Some(9_000),
        ),
        (|a| (a.status, a.status_until_ms) = ("overloaded".into(), 9_000), Reason::Overloaded, Some(9_000)),
        (|a| a.status = "unauthorized".into(), Reason::Unauthorized, None),
        (|a| a.status = "error".into(), Reason::Error, None),
        (|a| a.availability = "dedicated".into(), Reason::Reserved, None),
        (|a| a.availability = "group".into(), Reason::Reserved, None),
    ];
    for (change, reason, until) in cases {
        let mut entry = account("a");
        change(&mut entry);
        let refused = world(vec![entry], None).refused();
        assert_eq!(refused.considered.count(reason), 1, "{reason:?}");
        assert_eq!((refused.retry_at_ms, refused.busy), (until, false), "{reason:?}");
    }
}

#[test]
fn states_that_have_ended_and_mapped_models_are_no_reason() {
    let mut entry = account("a");
    (entry.status, entry.status_until_ms) = ("rate_limited".into(), 1_000);
    entry.family_blocks = [("opus".to_owned(), 1_000)].into();
    entry.supported_models = vec!["glm-*".into()];
    entry.model_mapping = [("Claude-Opus-4".to_owned(), "glm-5".to_owned())].into();
    assert!(world(vec![entry], None).choose().is_ok());
}

#[test]
fn a_verdict_acts_at_once_until_its_time_or_a_reset_by_hand() {
    let world = world(vec![account("a")], None);
    let event = world
        .scheduler
        .judge(world.account("a"), &Verdict::Limited { until_ms: 2_000 }, 1_000, 1_000)
        .unwrap();
    assert_eq!((event.state, event.until_ms), ("rate_limited", Some(2_000)));
    assert_eq!(world.refused().retry_at_ms, Some(2_000));
    // Told once.
    assert_eq!(
        world.scheduler.judge(world.account("a"), &Verdict::Limited { until_ms: 2_000 }, 1_000, 1_000),
        None
    );
    let later = Ask { now_ms: 2_000, ..world.ask(None, None) };
    let probe = world.scheduler.choose(&later).unwrap();
    let event = world.scheduler.judge(world.account("a"), &Verdict::Fine, 2_000, 2_000).unwrap();
    assert_eq!((event.state, event.until_ms), ("active", None));
    drop(probe);
    world.scheduler.judge(world.account("a"), &Verdict::Dead, 1_000, 1_000);
    assert_eq!(world.refused().considered.count(Reason::Forbidden), 1);
    let mut reset = account("a");
    reset.state_generation = 1;
    let snapshot = self::world(vec![reset], None).snapshot;
    let ask = Ask { snapshot: &snapshot, ..world.ask(None, None) };
    assert!(world.scheduler.choose(&ask).is_ok());
}

#[test]
fn a_bound_session_of_groups_stays_in_its_group_and_looks_at_nobody_else() {
    let mut grouped = account("m");
    (grouped.availability, grouped.groups) = ("group".into(), vec!["g".into()]);
    let binding = AccountBinding { groups: vec!["none".into(), "g".into()], ..AccountBinding::default() };
    let world = world(vec![account("pool"), grouped], Some(binding));
    let (session, bound) = (session(1), AccountId::from("m"));
    let choice = world.scheduler.choose(&world.ask(Some(&session), Some(&bound))).unwrap();
    assert_eq!(
        (choice.how, choice.group.is_some(), choice.considered.is_empty()),
        (How::Binding, true, true)
    );
    // Bound where the key does not lead any more: it is taken elsewhere for good.
    let lost = AccountId::from("pool");
    let choice = world.scheduler.choose(&world.ask(Some(&session), Some(&lost))).unwrap();
    assert_eq!((choice.account.id.as_str(), choice.replaces), ("m", true));
}

#[test]
fn an_account_on_trial_is_busy_to_its_sessions_not_lost() {
    let mut entry = account("a");
    (entry.status, entry.status_until_ms) = ("overloaded".into(), 900);
    let world = world(vec![entry, account("b")], None);
    let (session, bound) = (session(1), AccountId::from("a"));
    let ask = world.ask(Some(&session), Some(&bound));
    let probe = world.scheduler.choose(&ask).unwrap();
    assert_eq!((probe.account.id.as_str(), probe.how), ("a", How::Binding));
    assert!(matches!(world.scheduler.choose(&Ask { patient: true, ..ask }), Err(Unchosen::BoundBusy)));
    let lent = world.scheduler.choose(&ask).unwrap();
    assert_eq!((lent.account.id.as_str(), lent.how, lent.replaces), ("b", How::Borrowed, false));
    drop(probe);
}

#[test]
fn a_cap_makes_busy_not_ineligible_and_slots_come_back() {
    let mut entry = account("a");
    entry.max_concurrency = 2;
    let world = world(vec![entry], None);
    let held: Vec<_> = (0..2).map(|_| world.choose().unwrap()).collect();
    let refused = world.refused();
    assert!(refused.busy && refused.considered.count(Reason::Busy) == 1);
    drop(held);
    assert_eq!(world.scheduler.in_flight(world.account("a")), 0);
    assert!(world.choose().is_ok());
}

#[test]
fn a_busy_bound_account_is_waited_for_or_lent_and_the_binding_stays() {
    let (mut a, b) = (account("a"), account("b"));
    a.max_concurrency = 1;
    let world = world(vec![a, b], None);
    let (session, bound) = (session(1), AccountId::from("a"));
    let ask = world.ask(Some(&session), Some(&bound));
    let first = world.scheduler.choose(&ask).unwrap();
    assert_eq!((first.account.id.as_str(), first.how), ("a", How::Binding));
    let patient = Ask { patient: true, ..ask };
    assert!(matches!(world.scheduler.choose(&patient), Err(Unchosen::BoundBusy)));
    let lent = world.scheduler.choose(&ask).unwrap();
    assert_eq!((lent.account.id.as_str(), lent.how, lent.replaces), ("b", How::Borrowed, false));
    // Not eligible any more: another one takes the binding over.
    world.scheduler.judge(world.account("a"), &Verdict::Dead, 1_000, 1_000);
    let next = world.scheduler.choose(&patient).unwrap();
    assert_eq!((next.account.id.as_str(), next.how, next.replaces), ("b", How::Rendezvous, true));
}

#[test]
fn bindings_of_keys_are_followed_with_and_without_fallback() {
    let mut dedicated = account("d");
    dedicated.availability = "dedicated".into();
    let mut grouped = account("m");
    (grouped.availability, grouped.groups) = ("group".into(), vec!["g".into()]);
    let accounts = || vec![account("pool"), dedicated.clone(), grouped.clone()];
    let pin = |account: &str, fallback_to_pool| {
        Some(AccountBinding { account: account.into(), fallback_to_pool, ..AccountBinding::default() })
    };
    let group = |fallback_to_pool| {
        Some(AccountBinding {
            groups: vec!["none".into(), "g".into()],
            fallback_to_pool,
            ..AccountBinding::default()
        })
    };
    let chosen = |binding| {
        let world = world(accounts(), binding);
        let choice = world.choose().unwrap();
        (choice.account.id.as_str().to_owned(), choice.how, choice.group.is_some())
    };
    assert_eq!(chosen(None), ("pool".into(), How::LeastLoaded, false));
    assert_eq!(chosen(pin("d", false)), ("d".into(), How::Pinned, false));
    assert_eq!(chosen(group(false)), ("m".into(), How::LeastLoaded, true));
    assert_eq!(chosen(pin("gone", true)), ("pool".into(), How::LeastLoaded, false));
    assert!(world(accounts(), pin("gone", false)).choose().is_err());
    let mut tried = world(accounts(), group(false));
    tried.tried = vec!["m".into()];
    assert_eq!(tried.refused().considered.count(Reason::Tried), 1);
}

#[test]
fn a_priority_within_the_group_is_above_the_accounts_own() {
    let (mut a, mut b) = (account("a"), account("b"));
    (a.priority, a.groups) = (2, vec!["g".into()]);
    (b.priority, b.weight, b.groups) = (90, 99, vec!["g".into()]);
    let binding = AccountBinding { groups: vec!["g".into()], ..AccountBinding::default() };
    let grouped = world(vec![a.clone(), b.clone()], Some(binding)).choose().unwrap();
    assert_eq!((grouped.account.id.as_str(), grouped.group.as_ref().map(|g| g.as_str())), ("b", Some("g")));
    assert_eq!(
        world(vec![a, b], None).choose().unwrap().account.id.as_str(),
        "a",
        "in the pool its own counts"
    );
}

#[test]
fn a_better_priority_goes_first_and_the_next_serves_while_it_is_busy() {
    let (mut first, mut second) = (account("first"), account("second"));
    (first.priority, first.max_concurrency, second.priority) = (1, 1, 2);
    let world = world(vec![second, first], None);
    let held = world.choose().unwrap();
    assert_eq!(held.account.id.as_str(), "first");
    assert_eq!(held.considered.count(Reason::NotPreferred), 1);
    assert_eq!(world.choose().unwrap().account.id.as_str(), "second");
}

#[test]
fn an_explanation_names_32_and_counts_the_rest() {
    let accounts = (0..50).map(|n| account(&format!("a{n:02}"))).collect();
    let choice = world(accounts, None).choose().unwrap();
    assert_eq!(choice.considered.named().count(), 32);
    assert_eq!(choice.considered.unnamed().collect::<Vec<_>>(), [("not_preferred", 17)]);
}

proptest! {
    /// One after the other, accounts serve in proportion to their weights; so do they with many requests in flight.
    #[test]
    fn weights_are_kept(weights in prop::collection::vec(1_u32..=20, 1..8), many in any::<bool>()) {
        let weighted = |(n, weight): (usize, &u32)| {
            let mut entry = account(&format!("a{n}"));
            entry.weight = *weight as i32;
            entry
        };
        let world = world(weights.iter().enumerate().map(weighted).collect(), None);
        let total: u32 = weights.iter().sum();
        let held = if many { total as usize * 3 } else { 0 };
        let mut in_flight = std::collections::VecDeque::new();
        let mut served: HashMap<String, f64> = HashMap::new();
        let rounds = total as usize * 10;
        for _ in 0..rounds {
            let choice = world.choose().unwrap();
            *served.entry(choice.account.id.as_str().to_owned()).or_default() += 1.0;
            in_flight.push_back(choice);
            if in_flight.len() > held {
                in_flight.pop_front();
            }
        }
        for (n, weight) in weights.iter().enumerate() {
            let expected = rounds as f64 * f64::from(*weight) / f64::from(total);
            let got = served.get(&format!("a{n}")).copied().unwrap_or(0.0);
            let slack = if many { expected * 0.2 + 3.0 } else { 2.0 };
            prop_assert!((got - expected).abs() <= slack, "a{n}: {got}, expected {expected}");
        }
    }

    /// Whatever the state of things: who is chosen may serve, and nobody is refused while someone could serve.
    #[test]
    fn only_the_eligible_are_chosen(
        kinds in prop::collection::vec((0_u8..8, 1_i32..4, 0_u32..3), 1..12),
        bound in prop::option::of(0_usize..12),
        with_session in any::<bool>(),
    ) {
        let made = |(n, (kind, priority, cap)): (usize, &(u8, i32, u32))| {
            let mut entry = account(&format!("a{n}"));
            (entry.priority, entry.max_concurrency) = (*priority, *cap);
            match kind {
                0 => entry.schedulable = false,
                1 => entry.status = "forbidden".into(),
                2 => entry.supported_models = vec!["x".into()],
                3 => entry.expires_at_ms = 1,
                _ => {}
            }
            entry
        };
        let world = world(kinds.iter().enumerate().map(made).collect(), None);
        let (session, bound) = (session(7), bound.map(|n| AccountId::from(format!("a{n}"))));
        let mut load: BTreeMap<String, u32> = BTreeMap::new();
        let mut held = Vec::new();
        for _ in 0..20 {
            let free: Vec<_> = kinds.iter().enumerate().filter(|(n, (kind, _, cap))| {
                *kind > 3 && (*cap == 0 || load.get(&format!("a{n}")).copied().unwrap_or(0) < *cap)
            }).collect();
            match world.scheduler.choose(&world.ask(with_session.then_some(&session), bound.as_ref())) {
                Ok(choice) => {
                    let chosen = free.iter().find(|(n, _)| format!("a{n}") == choice.account.id.as_str());
                    prop_assert!(chosen.is_some(), "{} was not eligible", choice.account.id);
                    let best = free.iter().map(|(_, (_, priority, _))| *priority).min();
                    let is_bound = bound.as_ref() == Some(&choice.account.id);
                    prop_assert!(is_bound || chosen.map(|(_, (_, priority, _))| *priority) == best);
                    *load.entry(choice.account.id.as_str().to_owned()).or_default() += 1;
                    held.push(choice);
                }
                Err(_) => prop_assert!(free.is_empty()),
            }
        }
    }
}

mod health;
