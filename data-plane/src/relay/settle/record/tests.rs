//! What is written by hand is what `prost` would have written, and fits.

use std::sync::Arc;

use proto::{
    node::{AccountEntry, Entry, Revision, SnapshotChunk, entry},
    types::{Attempt, Candidate, Cost, LimitConsulted, TokenUsage, UsageRecord},
};
use snapshot::{Account, Facts, Handle, PlatformFacts};
use uuid::Uuid;

use super::*;
use crate::records::AttemptIntent;

struct Any;

impl PlatformFacts for Any {
    fn facts(&self, _: &str) -> Option<Facts> {
        Some(Facts { family: "claude", service: "claude", dialect: "anthropic_messages", also: Vec::new() })
    }
}

fn account() -> Arc<Account> {
    let entry = AccountEntry { id: "acc".into(), platform: "plat".into(), ..AccountEntry::default() };
    let handle = Handle::new(&Any);
    let chunk = SnapshotChunk {
        revision: Some(Revision::default()),
        entries: vec![Entry { entry: Some(entry::Entry::Account(entry)) }],
        last: true,
        ..SnapshotChunk::default()
    };
    handle.apply_chunk(chunk).unwrap();
    Arc::clone(handle.current().all_accounts().next().unwrap())
}

fn tried() -> Tried {
    let mut tried =
        Tried::begun(Uuid::from_u128(7), account(), Some("grp".into()), "sent".into(), 1_700_000_000_000_001);
    tried.usage = Some(TokenUsage { input: 3, output: -1, ..TokenUsage::default() });
    tried.cost = Some(Cost { real: 5, formula: "f".into(), price_model: "p".into(), ..Cost::default() });
    (tried.status, tried.outcome, tried.verdict) = (200, "ok", "fine");
    (tried.first_event_us, tried.total_us, tried.estimated) = (10, 20, true);
    tried.model_served = "served".into();
    tried.service_tier = "standard".into();
    tried.choice = "binding";
    tried.upstream_request_id = "up".into();
    tried
}

fn about(tags: &[String]) -> About<'_> {
    About {
        request_id: "req",
        key_id: "key",
        user_id: "user",
        tags,
        dialect: "anthropic_messages",
        operation: "messages",
        model: "model",
        client_kind: "curl",
        started_us: 1_700_000_000_000_000,
        streaming: true,
        request_bytes: 300,
    }
}

fn came(attempts: &[Tried]) -> Came<'_> {
    Came {
        attempts,
        first_byte_us: 11,
        total_us: 22,
        status: 200,
        outcome: "ok",
        node_id: "node",
        response_bytes: 400,
    }
}

#[test]
fn an_intent_reads_back_and_is_written_as_prost_would() {
    let (tags, mut scratch) = (vec!["a".to_owned(), String::new()], Scratch::default());
    let intended = Intended { input_tokens: 5, output_tokens: 6, multiplier: 1.5 };
    scratch.intent(&about(&tags), &tried(), &intended);
    let read = AttemptIntent::decode(scratch.whole.as_slice()).unwrap();
    assert_eq!(read.encode_to_vec(), scratch.whole);
    let expected = AttemptIntent {
        version: INTENT_VERSION,
        request_id: "req".into(),
        attempt_id: Uuid::from_u128(7).to_string(),
        key_id: "key".into(),
        user_id: "user".into(),
        tags,
        dialect: "anthropic_messages".into(),
        operation: "messages".into(),
        model: "model".into(),
        client_kind: "curl".into(),
        account_id: "acc".into(),
        platform: "plat".into(),
        group_id: "grp".into(),
        model_sent: "sent".into(),
        request_started_us: 1_700_000_000_000_000,
        started_us: 1_700_000_000_000_001,
        input_tokens: 5,
        output_tokens: 6,
        streaming: true,
        request_bytes: 300,
        multiplier: 1.5,
    };
    assert_eq!(read, expected);
}

#[test]
fn a_record_reads_back_and_is_written_as_prost_would() {
    let (tags, mut scratch) = (vec!["a".to_owned()], Scratch::default());
    let explanation = Explanation { choice: "pinned".into(), ..Explanation::default() };
    scratch.record(&about(&tags), &came(&[tried(), tried()]), explanation.clone());
    let read = UsageRecord::decode(scratch.whole.as_slice()).unwrap();
    assert_eq!(read.encode_to_vec(), scratch.whole);
    let attempt = Attempt {
        id: Uuid::from_u128(7).to_string(),
        account_id: "acc".into(),
        platform: "plat".into(),
        group_id: "grp".into(),
        model_sent: "sent".into(),
        model_served: "served".into(),
        usage: tried().usage,
        cost: tried().cost,
        status: 200,
        outcome: "ok".into(),
        estimated: true,
        upstream_request_id: "up".into(),
        started_at: Some(timestamp(1_700_000_000_000_001)),
        first_event_us: 10,
        total_us: 20,
        verdict: "fine".into(),
        service_tier: "standard".into(),
        choice: "binding".into(),
    };
    let expected = UsageRecord {
        request_id: "req".into(),
        key_id: "key".into(),
        user_id: "user".into(),
        tags,
        dialect: "anthropic_messages".into(),
        operation: "messages".into(),
        model: "model".into(),
        client_kind: "curl".into(),
        attempts: vec![attempt.clone(), attempt.clone()],
        started_at: Some(timestamp(1_700_000_000_000_000)),
        first_byte_us: 11,
        total_us: 22,
        status: 200,
        outcome: "ok".into(),
        streaming: true,
        estimated: true,
        node_id: "node".into(),
        explanation: Some(explanation),
        request_bytes: 300,
        response_bytes: 400,
        unpriced: false,
        refusal: None,
    };
    assert_eq!(read, expected);
    let without = || Tried { cost: None, ..tried() };
    scratch.record(&about(&expected.tags), &came(&[tried(), without()]), Explanation::default());
    assert!(UsageRecord::decode(scratch.whole.as_slice()).unwrap().unpriced);
    scratch.note(&tried());
    assert_eq!(Attempt::decode(scratch.whole.as_slice()).unwrap(), attempt);
}

#[test]
fn what_does_not_fit_loses_what_explains_before_what_counts() {
    let (tags, mut scratch) = (vec!["t".repeat(6_000)], Scratch::default());
    let candidates = vec![Candidate { account_id: "x".repeat(100), reason: "busy".into() }; 32];
    let explanation = Explanation { candidates, ..Explanation::default() };
    scratch.record(&about(&tags), &came(&[tried()]), explanation);
    let read = UsageRecord::decode(scratch.whole.as_slice()).unwrap();
    assert!(scratch.whole.len() <= MAX_PAYLOAD && read.explanation.is_none() && read.tags == tags);
    let tags = vec!["t".repeat(9_000)];
    scratch.record(&about(&tags), &came(&[tried()]), Explanation::default());
    let read = UsageRecord::decode(scratch.whole.as_slice()).unwrap();
    assert!(scratch.whole.len() <= MAX_PAYLOAD && read.tags.is_empty());
    assert_eq!(read.attempts[0].usage, tried().usage);
    scratch.intent(&about(&tags), &tried(), &Intended { input_tokens: 1, output_tokens: 0, multiplier: 1.0 });
    assert!(scratch.whole.len() <= MAX_PAYLOAD);
}

#[test]
fn an_explanation_is_shortened_and_what_was_dropped_is_counted() {
    let candidate = |n: usize| Candidate { account_id: format!("{n:0>200}"), reason: "busy".into() };
    let limit = LimitConsulted { limit_id: "x".repeat(300), ..LimitConsulted::default() };
    let mut explanation = Explanation {
        candidates: (0..32).map(candidate).collect(),
        limits: vec![limit; 8],
        ..Explanation::default()
    };
    shorten(&mut explanation);
    assert!(explanation.encoded_len() <= EXPLANATION);
    assert_eq!(explanation.candidates.len() + explanation.passed_over["busy"] as usize, 32);
    assert_eq!(explanation.limits.len(), 8);
}

#[test]
fn times_before_1970_and_after_are_told() {
    assert_eq!(timestamp(1_500_000).nanos, 500_000_000);
    assert_eq!(timestamp(-1), Timestamp { seconds: -1, nanos: 999_999_000 });
}
