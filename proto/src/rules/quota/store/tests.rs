//! The row, step by step. What holds in every order of steps is in the model test.

use proptest::prelude::*;

use super::*;
use crate::rules::quota::RECLAIM_ROUND_MS;

mod amounts;

const NOW: i64 = 1_800_000_000_000;
const TTL: i64 = 10_000;

fn policy(meter: Meter, amount: i64) -> Policy {
    Policy {
        meter,
        amount,
        window: window::Spec::Fixed { minutes: 5 },
        zone: TimeZone::UTC,
        ttl_ms: TTL,
        orphans: Orphans::Hold { longest_stream_ms: 60_000 },
    }
}

/// A row with its policy and a message counter.
struct Bench {
    row: Row,
    policy: Policy,
    now: i64,
    sequence: u64,
}

impl Bench {
    fn new(meter: Meter, amount: i64) -> Self {
        Self { row: Row::default(), policy: policy(meter, amount), now: NOW, sequence: 0 }
    }

    fn lease(&mut self, epoch: &str, report: Option<Report>, want: Option<Want>) -> Outcome {
        self.sequence += 1;
        let (node, epoch) = (format!("node-{epoch}"), epoch.to_owned());
        let op = Op::Lease { node, epoch, sequence: self.sequence, report, want };
        self.row.apply(self.now, &self.policy, &op)
    }

    fn want(&mut self, epoch: &str, waiting: i64, rate: i64) -> Outcome {
        self.lease(epoch, None, Some(Want { waiting, least: 1, rate }))
    }

    fn report(&mut self, epoch: &str, spent: i64, returned: i64) -> Outcome {
        let (window_id, generation) = (self.row.window_id.clone(), self.row.generation);
        self.lease(epoch, Some(Report { window_id, generation, spent, returned }), None)
    }

    fn apply(&mut self, op: Op) -> Outcome {
        self.row.apply(self.now, &self.policy, &op)
    }
}

fn granted(outcome: &Outcome) -> i64 {
    outcome.grant.as_ref().unwrap().granted
}

#[test]
fn far_from_the_limit_grants_are_large_and_close_to_it_single() {
    let mut bench = Bench::new(Meter::Requests, 1_000);
    assert_eq!(granted(&bench.want("a", 1, 0)), 8, "a reserve where budget is plenty");
    assert_eq!(granted(&bench.want("a", 1, 100)), 8 + 200 - 8, "two seconds at its rate, less what it holds");
    let mut bench = Bench::new(Meter::Requests, 7);
    assert_eq!(granted(&bench.want("a", 1, 100)), 1);
    assert_eq!(granted(&bench.want("a", 3, 100)), 4, "what waits is granted while it is free");
    assert_eq!(granted(&bench.want("b", 9, 100)), 3, "and no more than is free");
    assert_eq!(bench.row.free(7), 0);
}

#[test]
fn a_reserve_opens_no_window() {
    let mut bench = Bench::new(Meter::Requests, 100);
    let outcome = bench.want("a", 0, 50);
    assert_eq!((granted(&outcome), bench.row.window_id.as_str()), (0, ""));
    bench.want("a", 1, 50);
    assert_eq!(bench.row.window_id, format!("fixed-5:{NOW}"));
    bench.now += 300_000;
    let outcome = bench.want("a", 0, 50);
    assert_eq!((granted(&outcome), bench.row.window_id.as_str()), (0, ""), "nor a second one");
}

#[test]
fn an_exhausted_window_says_until_when() {
    let mut bench = Bench::new(Meter::Requests, 2);
    bench.want("a", 2, 0);
    bench.report("a", 2, 0);
    bench.now += 60_000;
    let said = bench.want("b", 1, 0).exhausted.unwrap();
    assert_eq!(
        said,
        Exhausted { retry_in_ms: 240_000, used: 2, leased: 0, resets_in_ms: 240_000, amount: 2 }
    );
    bench.now += 240_000;
    assert!(bench.want("b", 1, 0).exhausted.is_none(), "the next window is open");
}

#[test]
fn what_others_hold_idle_is_reclaimed_at_most_once_per_round() {
    let mut bench = Bench::new(Meter::Requests, 4);
    bench.want("a", 4, 0);
    let outcome = bench.want("b", 1, 0);
    assert_eq!(outcome.reclaims, [Reclaim { node: "node-a".into(), epoch: "a".into(), amount: 1 }]);
    assert_eq!(outcome.exhausted.unwrap().retry_in_ms, RECLAIM_ROUND_MS);
    bench.now += 10;
    assert!(bench.want("c", 1, 0).reclaims.is_empty());
    let outcome = bench.report("a", 1, 3);
    let told: Vec<_> = outcome.hints.iter().map(|hint| hint.epoch.as_str()).collect();
    assert_eq!(told, ["b", "c"], "who waits longest is told first");
    assert!(bench.want("b", 1, 0).exhausted.is_none());
}

#[test]
fn who_has_waited_a_round_gets_its_answer() {
    let mut bench = Bench::new(Meter::Concurrency, 1);
    bench.want("a", 1, 0);
    assert_eq!(bench.want("b", 1, 0).exhausted.unwrap().retry_in_ms, RECLAIM_ROUND_MS);
    bench.report("a", 0, 0); // It has nothing to give back.
    bench.now += RECLAIM_ROUND_MS;
    assert_eq!(
        bench.want("b", 1, 0).exhausted.unwrap().retry_in_ms,
        0,
        "only a return helps, which is pushed"
    );
    assert_eq!(bench.report("a", 0, 1).hints.len(), 1);
    assert_eq!(granted(&bench.want("b", 1, 0)), 1);
}

#[test]
fn with_nobody_to_ask_the_answer_is_immediate() {
    let mut bench = Bench::new(Meter::Concurrency, 1);
    bench.want("a", 1, 0);
    assert_eq!(bench.want("a", 1, 0).exhausted.unwrap().retry_in_ms, 0);
}

#[test]
fn a_message_seen_twice_changes_nothing() {
    let mut bench = Bench::new(Meter::Requests, 100);
    let lease = |sequence, waiting| Op::Lease {
        node: "n".into(),
        epoch: "a".into(),
        sequence,
        report: None,
        want: Some(Want { waiting, least: 1, rate: 0 }),
    };
    let first = granted(&bench.apply(lease(2, 20)));
    assert_eq!(granted(&bench.apply(lease(2, 20))), first);
    assert_eq!(granted(&bench.apply(lease(1, 20))), first, "nor one that was overtaken");
    bench.report("a", 5, 3);
    bench.report("a", 4, 1);
    let holder = &bench.row.holders["a"];
    assert_eq!((holder.spent, holder.returned), (5, 3));
}

#[test]
fn a_silent_node_is_suspect_and_what_it_holds_stays_counted() {
    let mut bench = Bench::new(Meter::Requests, 4);
    bench.want("a", 4, 0);
    bench.now += TTL;
    let outcome = bench.want("b", 1, 0);
    assert!(bench.row.holders["a"].suspect && outcome.exhausted.is_some());
    assert!(outcome.reclaims.is_empty(), "there is nobody to ask");
    let outcome = bench.report("a", 1, 3);
    assert!(outcome.grant.unwrap().suspect, "it is told so when it is back");
    assert!(!bench.row.holders["a"].suspect);
    assert_eq!(outcome.hints.len(), 1);
}

#[test]
fn the_end_of_an_epoch_frees_slots_and_uses_up_windows() {
    let end = || Op::End { epoch: "a".into() };
    let mut bench = Bench::new(Meter::Concurrency, 3);
    bench.want("a", 3, 0);
    bench.apply(end());
    assert_eq!((bench.row.free(3), bench.row.holds("a")), (3, false));
    let mut bench = Bench::new(Meter::Requests, 3);
    bench.want("a", 2, 0);
    bench.report("a", 1, 0);
    bench.apply(end());
    assert_eq!((bench.row.free(3), bench.row.used()), (1, 2), "what it may have used counts as used");
    bench.report("a", 1, 1);
    assert_eq!(bench.row.free(3), 1, "also when a late message says otherwise");
    assert_eq!(granted(&bench.want("a", 1, 0)), 3, "and the dead get nothing more");
    assert_eq!(bench.row.free(3), 1);
}

#[test]
fn orphaned_slots_are_held_for_the_longest_stream_or_released_as_configured() {
    let mut bench = Bench::new(Meter::Concurrency, 1);
    bench.want("a", 1, 0);
    bench.now += TTL + 59_999;
    assert!(bench.want("b", 1, 0).exhausted.is_some());
    bench.now += 1;
    assert_eq!(granted(&bench.want("b", 1, 0)), 1);

    let mut bench = Bench::new(Meter::Concurrency, 1);
    bench.policy.orphans = Orphans::ReleaseAfterTtl;
    bench.want("a", 1, 0);
    bench.now += TTL;
    assert_eq!(granted(&bench.want("b", 1, 0)), 1);
}

#[test]
fn a_reset_starts_the_window_anew_under_a_higher_generation() {
    let mut bench = Bench::new(Meter::Requests, 2);
    bench.want("a", 2, 0);
    bench.want("b", 1, 0);
    let outcome = bench.apply(Op::Reset);
    assert_eq!(outcome.hints.len(), 2, "holders and waiters learn of it");
    assert_eq!((bench.row.generation, bench.row.free(2)), (1, 2));
    bench.lease("a", Some(Report { spent: 2, ..Report::default() }), None);
    assert_eq!(bench.row.free(2), 2, "what was admitted before counts before");

    let mut bench = Bench::new(Meter::Concurrency, 1);
    bench.want("a", 1, 0);
    bench.apply(Op::Reset);
    assert_eq!((bench.row.generation, bench.row.free(1)), (0, 0), "slots in use stay in use");
}

#[test]
fn a_written_off_holder_counts_what_it_reported() {
    let mut bench = Bench::new(Meter::Requests, 10);
    bench.want("a", 8, 0);
    bench.report("a", 3, 0);
    bench.apply(Op::WriteOff { epoch: "a".into() });
    assert_eq!((bench.row.free(10), bench.row.used()), (7, 3));
    bench.report("a", 5, 0);
    assert_eq!(bench.row.used(), 5, "and what it turns out to have used");
}

#[test]
fn grants_that_the_store_lost_count_as_soon_as_they_are_reported() {
    let mut bench = Bench::new(Meter::Requests, 10);
    bench.want("b", 1, 0);
    bench.report("a", 6, 0);
    assert_eq!(bench.row.used(), 6);
}

#[test]
fn a_lowered_amount_grants_nothing_and_a_window_of_another_kind_begins_anew() {
    let mut bench = Bench::new(Meter::Requests, 10);
    bench.want("a", 8, 0);
    bench.policy.amount = 5;
    assert_eq!(bench.row.free(5), -3);
    assert_eq!(bench.want("a", 1, 0).exhausted.unwrap().amount, 5);
    bench.policy.window = window::Spec::Day;
    let outcome = bench.want("a", 1, 0);
    assert_eq!((outcome.grant.unwrap().generation, bench.row.free(5)), (1, 4));
}

#[test]
fn the_clock_of_a_row_never_goes_back() {
    let mut bench = Bench::new(Meter::Requests, 1);
    bench.want("a", 1, 0);
    bench.now -= 400_000;
    assert_eq!(bench.want("b", 1, 0).exhausted.unwrap().resets_in_ms, 300_000);
}

#[test]
fn a_total_budget_settles_the_dead() {
    let mut bench = Bench::new(Meter::Requests, 1000);
    bench.policy.window = window::Spec::Total;
    for life in 0..100 {
        bench.want(&life.to_string(), 1, 0);
        bench.apply(Op::End { epoch: life.to_string() });
    }
    assert!(bench.row.holders.len() <= 33, "{}", bench.row.holders.len());
    assert!(bench.row.used() >= 100 && bench.row.used() + bench.row.free(1000) == 1000);
}

#[test]
fn only_a_row_that_says_nothing_is_blank() {
    let mut bench = Bench::new(Meter::Requests, 3);
    assert!(bench.row.is_blank(NOW));
    bench.want("a", 1, 0);
    assert!(!bench.row.is_blank(NOW) && bench.row.is_blank(NOW + 300_000));
    let mut bench = Bench::new(Meter::Concurrency, 3);
    bench.want("a", 1, 0);
    bench.report("a", 0, 1);
    assert!(!bench.row.is_blank(NOW + 300_000), "totals of living nodes are kept");
}

proptest! {
    /// Any steps in any order: the sum never exceeds the amount, and a row survives its encoding.
    #[test]
    fn the_sum_never_exceeds_the_amount(
        amount in 0..50_i64,
        concurrency in any::<bool>(),
        steps in prop::collection::vec((0..4_u8, 0..6_u8, 0..9_i64, 0..9_i64, 0..20_000_i64), 1..80),
    ) {
        let mut bench = Bench::new(if concurrency { Meter::Concurrency } else { Meter::Requests }, amount);
        for (epoch, kind, a, b, pass) in steps {
            bench.now += pass;
            let name = epoch.to_string();
            let held = bench.row.holders.get(&name).map_or(0, Holder::held);
            match kind {
                0 | 1 => drop(bench.want(&name, a, b * 10)),
                // What an honest node can say: no more than it holds.
                2 => drop(bench.report(&name, a.min(held), 0)),
                3 => {
                    let holder = bench.row.holders.get(&name).cloned().unwrap_or_default();
                    drop(bench.report(&name, 0, holder.returned + b.min(holder.idle())));
                }
                4 => drop(bench.apply(Op::End { epoch: name })),
                _ => drop(bench.apply(Op::Tick)),
            }
            prop_assert!(bench.row.free(amount) >= 0, "{:#?}", bench.row);
            let bytes = serde_json::to_vec(&bench.row).unwrap();
            prop_assert_eq!(&serde_json::from_slice::<Row>(&bytes).unwrap(), &bench.row);
        }
    }
}
