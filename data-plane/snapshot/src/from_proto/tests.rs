//! What is refused, and how the rest is read.

use proto::types::{AccountBinding, Limit, ModelRule as WireRule};

use super::*;
use crate::{Facts, Life};

struct Platforms;
impl PlatformFacts for Platforms {
    fn facts(&self, slug: &str) -> Option<Facts> {
        (slug == "p").then_some(Facts { family: "claude", service: "s", dialect: "d", also: Vec::new() })
    }
}

fn wire_key() -> node::KeyEntry {
    let hash = node::KeyHash { scheme: "hmac-sha256".into(), digest: vec![7; 32], until_ms: 0 };
    node::KeyEntry {
        id: "k".into(),
        name: "name".into(),
        hashes: vec![hash],
        active: true,
        ..Default::default()
    }
}

fn refused(change: impl FnOnce(&mut node::KeyEntry)) -> String {
    let mut wire = wire_key();
    change(&mut wire);
    key(&wire).unwrap_err()
}

#[test]
fn a_key_that_is_not_understood_is_refused_as_a_whole() {
    assert!(refused(|key| key.id.clear()).contains("no id"));
    assert!(refused(|key| key.hashes[0].scheme = "md5".into()).contains("`md5`"));
    assert!(refused(|key| key.hashes[0].digest = vec![1]).contains("32 bytes"));
    assert!(refused(|key| key.networks = vec!["10.0.0.0/99".into()]).contains("10.0.0.0/99"));
    assert!(
        refused(|key| key.models = Some(WireRule { mode: "maybe".into(), patterns: vec![] }))
            .contains("maybe")
    );
    assert!(
        refused(|key| drop(key.account_binding.insert("claude".into(), AccountBinding::default())))
            .contains("binding")
    );
    assert!(
        refused(|key| key.service_multipliers = [("s".to_owned(), f64::NAN)].into()).contains("multiplier")
    );
    let limit = Limit { id: "l".into(), meter: "dreams".into(), amount: 1, ..Default::default() };
    assert!(refused(|key| key.limits = vec![limit]).contains("limit `l`"));
}

#[test]
fn a_key_permits_what_it_says() {
    let mut wire = wire_key();
    wire.permissions = vec!["codex".into(), "claude".into()];
    wire.models = Some(WireRule { mode: "deny".into(), patterns: vec!["*opus*".into()] });
    wire.clients = vec!["claude_code".into()];
    wire.networks = vec!["10.0.0.0/8".into()];
    let key = key(&wire).unwrap();
    assert!(key.permits_family("openai") && key.permits_family("claude") && !key.permits_family("gemini"));
    assert!(key.permits_model("claude-sonnet") && !key.permits_model("Claude-OPUS-4"));
    assert!(
        key.permits_client(Some("claude_code"))
            && !key.permits_client(Some("x"))
            && !key.permits_client(None)
    );
    assert!(
        key.permits_address("10.1.1.1".parse().unwrap()) && !key.permits_address("1.1.1.1".parse().unwrap())
    );
    let all = super::key(&node::KeyEntry { permissions: vec!["claude".into(), "all".into()], ..wire_key() })
        .unwrap();
    assert!(all.permits_family("gemini") && all.permits_model("any") && all.permits_client(None));
}

#[test]
fn a_key_ends_in_both_modes() {
    let at = |expires_at_ms, activation_ms| {
        key(&node::KeyEntry { expires_at_ms, activation_ms, ..wire_key() }).unwrap()
    };
    assert_eq!(at(0, 0).life(5, None), Life::Endless);
    assert_eq!(at(10, 0).life(9, None), Life::Until(10));
    assert_eq!(at(10, 0).life(10, None), Life::Ended(10));
    assert_eq!(at(0, 100).life(5, None), Life::Begins(100));
    assert_eq!(at(0, 100).life(50, Some(5)), Life::Until(105));
    assert_eq!(at(0, 100).life(105, Some(5)), Life::Ended(105));
    // The store has decided: its word holds over what this node saw.
    assert_eq!(at(90, 100).life(91, Some(5)), Life::Ended(90));
}

#[test]
fn a_queue_that_nobody_could_wait_in_is_none() {
    let queue = |enabled, max_size, seconds| {
        let timeout = Some(prost_types::Duration { seconds, nanos: 0 });
        let queue = Some(types::Queue { enabled, max_size, timeout });
        key(&node::KeyEntry { queue, ..wire_key() }).unwrap().queue
    };
    let some = Queue { max_size: 3, timeout: Duration::from_secs(2) };
    assert_eq!(queue(true, 3, 2), Some(Some(some)));
    assert_eq!(
        (queue(false, 3, 2), queue(true, 0, 2), queue(true, 3, 0)),
        (Some(None), Some(None), Some(None))
    );
    let silent = key(&wire_key()).unwrap();
    assert_eq!((silent.queue_or(Some(some)), silent.queue_or(None)), (Some(some), None));
}

#[test]
fn an_account_takes_its_platforms_facts() {
    let wire = node::AccountEntry {
        id: "a".into(),
        platform: "p".into(),
        supported_models: vec!["claude-*".into()],
        expires_at_ms: 10,
        ..Default::default()
    };
    let read = account(&wire, &Platforms).unwrap();
    assert_eq!((read.family, read.service, read.dialect, read.weight), ("claude", "s", "d", 1));
    assert!(read.serves("Claude-x") && !read.serves("gpt"));
    assert!(read.expired(10) && !read.expired(9));
    let unknown = node::AccountEntry { platform: "q".into(), ..wire.clone() };
    assert!(account(&unknown, &Platforms).unwrap_err().contains("`q`"));
    let odd = node::AccountEntry { availability: "sometimes".into(), ..wire };
    assert!(account(&odd, &Platforms).unwrap_err().contains("sometimes"));
}

#[test]
fn settings_have_defaults_and_need_a_pepper() {
    let wire = node::SettingsEntry { key_pepper: vec![1; 32], max_attempts: 9, ..Default::default() };
    let read = settings(&wire).unwrap();
    assert_eq!((read.max_attempts, read.first_event_timeout), (5, Duration::from_secs(120)));
    assert_eq!((read.time_zone.as_str(), read.unknown_price), ("Asia/Shanghai", UnknownPrice::Serve));
    assert!(settings(&node::SettingsEntry::default()).is_err());
    let odd = |unknown_price: &str| {
        settings(&node::SettingsEntry { unknown_price: unknown_price.into(), ..wire.clone() })
    };
    assert_eq!(odd("price_as:m").unwrap().unknown_price, UnknownPrice::PriceAs("m".into()));
    assert!(odd("price_as:").is_err() && odd("x").is_err());
}

#[test]
fn g2_no_secret_is_printed_and_none_is_in_a_refusal() {
    let wire = node::AccountEntry {
        id: "a".into(),
        platform: "p".into(),
        credentials: [("api_key".to_owned(), "sk-canary".to_owned())].into(),
        proxy_url: "http://u:canary@proxy".into(),
        ..Default::default()
    };
    assert!(!format!("{:?}", account(&wire, &Platforms).unwrap()).contains("canary"));
    let odd = node::AccountEntry { availability: "x".into(), ..wire };
    assert!(!account(&odd, &Platforms).unwrap_err().contains("canary"));
    let wire = node::SettingsEntry { key_pepper: b"canary".to_vec(), ..Default::default() };
    assert!(!format!("{:?}", settings(&wire).unwrap()).contains("canary"));
    assert!(!format!("{:?}", key(&wire_key()).unwrap()).contains("[7, 7"));
}
