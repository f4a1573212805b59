//! Which word of an upstream wins.

use super::*;

const NOW: i64 = 1_000_000;

fn event(state: &str, until_ms: i64) -> AccountEvent {
    AccountEvent {
        account_id: "a".into(),
        at_ms: NOW,
        state: state.into(),
        until_ms,
        ..AccountEvent::default()
    }
}

fn after(events: &[AccountEvent]) -> (Account, Vec<bool>) {
    let mut account = Account::default();
    let changed = events.iter().map(|event| merge(&mut account, event, NOW)).collect();
    (account, changed)
}

#[test]
fn the_later_end_wins_whatever_the_order() {
    let (early, late) = (event("overloaded", NOW + 10_000), event("rate_limited", NOW + 60_000));
    for (events, changed) in
        [([early.clone(), late.clone()], [true, true]), ([late.clone(), early.clone()], [true, false])]
    {
        let (account, did) = after(&events);
        assert_eq!((account.state.status, account.state.until_ms), (Status::RateLimited, Some(NOW + 60_000)));
        assert_eq!(did, changed);
    }
}

#[test]
fn a_block_without_end_outlives_one_with_an_end() {
    let (account, changed) = after(&[event("unauthorized", 0), event("rate_limited", NOW + 60_000)]);
    assert_eq!(account.state.status, Status::Unauthorized);
    assert_eq!(changed, [true, false]);
}

#[test]
fn the_same_word_of_many_nodes_is_written_once() {
    let (_, changed) = after(&[event("overloaded", NOW + 30_000), event("overloaded", NOW + 30_400)]);
    assert_eq!(changed, [true, false]);
    let (_, changed) = after(&[event("unauthorized", 0), event("unauthorized", 0)]);
    assert_eq!(changed, [true, false]);
}

#[test]
fn a_success_recovers_unless_it_is_older_than_the_block() {
    let mut older = event("active", 0);
    older.at_ms = NOW - 1;
    let (account, changed) = after(&[event("error", 0), older, event("active", 0)]);
    assert_eq!(account.state.status, Status::Active);
    assert_eq!(changed, [true, false, true]);
}

#[test]
fn what_is_over_or_from_before_a_reset_is_ignored() {
    let mut account = Account::default();
    account.state.generation = 2;
    assert!(!merge(&mut account, &event("error", 0), NOW));
    let mut current = event("rate_limited", NOW - 1);
    current.state_generation = 2;
    assert!(!merge(&mut account, &current, NOW));
}

#[test]
fn a_hand_is_above_verdicts() {
    let mut account = Account::default();
    account.state.status = Status::Disabled;
    assert!(!merge(&mut account, &event("active", 0), NOW));
}

#[test]
fn families_are_blocked_apart() {
    let mut opus = event("rate_limited", NOW + 60_000);
    opus.family = "opus".into();
    let (account, _) = after(&[opus]);
    assert_eq!(account.state.status, Status::Active);
    assert_eq!(account.state.family_blocks["opus"].until_ms, NOW + 60_000);
}
