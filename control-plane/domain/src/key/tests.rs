//! Tests of a key's words: what may be written, what is shown, and its secrets over time.

use proto::types;

use super::*;
use crate::{Violations, mask::Fields, time};

const NOW: i64 = 1_800_000_000_000;

fn ids() -> impl FnMut() -> String {
    let mut n = 0;
    move || {
        n += 1;
        format!("limit-{n}")
    }
}

fn make(wire: &types::Key) -> Result<Key, Violations> {
    let mut key = Key { id: "k".into(), created_at_ms: NOW, updated_at_ms: NOW, ..Key::default() };
    key.apply(wire, &Fields::all(WRITABLE), NOW, ids())?;
    Ok(key)
}

fn named() -> types::Key {
    types::Key { name: "one".into(), ..types::Key::default() }
}

fn requests(amount: i64) -> types::Limit {
    types::Limit {
        meter: "requests".into(),
        window: Some(types::Window { kind: "fixed".into(), minutes: 5, ..Default::default() }),
        amount,
        ..Default::default()
    }
}

/// The fields that a refusal names.
fn refused(wire: &types::Key) -> Vec<String> {
    make(wire).unwrap_err().0.into_iter().map(|one| one.field).collect()
}

#[test]
fn what_is_written_is_read_back() {
    let wire = types::Key {
        tags: vec!["a".into(), " b ".into(), "a".into()],
        permissions: vec!["codex".into(), "openai".into(), "claude".into()],
        models: Some(types::ModelRule { mode: "deny".into(), patterns: vec!["claude-opus-*".into()] }),
        clients: vec!["claude_code".into()],
        networks: vec!["10.1.2.3/8".into(), "2001:db8::1".into()],
        limits: vec![requests(10)],
        service_multipliers: [("claude".to_owned(), 1.5)].into(),
        queue: Some(types::Queue { enabled: true, max_size: 3, timeout: Some(time::span_to_wire(5000)) }),
        icon: "rocket".into(),
        ..named()
    };
    let shown = make(&wire).unwrap().to_wire(3, NOW);
    assert_eq!(shown.tags, ["a", "b"]);
    assert_eq!(shown.permissions, ["openai", "claude"]);
    assert_eq!(shown.networks, ["10.0.0.0/8", "2001:db8::1/128"]);
    assert_eq!(shown.limits[0].id, "limit-1");
    assert_eq!((shown.status.as_str(), shown.etag.as_str()), ("active", "\"3\""));
    assert_eq!(shown.queue, wire.queue);
    assert_eq!(make(&shown).unwrap().to_wire(3, NOW), shown, "what was read can be sent back");
}

#[test]
fn everything_that_is_wrong_is_named() {
    let wire = types::Key {
        name: " ".into(),
        status: "deleted".into(),
        expiration: Some(types::Expiration { mode: "sometimes".into(), ..Default::default() }),
        permissions: vec!["claude".into(), "mistral".into()],
        models: Some(types::ModelRule { mode: "allow".into(), patterns: vec![] }),
        networks: vec!["10.0.0.0/40".into()],
        account_binding: [("claude".to_owned(), types::AccountBinding::default())].into(),
        service_multipliers: [("claude".to_owned(), f64::NAN)].into(),
        icon: "data:image/svg+xml;base64,AAAA".into(),
        ..types::Key::default()
    };
    let expected = [
        "name",
        "status",
        "icon",
        "expiration.mode",
        "permissions[1]",
        "models.patterns",
        "networks[0]",
        "account_binding.claude",
        "service_multipliers.claude",
    ];
    assert_eq!(refused(&wire), expected);
}

#[test]
fn limits_that_would_not_be_enforced_are_refused() {
    let seconds = types::Limit { meter: "seconds".into(), ..requests(1) };
    let window = |kind: &str, minutes| types::Limit {
        window: Some(types::Window { kind: kind.into(), minutes, ..Default::default() }),
        ..requests(1)
    };
    let concurrency = types::Limit { meter: "concurrency".into(), ..requests(1) };
    let strict = types::Limit { strict: true, ..window("month", 0) };
    let limits = vec![
        seconds,
        window("gliding", 0),
        window("fixed", 0),
        concurrency,
        types::Limit { amount: 0, ..window("day", 0) },
        types::Limit { window: None, ..requests(1) },
        strict,
        types::Limit { cost_kind: "real".into(), ..window("hour", 0) },
        types::Limit { meter: "cost".into(), cost_kind: "unreal".into(), ..window("day", 0) },
    ];
    let wire = types::Key { limits, ..named() };
    let expected = [
        "limits[0].meter",
        "limits[1].window.kind",
        "limits[2].window.minutes",
        "limits[3].window",
        "limits[4].amount",
        "limits[5].window",
        "limits[6].strict",
        "limits[7].cost_kind",
        "limits[8].cost_kind",
    ];
    assert_eq!(refused(&wire), expected);
}

#[test]
fn a_limit_keeps_its_id_while_it_counts_the_same() {
    let mut key = make(&types::Key { limits: vec![requests(10)], ..named() }).unwrap();
    let mut change = key.to_wire(1, NOW);
    change.limits[0].amount = 20;
    change.limits.push(types::Limit { meter: "concurrency".into(), window: None, ..requests(2) });
    let fields = Fields::all(&["limits"]);
    let mut new = 7;
    key.apply(&change, &fields, NOW, || {
        new += 1;
        format!("limit-{new}")
    })
    .unwrap();
    let held: Vec<_> = key.limits.iter().map(|limit| (limit.id.as_str(), limit.amount)).collect();
    assert_eq!(held, [("limit-1", 20), ("limit-8", 2)]);
    let twice = types::Key { limits: vec![requests(1), requests(2)], ..named() };
    assert_eq!(refused(&twice), ["limits[1]"]);
}

#[test]
fn only_fields_of_the_mask_change() {
    let mut key = make(&types::Key { description: "old".into(), ..named() }).unwrap();
    let wire = types::Key { name: "two".into(), ..types::Key::default() };
    let fields = Key::fields(&wire, None).unwrap();
    key.apply(&wire, &fields, NOW, ids()).unwrap();
    assert_eq!((key.name.as_str(), key.description.as_str()), ("two", "old"));
    let mask = prost_types::FieldMask { paths: vec!["description".into(), "etag".into()] };
    let fields = Key::fields(&wire, Some(&mask)).unwrap();
    key.apply(&wire, &fields, NOW, ids()).unwrap();
    assert_eq!((key.name.as_str(), key.description.as_str()), ("two", ""));
}

#[test]
fn a_key_may_end_a_while_after_its_first_request() {
    let day = 86_400_000;
    let end = types::Expiration {
        mode: "activation".into(),
        duration: Some(time::span_to_wire(day)),
        ..Default::default()
    };
    let mut key = make(&types::Key { expiration: Some(end), ..named() }).unwrap();
    assert_eq!(key.status(NOW + 10 * day), "active");
    assert!(key.activate(NOW + 1000));
    assert!(!key.activate(NOW + 2000));
    assert!(key.activate(NOW), "the earliest wins");
    assert_eq!(key.ends_at_ms(), Some(NOW + day));
    assert_eq!(key.status(NOW + day), "expired");
    let change = types::Key { expiration: key.to_wire(1, NOW).expiration, ..named() };
    key.apply(&change, &Fields::all(&["expiration"]), NOW, ids()).unwrap();
    assert_eq!(key.ends_at_ms(), Some(NOW + day), "an edit does not forget the activation");
}

#[test]
fn rotation_overlaps() {
    let digest = |n| Digest([n; 32]);
    let mut key = make(&named()).unwrap();
    key.rotate("hmac-sha256", digest(1), "cr_1".into(), 0, NOW);
    key.rotate("hmac-sha256", digest(2), "cr_2".into(), 1000, NOW);
    assert_eq!(key.previous_secret_until_ms(NOW), Some(NOW + 1000));
    assert_eq!(key.previous_secret_until_ms(NOW + 1000), None);
    key.rotate("hmac-sha256", digest(3), "cr_3".into(), 5000, NOW + 500);
    let ends: Vec<_> = key.secrets.iter().map(|secret| secret.until_ms).collect();
    assert_eq!(ends, [None, Some(NOW + 5500), Some(NOW + 1000)], "no overlap is lengthened");
    key.rotate("hmac-sha256", digest(4), "cr_4".into(), 0, NOW + 600);
    assert_eq!(key.secrets.len(), 1);
    assert_eq!(key.indexes().len(), 1);
}

#[test]
fn no_digest_is_shown() {
    let mut key = make(&named()).unwrap();
    key.rotate("hmac-sha256", Digest([7; 32]), "cr_1".into(), 0, NOW);
    assert!(!key.audit_view().to_string().contains("0707"));
    let stored = serde_json::to_string(&key).unwrap();
    assert_eq!(serde_json::from_str::<Key>(&stored).unwrap(), key);
}
