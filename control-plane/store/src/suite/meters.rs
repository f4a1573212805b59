//! Promises about meters.

use std::collections::BTreeMap;

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};
use proto::rules::{
    quota::{
        Meter,
        store::{Op, Orphans, Policy, Report, Row, Want},
    },
    window,
};

use super::bed::Bed;

/// Serial steps.
pub async fn g3_steps_on_a_meter_are_serial(bed: &Bed) {
    let writers = (0..8).map(|n| {
        let store = if n % 2 == 0 { bed.one.clone() } else { bed.two.clone() };
        async move {
            let mut seen = Vec::new();
            for _ in 0..25 {
                let step = |row: &mut Option<u64>, _| {
                    let next = row.unwrap_or(0) + 1;
                    *row = Some(next);
                    next
                };
                seen.push(store.meter("key/limit", step).await.unwrap());
            }
            seen
        }
    });
    let mut seen: Vec<u64> = futures_util::future::join_all(writers).await.into_iter().flatten().collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=200).collect::<Vec<_>>());
}

/// The machine in the store against the machine alone.
pub async fn g3_a_meter_of_the_store_is_the_pure_machine(bed: &Bed) {
    let mut runner = TestRunner::new(Config::default());
    for trace in 0..12 {
        let meter = format!("key/{trace}");
        let policy = Policy {
            meter: Meter::ALL[trace % Meter::ALL.len()],
            amount: 20,
            window: if trace % 3 == 0 { window::Spec::Sliding { minutes: 1 } } else { window::Spec::Total },
            zone: jiff::tz::TimeZone::UTC,
            ttl_ms: 5,
            orphans: Orphans::ReleaseAfterTtl,
        };
        let ops = prop::collection::vec(op(), 1..60).new_tree(&mut runner).unwrap().current();
        let mut model = Row::default();
        let mut last_ms = 0;
        for (index, op) in ops.into_iter().enumerate() {
            let store = if index % 2 == 0 { &bed.one } else { &bed.two };
            let (its_policy, its_op) = (policy.clone(), op.clone());
            let step = move |row: &mut Option<Row>, moment: crate::Moment| {
                let row = row.get_or_insert_default();
                (moment, row.apply(moment.now_ms, &its_policy, &its_op), row.clone())
            };
            let (moment, outcome, row) = store.meter(&meter, step).await.unwrap();
            assert_eq!(outcome, model.apply(moment.now_ms, &policy, &op), "{op:?}");
            assert_eq!(row, model);
            assert!(moment.now_ms >= last_ms, "the clock of a meter went back");
            assert!(!moment.doubtful);
            last_ms = moment.now_ms;
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let report =
        (0..30_i64, 0..30_i64).prop_map(|(spent, returned)| Report { spent, returned, ..Report::default() });
    let want =
        (0..10_i64, 0..10_i64).prop_map(|(waiting, rate)| Want { waiting, least: waiting.min(3), rate });
    let lease = (0..4_u8, 0..100_u64, prop::option::of(report), prop::option::of(want));
    prop_oneof![
        8 => lease.prop_map(|(n, sequence, report, want)| Op::Lease {
            node: format!("node-{}", n / 2), epoch: format!("epoch-{n}"), sequence, report, want,
        }),
        1 => (0..4_u8).prop_map(|n| Op::End { epoch: format!("epoch-{n}") }),
        1 => (0..4_u8).prop_map(|n| Op::WriteOff { epoch: format!("epoch-{n}") }),
        1 => Just(Op::Reset),
        1 => Just(Op::Tick),
    ]
}

/// Listing and forgetting.
pub async fn meters_are_listed_and_forgotten(bed: &Bed) {
    for meter in ["k1/b", "k1/a", "k2/a"] {
        bed.one.meter(meter, |row: &mut Option<String>, _| *row = Some("x".into())).await.unwrap();
    }
    assert_eq!(bed.two.meters("k1/", None, 10).await.unwrap(), ["k1/a", "k1/b"]);
    assert_eq!(bed.two.meters("", Some("k1/a"), 1).await.unwrap(), ["k1/b"]);
    bed.two.forget_meter("k1/a").await.unwrap();
    bed.two.meter("k2/a", |row: &mut Option<String>, _| *row = None).await.unwrap();
    assert_eq!(bed.one.meters("", None, 10).await.unwrap(), ["k1/b"]);
    let there = bed.one.meter("k1/a", |row: &mut Option<String>, _| row.is_some()).await.unwrap();
    assert!(!there);
    let wrong = bed.one.meter("k1/b", |row: &mut Option<BTreeMap<u8, u8>>, _| row.is_some()).await;
    assert!(matches!(wrong, Err(crate::Error::Corrupt { .. })), "{wrong:?}");
}
