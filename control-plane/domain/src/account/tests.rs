//! Tests of an account's words: what may be written, that no secret is shown, and its state.

use proto::types;
use secrecy::ExposeSecret as _;

use super::*;
use crate::{Violations, mask::Fields};

const NOW: i64 = 1_800_000_000_000;

fn make(wire: &types::Account) -> Result<Account, Violations> {
    let mut account = Account { id: "a".into(), platform: "p".into(), ..Account::default() };
    account.apply(wire, &Fields::all(WRITABLE), NOW)?;
    Ok(account)
}

fn named() -> types::Account {
    types::Account {
        name: "one".into(),
        credentials: [("api_key".to_owned(), "sk-canary".to_owned())].into(),
        proxy: Some(types::Proxy { url: "http://me:pw-canary@proxy.example:8080".into() }),
        ..types::Account::default()
    }
}

fn refused(wire: &types::Account) -> Vec<String> {
    make(wire).unwrap_err().0.into_iter().map(|one| one.field).collect()
}

#[test]
fn defaults_are_those_of_the_contract() {
    let shown = make(&named()).unwrap().to_wire(1, vec![], NOW);
    assert_eq!((shown.priority, shown.weight, shown.schedulable), (50, 10, Some(true)));
    assert_eq!((shown.status.as_str(), shown.availability.as_str()), ("active", "shared"));
}

#[test]
fn no_secret_is_shown() {
    let account = make(&named()).unwrap();
    let shown = account.to_wire(1, vec![], NOW);
    assert!(shown.credentials.is_empty());
    assert_eq!(shown.credential_fields, ["api_key"]);
    assert_eq!(shown.proxy.as_ref().unwrap().url, "http://me:***@proxy.example:8080");
    for text in [account.audit_view().to_string(), format!("{account:?}")] {
        assert!(!text.contains("canary"), "{text}");
    }
    let stored = serde_json::to_string(&account).unwrap();
    let read: Account = serde_json::from_str(&stored).unwrap();
    assert_eq!(read.credentials["api_key"].expose_secret(), "sk-canary");
}

#[test]
fn what_was_read_can_be_sent_back() {
    let mut account = make(&named()).unwrap();
    let shown = account.to_wire(1, vec![], NOW);
    account.apply(&shown, &Fields::all(WRITABLE), NOW).unwrap();
    assert_eq!(account.credentials["api_key"].expose_secret(), "sk-canary");
    assert!(account.proxy_url.unwrap().expose_secret().contains("pw-canary"));
}

#[test]
fn a_masked_password_is_not_sent_elsewhere() {
    let mut account = make(&named()).unwrap();
    let wire = types::Account {
        proxy: Some(types::Proxy { url: "http://me:***@evil.example:8080".into() }),
        ..types::Account::default()
    };
    let wrong = account.apply(&wire, &Fields::all(&["proxy"]), NOW).unwrap_err();
    assert_eq!(wrong.0[0].field, "proxy.url");
}

#[test]
fn credentials_are_merged() {
    let mut account = make(&named()).unwrap();
    let sent =
        [("api_key", ""), ("session_key", " s ")].map(|(field, value)| (field.to_owned(), value.to_owned()));
    let wire = types::Account { credentials: sent.into(), ..types::Account::default() };
    account.apply(&wire, &Account::fields(&wire, None).unwrap(), NOW + 1).unwrap();
    assert_eq!(account.credentials.keys().collect::<Vec<_>>(), ["session_key"]);
    assert_eq!(account.credentials_changed_at_ms, NOW + 1);
    assert_eq!(account.name, "one");
}

#[test]
fn everything_that_is_wrong_is_named() {
    let wire = types::Account {
        base_url: "https://user:pw@api.example".into(),
        proxy: Some(types::Proxy { url: "ftp://proxy".into() }),
        priority: 101,
        weight: -1,
        status: "rate_limited".into(),
        model_mapping: [("claude-*".to_owned(), "x-*-y".to_owned())].into(),
        availability: "nobody".into(),
        user_agent: "a\r\nb".into(),
        ..named()
    };
    let expected = [
        "user_agent",
        "model_mapping.claude-*",
        "base_url",
        "proxy.url",
        "priority",
        "weight",
        "status",
        "availability",
    ];
    assert_eq!(refused(&wire), expected);
}

#[test]
fn a_status_ends_by_itself_and_by_hand() {
    let mut account = make(&named()).unwrap();
    account.state.status = Status::RateLimited;
    account.state.until_ms = Some(NOW + 1000);
    account.state.reason = "used up".into();
    let shown = account.to_wire(1, vec![], NOW);
    assert_eq!((shown.status.as_str(), shown.status_reason.as_str()), ("rate_limited", "used up"));
    let later = account.to_wire(1, vec![], NOW + 1000);
    assert_eq!((later.status.as_str(), later.status_until), ("active", None));
    account.apply(&shown, &Fields::all(&["status"]), NOW).unwrap();
    assert_eq!(account.state.status, Status::RateLimited, "sending back what was read changes nothing");
    account.state.reset();
    assert_eq!((account.state.status, account.state.generation), (Status::Active, 1));
}
