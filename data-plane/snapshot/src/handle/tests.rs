//! How messages move the snapshot.

use proto::{
    node::{
        AccountEntry, Delta, EntryRef, GroupEntry, KeyEntry, KeyHash, SettingsEntry, SnapshotChunk,
        WatchResponse, watch_response::Message,
    },
    rules::key_hash::{self, Pepper},
};

use super::*;
use crate::Facts;

pub(crate) struct Platforms;
impl PlatformFacts for Platforms {
    fn facts(&self, slug: &str) -> Option<Facts> {
        match slug {
            "p" => Some(Facts { family: "claude", service: "s", dialect: "d", also: Vec::new() }),
            "g" => Some(Facts { family: "gemini", service: "s", dialect: "d", also: Vec::new() }),
            _ => None,
        }
    }
}

const PEPPER: &[u8] = b"pepper";

pub(crate) fn settings() -> Entry {
    Entry::Settings(SettingsEntry {
        key_pepper: PEPPER.to_vec(),
        v1_key_pepper: b"v1".to_vec(),
        ..Default::default()
    })
}

pub(crate) fn key(id: &str, secret: &str) -> Entry {
    let digest = Pepper::new(PEPPER).digest(secret.as_bytes()).0.to_vec();
    let hashes = vec![KeyHash { scheme: key_hash::HMAC_SHA256.into(), digest, until_ms: 0 }];
    Entry::Key(KeyEntry { id: id.into(), hashes, active: true, ..Default::default() })
}

pub(crate) fn account(id: &str, platform: &str) -> Entry {
    let credentials = [("api_key".to_owned(), "sk-canary".to_owned())].into();
    Entry::Account(AccountEntry {
        id: id.into(),
        platform: platform.into(),
        credentials,
        ..Default::default()
    })
}

fn group(id: &str, members: &[&str]) -> Entry {
    let members = members.iter().map(|id| (*id).to_owned()).collect();
    Entry::Group(GroupEntry { id: id.into(), name: id.into(), members, ..GroupEntry::default() })
}

fn revision(number: u64) -> Option<proto::node::Revision> {
    Some(proto::node::Revision { incarnation: "i".into(), number })
}

fn entries(entries: Vec<Entry>) -> Vec<proto::node::Entry> {
    entries.into_iter().map(|entry| proto::node::Entry { entry: Some(entry) }).collect()
}

fn chunk(number: u64, parts: Vec<Entry>, last: bool) -> WatchResponse {
    let chunk = SnapshotChunk {
        revision: revision(number),
        store_identity: "s".into(),
        entries: entries(parts),
        last,
    };
    WatchResponse { message: Some(Message::Snapshot(chunk)) }
}

fn delta(from: u64, to: u64, upserts: Vec<Entry>, deletes: &[(&str, &str)]) -> WatchResponse {
    let deletes =
        deletes.iter().map(|(kind, id)| EntryRef { kind: (*kind).into(), id: (*id).into() }).collect();
    let delta = Delta { from: revision(from), to: revision(to), upserts: entries(upserts), deletes };
    WatchResponse { message: Some(Message::Delta(delta)) }
}

pub(crate) fn handle(parts: Vec<Entry>) -> Handle {
    let handle = Handle::new(&Platforms);
    assert_eq!(refusals(handle.apply(chunk(1, parts, true))), Vec::<String>::new());
    handle
}

fn refusals(applied: Result<Applied, ApplyError>) -> Vec<String> {
    match applied.unwrap() {
        Applied::Now { refused, .. } => refused.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

fn found(handle: &Handle, secret: &str) -> Option<String> {
    handle.current().key_by_secret(secret.as_bytes(), 1000).map(|key| key.id.as_str().to_owned())
}

#[test]
fn a_snapshot_holds_when_its_last_part_has_come() {
    let handle = Handle::new(&Platforms);
    assert_eq!(found(&handle, "secret"), None);
    assert_eq!(handle.apply(chunk(1, vec![settings(), key("k", "secret")], false)).unwrap(), Applied::Part);
    assert_eq!(found(&handle, "secret"), None);
    assert!(refusals(handle.apply(chunk(1, vec![account("a", "p")], true))).is_empty());
    assert_eq!(found(&handle, "secret").as_deref(), Some("k"));
    assert_eq!(handle.current().counts(), (1, 1, 0));
    // Parts of a snapshot whose stream ended are forgotten.
    handle.apply(chunk(2, vec![key("x", "x")], false)).unwrap();
    handle.disconnected();
    handle.apply(chunk(2, vec![settings(), key("y", "y")], true)).unwrap();
    assert_eq!((found(&handle, "x"), found(&handle, "y").as_deref()), (None, Some("y")));
}

#[test]
fn what_a_full_snapshot_does_not_name_is_gone_and_what_it_repeats_keeps_its_identity() {
    let handle =
        handle(vec![settings(), key("k", "1"), key("l", "2"), account("a", "p"), group("g", &["a"])]);
    let before = handle.current();
    handle.apply(chunk(9, vec![settings(), key("k", "1"), account("a", "p")], true)).unwrap();
    let now = handle.current();
    assert_eq!((now.counts(), found(&handle, "2")), ((1, 1, 0), None));
    assert!(Arc::ptr_eq(before.account(&"a".into()).unwrap(), now.account(&"a".into()).unwrap()));
    assert!(Arc::ptr_eq(&now.accounts("claude")[0], now.account(&"a".into()).unwrap()));
    assert!(Arc::ptr_eq(before.settings(), now.settings()));
    assert_eq!(before.counts(), (2, 1, 1), "a snapshot that is held does not change");
}

#[test]
fn a_delta_changes_what_it_names() {
    let handle = handle(vec![settings(), key("k", "1"), key("l", "2"), account("a", "p"), account("b", "p")]);
    let before = handle.current();
    let upserts = vec![key("k", "3"), account("b", "g"), account("c", "p"), group("g", &["b", "a", "b"])];
    assert!(refusals(handle.apply(delta(1, 2, upserts, &[("key", "l")]))).is_empty());
    let now = handle.current();
    assert_eq!([found(&handle, "1"), found(&handle, "2")], [None, None]);
    assert_eq!(found(&handle, "3").as_deref(), Some("k"));
    let ids = |family| {
        now.accounts(family).iter().map(|account| account.id.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((ids("claude"), ids("gemini")), (vec!["a".to_owned(), "c".to_owned()], vec!["b".to_owned()]));
    assert!(Arc::ptr_eq(before.account(&"a".into()).unwrap(), now.account(&"a".into()).unwrap()));
    assert!(now.group(&"g".into()).unwrap().member(&"a".into()).is_some());
    assert_eq!(now.revision().unwrap().number, 2);
}

#[test]
fn a_delta_that_does_not_follow_changes_nothing() {
    let handle = handle(vec![settings(), key("k", "1")]);
    let wrong = handle.apply(delta(2, 3, vec![], &[("key", "k")]));
    assert!(matches!(wrong, Err(ApplyError::DoesNotFollow { .. })), "{wrong:?}");
    assert_eq!(found(&handle, "1").as_deref(), Some("k"));
    let fresh = Handle::new(&Platforms);
    assert!(fresh.apply(delta(1, 2, vec![], &[])).is_err());
}

#[test]
fn a_secret_can_move_between_keys_in_one_change() {
    let handle = handle(vec![settings(), key("k", "1"), key("l", "2")]);
    handle.apply(delta(1, 2, vec![key("k", "2"), key("l", "1")], &[])).unwrap();
    assert_eq!((found(&handle, "1").as_deref(), found(&handle, "2").as_deref()), (Some("l"), Some("k")));
}

#[test]
fn a_bad_entry_is_refused_by_name_and_the_rest_applied() {
    let handle = handle(vec![settings(), key("k", "1"), account("a", "p")]);
    let Entry::Key(mut bad) = key("k", "9") else { unreachable!() };
    bad.networks = vec!["everywhere".into()];
    let said =
        refusals(handle.apply(delta(1, 2, vec![Entry::Key(bad), account("a", "?"), key("m", "5")], &[])));
    assert_eq!(said.len(), 2);
    assert!(said[0].starts_with("key/k: ") && said[1].starts_with("account/a: "), "{said:?}");
    assert_eq!((found(&handle, "1"), found(&handle, "5").as_deref()), (None, Some("m")));
    assert!(handle.current().account(&"a".into()).is_none());
    // Settings that are not understood leave the ones that held.
    let said = refusals(handle.apply(delta(2, 3, vec![Entry::Settings(SettingsEntry::default())], &[])));
    assert_eq!((said.len(), found(&handle, "5").as_deref()), (1, Some("m")));
}

#[test]
fn a_key_of_version_1_is_found_and_a_rotated_secret_until_its_end() {
    let digest = key_hash::v1(b"v1", b"old").0.to_vec();
    let Entry::Key(mut wire) = key("k", "new") else { unreachable!() };
    wire.hashes.push(KeyHash { scheme: key_hash::V1_SHA256.into(), digest, until_ms: 500 });
    let handle = handle(vec![settings(), Entry::Key(wire)]);
    let snapshot = handle.current();
    assert!(snapshot.key_by_secret(b"old", 499).is_some());
    assert!(snapshot.key_by_secret(b"old", 500).is_none());
    assert!(snapshot.key_by_secret(b"new", 500).is_some());
    assert!(snapshot.key_by_secret(b"", 0).is_none());
}

#[test]
fn a_change_costs_what_it_touches() {
    let keys = (0..20_000).map(|n| key(&format!("key-{n}"), &n.to_string()));
    let handle = handle(std::iter::once(settings()).chain(keys).collect());
    let began = std::time::Instant::now();
    for n in 0..100 {
        handle.apply(delta(n + 1, n + 2, vec![key("key-7", &format!("s{n}"))], &[])).unwrap();
    }
    // A rebuild of all would take seconds in this build.
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(found(&handle, "s99").as_deref(), Some("key-7"));
}
