//! The node's lease, message by message. What holds in every order of messages is in the model test.

use super::*;

const TTL: i64 = 10_000;

fn grant(window_id: &str, granted: i64, ends_in_ms: i64) -> Grant {
    Grant {
        window_id: window_id.into(),
        generation: 0,
        granted,
        ends_in_ms,
        suspect: false,
        spent: 0,
        returned: 0,
    }
}

fn answered(sequence: u64, sent_at: i64) -> Answered {
    Answered { sequence, sent_at, ttl_ms: TTL }
}

/// A lease that has asked with sequence 1 at 0 and was granted so many units of `w:1`.
fn leased(meter: Meter, granted: i64) -> Lease {
    let mut lease = Lease::new(meter, 0);
    assert_eq!(lease.collect(1, Need::ones(1), 0).want, Some(Want { waiting: 1, least: 1, rate: 0 }));
    let (window, ends_in) = if meter == Meter::Requests { ("w:1", 60_000) } else { ("", 0) };
    lease.on_grant(answered(1, 0), &grant(window, granted, ends_in), 5);
    lease
}

fn spend(lease: &mut Lease, now: i64) -> bool {
    lease.take(1, now).is_some_and(|unit| lease.commit(unit, now))
}

fn dry(retry_in_ms: i64) -> Exhausted {
    Exhausted { retry_in_ms, used: 3, leased: 0, resets_in_ms: 60_000, amount: 3 }
}

#[test]
fn a_lease_is_used_until_0_8_of_its_life_counted_from_the_question() {
    let mut lease = leased(Meter::Requests, 5);
    assert!(spend(&mut lease, 7_999));
    assert!(!spend(&mut lease, 8_000));
    // The renewal was sent at 7000, whenever its answer comes.
    lease.on_grant(answered(2, 7_000), &grant("w:1", 5, 53_000), 9_500);
    assert!(spend(&mut lease, 14_999) && !spend(&mut lease, 15_000));
}

#[test]
fn a_window_ends_for_the_node_no_later_than_for_the_store() {
    let mut lease = leased(Meter::Requests, 5);
    lease.on_grant(answered(2, 55_000), &grant("w:1", 5, 4_000), 58_000);
    assert!(spend(&mut lease, 59_999) && !spend(&mut lease, 60_000));
    assert!(lease.collect(3, Need::ones(1), 60_000).want.is_some(), "and the next one is asked for");
}

/// Two meters that had both rested gave each other's units back for ever: whoever waited for one lost the other.
#[test]
fn a_unit_that_was_taken_is_kept_for_a_while_however_long_the_lease_had_rested() {
    for meter in [Meter::Requests, Meter::Concurrency] {
        let mut lease = leased(meter, 1);
        let (window, ends_in) = if meter == Meter::Requests { ("w:1", 40_000) } else { ("", 0) };
        lease.on_grant(answered(2, 20_000), &grant(window, 1, ends_in), 20_001);
        let unit = lease.take(1, 20_002).unwrap();
        lease.cancel(unit);
        assert_eq!(
            lease.collect(3, Need::ones(0), 20_003).report.map_or(0, |report| report.returned),
            0,
            "{meter:?}"
        );
        assert!(lease.take(1, 20_500).is_some(), "{meter:?}");
    }
}

#[test]
fn what_is_overtaken_or_of_another_life_is_not_believed() {
    let mut lease = leased(Meter::Requests, 5);
    lease.on_grant(answered(3, 100), &grant("w:1", 9, 59_000), 200);
    lease.on_grant(answered(2, 50), &grant("w:1", 7, 59_000), 210);
    assert_eq!(lease.figures(300).free, 9);
    let mut fresh = Lease::new(Meter::Requests, 300);
    fresh.on_grant(answered(3, 100), &grant("w:1", 9, 59_000), 310);
    assert_eq!(fresh.figures(320).free, 0, "an answer to what was forgotten");
    assert!(fresh.collect(5, Need::ones(1), 330).want.is_some());
    fresh.on_grant(answered(4, 320), &grant("w:1", 9, 59_000), 340);
    assert_eq!(fresh.figures(350).free, 0, "also once something was asked anew");
}

#[test]
fn a_window_that_began_earlier_never_comes_back() {
    let mut lease = leased(Meter::Requests, 5);
    lease.on_grant(answered(2, 100), &grant("w:2", 3, 60_000), 110);
    lease.on_grant(answered(3, 120), &grant("w:1", 5, 60_000), 130);
    lease.on_grant(answered(4, 140), &grant("", 0, 0), 150);
    assert_eq!((&*lease.figures(200).window_id, lease.figures(200).free), ("w:2", 3));
}

#[test]
fn a_higher_generation_ends_the_lease_and_units_of_the_old_one_are_void() {
    let mut lease = leased(Meter::Requests, 5);
    let unit = lease.take(1, 10).unwrap();
    let next = Grant { generation: 1, ..grant("", 0, 0) };
    lease.on_grant(answered(2, 10), &next, 20);
    assert!(!lease.commit(unit, 30));
    assert_eq!(lease.figures(30).free, 0);
    lease.on_grant(answered(3, 30), &Grant { generation: 1, ..grant("w:9", 2, 60_000) }, 40);
    assert_eq!(lease.figures(50).free, 2);
    lease.on_grant(answered(4, 40), &grant("w:99", 50, 60_000), 60);
    assert_eq!(lease.figures(70).free, 2, "lower generations are over");
}

#[test]
fn one_question_at_a_time_and_again_after_a_second() {
    let mut lease = Lease::new(Meter::Requests, 0);
    assert!(lease.collect(1, Need::ones(4), 0).want.is_some());
    assert_eq!(lease.collect(2, Need::ones(5), 999), Outgoing::default());
    assert_eq!(lease.collect(3, Need::ones(5), 1_000).want.map(|want| want.waiting), Some(5));
}

#[test]
fn exhaustion_is_believed_until_it_ends_or_a_push() {
    let mut lease = leased(Meter::Requests, 0);
    lease.on_exhausted(answered(1, 0), dry(60_000), 5);
    assert!(matches!(lease.outlook(10, 3, 1), Outlook::Exhausted { at: 60_000, .. }));
    assert!(lease.collect(2, Need::ones(1), 59_999).want.is_none());
    assert_eq!(lease.outlook(10, 4, 1), Outlook::Asking, "another amount is another question");
    lease.on_hint(20);
    assert_eq!(lease.outlook(30, 3, 1), Outlook::Asking);
    assert!(lease.collect(3, Need::ones(1), 30).want.is_some());
}

#[test]
fn a_push_that_overtakes_the_answer_is_not_lost() {
    let mut lease = leased(Meter::Requests, 0);
    assert!(lease.collect(2, Need::ones(1), 100).want.is_some());
    lease.on_hint(110);
    lease.on_exhausted(answered(2, 100), dry(60_000), 120);
    assert!(lease.collect(3, Need::ones(1), 121).want.is_some());
}

#[test]
fn a_round_of_asking_others_is_worth_waiting_for() {
    let mut lease = leased(Meter::Concurrency, 0);
    lease.on_exhausted(answered(1, 0), dry(80), 5);
    assert_eq!(lease.outlook(10, 3, 1), Outlook::Soon { at: 80 });
    assert_eq!(lease.next_due(Need::ones(1), 10), Some(80));
}

#[test]
fn what_is_idle_is_given_back_when_others_ask_and_after_a_while() {
    let mut lease = leased(Meter::Requests, 5);
    assert!(spend(&mut lease, 10));
    lease.reclaim(3, Need::ones(0), 20);
    let report = lease.collect(2, Need::ones(0), 20).report.unwrap();
    assert_eq!((report.spent, report.returned), (1, 3));
    lease.reclaim(3, Need::ones(1), 30);
    assert_eq!(
        lease.collect(3, Need::ones(0), 30).report.unwrap().returned,
        3,
        "its own requests wait: an answer all the same"
    );
    let report = lease.collect(4, Need::ones(0), 10_010).report.unwrap();
    assert_eq!((report.spent, report.returned), (1, 4));
}

#[test]
fn a_slot_that_others_wait_for_goes_back_as_it_ends() {
    let mut lease = leased(Meter::Concurrency, 2);
    let units = [lease.take(1, 10).unwrap(), lease.take(1, 10).unwrap()];
    assert!(units.iter().all(|unit| lease.commit(*unit, 10)));
    lease.reclaim(1, Need::ones(0), 20);
    assert_eq!(lease.collect(2, Need::ones(0), 20).report.unwrap().returned, 0);
    lease.end(units[0], 0, 30);
    assert_eq!(lease.collect(3, Need::ones(0), 30).report.unwrap().returned, 1);
    lease.end(units[1], 0, 40);
    assert_eq!(lease.figures(50).free, 1, "the second stays in hand");
}

#[test]
fn a_question_without_answer_is_followed_up_though_nobody_waits() {
    let mut lease = Lease::new(Meter::Concurrency, 0);
    assert!(lease.collect(1, Need::ones(1), 0).want.is_some());
    assert!(!lease.is_forgettable(100_000, 0), "the store may hold a slot for us");
    assert_eq!(lease.collect(2, Need::ones(0), 1_000).report, Some(Report::default()));
    lease.on_grant(answered(2, 1_000), &grant("", 1, 0), 1_010);
    assert_eq!(lease.collect(3, Need::ones(0), 3_100).report.unwrap().returned, 1);
}

#[test]
fn only_what_the_store_has_confirmed_may_be_forgotten() {
    let mut lease = leased(Meter::Requests, 1);
    assert!(spend(&mut lease, 10));
    assert!(!lease.is_forgettable(30_000, 0));
    assert_eq!(lease.collect(2, Need::ones(0), 600).report.map(|report| report.spent), Some(1));
    lease.on_grant(answered(2, 600), &Grant { spent: 1, ..grant("w:1", 1, 59_000) }, 610);
    assert!(lease.is_forgettable(30_000, 0) && !lease.is_forgettable(30_000, 1));
    // And who forgot takes over what the store knows.
    let mut fresh = Lease::new(Meter::Requests, 30_000);
    assert!(fresh.collect(3, Need::ones(1), 30_000).want.is_some());
    fresh.on_grant(answered(3, 30_000), &Grant { spent: 1, ..grant("w:1", 2, 29_000) }, 30_010);
    assert_eq!(fresh.figures(30_020).free, 1);
}

#[test]
fn a_reserve_is_asked_for_before_the_last_unit_is_gone() {
    let mut lease = leased(Meter::Requests, 20);
    for _ in 0..16 {
        assert!(spend(&mut lease, 500));
    }
    assert_eq!(lease.next_due(Need::ones(0), 500), Some(500));
    assert_eq!(lease.collect(2, Need::ones(0), 500).want, Some(Want { waiting: 0, least: 0, rate: 16 }));
    lease.on_grant(answered(2, 500), &Grant { spent: 16, ..grant("w:1", 20, 59_000) }, 510);
    assert!(lease.collect(3, Need::ones(0), 520).want.is_none(), "not again while it is refused");
}

#[test]
fn a_new_stream_declares_everything_again() {
    let mut lease = leased(Meter::Requests, 5);
    assert_eq!(lease.collect(2, Need::ones(0), 10), Outgoing::default());
    lease.reconnected();
    assert!(lease.collect(3, Need::ones(0), 20).report.is_some());
}
