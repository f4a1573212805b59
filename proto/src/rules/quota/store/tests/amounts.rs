//! Amounts (tokens, cost), and windows that slide.

use super::*;

fn need(bench: &mut Bench, epoch: &str, waiting: i64, least: i64) -> Outcome {
    bench.lease(epoch, None, Some(Want { waiting, least, rate: 0 }))
}

#[test]
fn less_than_the_first_request_needs_is_not_granted() {
    let mut bench = Bench::new(Meter::Tokens, 1_000);
    assert_eq!(granted(&need(&mut bench, "a", 600, 600)), 600);
    let outcome = need(&mut bench, "b", 500, 500);
    assert_eq!(granted(&outcome), 0, "400 would be of no use to it, and others may need them");
    let dry = outcome.exhausted.unwrap();
    assert_eq!((dry.used, dry.leased, dry.amount), (0, 600, 1_000));
    assert_eq!(outcome.reclaims[0].amount, 500);
    assert_eq!(granted(&need(&mut bench, "c", 400, 400)), 400, "a smaller one is served");
    // The first gives back too little, then enough: only then is the waiting one told.
    assert!(bench.report("a", 100, 400).hints.is_empty());
    assert_eq!(bench.report("a", 100, 500).hints[0].epoch, "b");
}

#[test]
fn what_was_used_beyond_its_reservation_is_made_good_first() {
    let mut bench = Bench::new(Meter::Cost, 1_000);
    assert_eq!(granted(&need(&mut bench, "a", 400, 400)), 400);
    let outcome = bench.report("a", 700, 0);
    assert_eq!(granted(&outcome), 700);
    assert_eq!(bench.row.free(1_000), 300);
    assert!(need(&mut bench, "b", 400, 400).exhausted.is_some());
    bench.report("a", 1_200, 0);
    assert_eq!(bench.row.free(1_000), -200);
}

/// A sliding window of a minute: buckets of a second.
fn sliding(meter: Meter, amount: i64) -> Bench {
    let mut bench = Bench::new(meter, amount);
    bench.policy.window = window::Spec::Sliding { minutes: 1 };
    bench
}

#[test]
fn what_was_used_counts_for_the_window_and_at_most_a_sixtieth_longer() {
    let mut bench = sliding(Meter::Requests, 2);
    bench.now = NOW + 500;
    bench.want("a", 1, 0);
    bench.report("a", 1, 0);
    bench.now = NOW + 10_000;
    bench.want("a", 1, 0);
    bench.report("a", 2, 0);
    assert_eq!((bench.row.used(), bench.row.free(2)), (2, 0));
    let dry = bench.want("a", 1, 0).exhausted.unwrap();
    assert_eq!((dry.retry_in_ms, dry.resets_in_ms), (51_000, 51_000));
    let dry = bench.want("a", 2, 0).exhausted.unwrap();
    assert_eq!(dry.retry_in_ms, 51_000, "one of two helps already");
    bench.now = NOW + 60_999;
    assert!(bench.want("a", 1, 0).exhausted.is_some());
    bench.now = NOW + 61_000;
    assert!(bench.want("a", 1, 0).exhausted.is_none());
    assert_eq!(bench.row.used(), 1);
}

#[test]
fn a_report_of_old_totals_counts_only_what_is_new() {
    let mut bench = sliding(Meter::Tokens, 1_000);
    need(&mut bench, "a", 900, 900);
    bench.report("a", 300, 0);
    bench.report("a", 300, 0);
    assert_eq!((bench.row.used(), bench.row.leased()), (300, 600));
    bench.now = NOW + 30_000;
    bench.report("a", 400, 0);
    bench.now = NOW + 61_000;
    assert_eq!(bench.report("a", 400, 0).grant.unwrap().spent, 400);
    assert_eq!((bench.row.used(), bench.row.leased()), (100, 500), "what is held counts all the time");
}

#[test]
fn what_a_silent_node_held_leaves_the_window_in_the_end() {
    let mut bench = sliding(Meter::Requests, 10);
    bench.want("a", 10, 0);
    bench.now = NOW + TTL + 60_999;
    assert!(bench.want("b", 1, 0).exhausted.is_some());
    bench.now = NOW + TTL + 61_000;
    assert!(bench.want("b", 1, 0).exhausted.is_none());
    // Who returns is told that it holds nothing any more.
    let grant = bench.report("a", 4, 0).grant.unwrap();
    assert_eq!(grant.granted - grant.returned - grant.spent, 0);
}

#[test]
fn the_end_of_an_epoch_uses_up_what_it_held_of_a_sliding_window() {
    let mut bench = sliding(Meter::Cost, 100);
    need(&mut bench, "a", 60, 60);
    bench.report("a", 10, 0);
    bench.apply(Op::End { epoch: "a".into() });
    let counted = bench.row.used() + bench.row.leased();
    assert!(bench.row.leased() == 0 && counted >= 60, "{:?}", bench.row);
    bench.now = NOW + 61_000;
    assert!(need(&mut bench, "b", 100, 100).exhausted.is_none());
    bench.now = NOW + 130_000;
    bench.apply(Op::Tick);
    assert!(bench.row.holders.contains_key("b") && !bench.row.holders.contains_key("a"));
}

#[test]
fn g3_after_a_failover_nothing_is_granted_until_leases_are_declared_or_have_run_out() {
    let mut bench = Bench::new(Meter::Requests, 10);
    bench.want("a", 4, 0);
    let before = bench.row.clone();
    bench.want("b", 6, 0);
    // The grant to `b` is lost with the old server.
    bench.row = before;
    bench.row.doubt(bench.now, TTL);
    let outcome = bench.want("c", 6, 0);
    let dry = outcome.exhausted.unwrap();
    assert_eq!((granted(&outcome), dry.retry_in_ms, dry.amount), (0, RECLAIM_ROUND_MS, 0));
    // `b` declares what it has used: it counts.
    bench.report("b", 6, 0);
    bench.now += TTL - 1;
    assert_eq!(granted(&bench.want("c", 6, 0)), 0);
    bench.now += 1;
    let outcome = bench.want("c", 6, 0);
    assert_eq!((granted(&outcome), bench.row.free(10)), (0, 0), "4 and 6 are out");
    assert_eq!(outcome.exhausted.unwrap().amount, 10);
}
