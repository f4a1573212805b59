//! What nodes get to know of records.

use proto::rules::key_hash::Digest;

use super::*;
use crate::{account::Status, limit::Limit};

fn sample() -> Key {
    let mut key = Key { id: "k".into(), name: "n".into(), ..Key::default() };
    key.rotate("hmac-sha256", Digest([1; 32]), "cr_aaaaaa".into(), 0, 0);
    key
}

#[test]
fn a_binned_key_is_unknown_and_a_disabled_one_is_named() {
    let mut binned = sample();
    binned.deleted_at_ms = Some(1);
    assert_eq!(key(&binned), None);
    let disabled = Key { disabled: true, ..sample() };
    assert!(!key(&disabled).unwrap().active);
}

#[test]
fn a_rotated_key_is_found_by_both_secrets_until_the_old_one_ends() {
    let mut rotated = sample();
    rotated.rotate("hmac-sha256", Digest([2; 32]), "cr_bbbbbb".into(), 5000, 1000);
    let hashes: Vec<_> =
        key(&rotated).unwrap().hashes.into_iter().map(|h| (h.digest[0], h.until_ms)).collect();
    assert_eq!(hashes, [(2, 0), (1, 6000)]);
}

#[test]
fn activation_travels_as_a_span_until_it_came_and_as_an_end_after() {
    let life = Expiration::Activation { duration_ms: 500, activated_at_ms: None };
    let mut waiting = Key { expiration: Some(life), ..sample() };
    let entry = key(&waiting).unwrap();
    assert_eq!((entry.activation_ms, entry.expires_at_ms), (500, 0));
    assert!(waiting.activate(100));
    let entry = key(&waiting).unwrap();
    assert_eq!((entry.activation_ms, entry.expires_at_ms), (0, 600));
}

#[test]
fn limits_keep_their_ids() {
    let limit = Limit {
        id: "l1".into(),
        meter: "requests".into(),
        scope: Default::default(),
        window: None,
        amount: 3,
        strict: false,
        cost_kind: String::new(),
    };
    let limited = Key { limits: vec![limit], limits_generation: 4, ..sample() };
    let entry = key(&limited).unwrap();
    assert_eq!((entry.limits[0].id.as_str(), entry.limits[0].amount, entry.limits_generation), ("l1", 3, 4));
}

#[test]
fn an_account_carries_its_credentials_and_state() {
    let mut sample = Account { id: "a".into(), platform: "p".into(), ..Account::default() };
    sample.credentials.insert("api_key".into(), "s".into());
    sample.state.status = Status::RateLimited;
    sample.state.until_ms = Some(9);
    let entry = account(&sample, vec!["z".into(), "b".into()], &[]);
    assert_eq!(entry.credentials["api_key"], "s");
    assert_eq!((entry.status.as_str(), entry.status_until_ms), ("rate_limited", 9));
    assert_eq!(entry.groups, ["b", "z"]);
}

#[test]
fn settings_travel_with_their_defaults() {
    let entry = settings(&Settings::default());
    assert_eq!(entry.max_attempts, 5);
    assert_eq!(entry.first_event_timeout.unwrap().seconds, 120);
    assert_eq!(entry.time_zone, "Asia/Shanghai");
    assert!(!entry.queue.unwrap().enabled);
}
