//! Names, shares and time zones of counter rows.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use prost_types::Timestamp;
use proto::types::{Attempt, Cost, Retention, TokenUsage, UsageRecord};
use store::{Apply, RowChange};

use super::*;

fn shanghai() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap()
}

/// 2026-11-20T16:30:15Z, which is the 21st in Shanghai.
const AT: i64 = 1_795_192_215_000;

fn attempt(account: &str, outcome: &str, input: i64, rated: i64) -> Attempt {
    Attempt {
        account_id: account.into(),
        platform: "p".into(),
        outcome: outcome.into(),
        usage: Some(TokenUsage { input, output: 2, ..TokenUsage::default() }),
        cost: Some(Cost { real: rated / 2, rated, price_model: "m".into(), ..Cost::default() }),
        ..Attempt::default()
    }
}

fn record() -> UsageRecord {
    UsageRecord {
        request_id: "r1".into(),
        key_id: "k1".into(),
        tags: vec!["a/b".into(), "a/b".into()],
        model: "claude-opus-4-5".into(),
        outcome: "ok".into(),
        total_us: 900,
        started_at: Some(Timestamp { seconds: AT / 1000, nanos: 0 }),
        attempts: vec![attempt("a1", "upstream_error", 0, 0), attempt("a2", "ok", 10, 4000)],
        ..UsageRecord::default()
    }
}

/// What records add when they are counted together.
fn tallied(records: &[UsageRecord], now_ms: i64) -> Apply {
    let (zone, retention) = (shanghai(), Retention::default());
    let mut tally = Tally::new(&zone, &retention, now_ms);
    records.iter().for_each(|record| tally.count(record));
    let mut apply = Apply::default();
    tally.write(&mut apply);
    apply
}

fn rows(record: &UsageRecord) -> BTreeMap<(String, String), i64> {
    let apply = tallied(std::slice::from_ref(record), AT);
    let fields = |(row, change): (String, RowChange)| {
        change.add.into_iter().map(move |(field, by)| ((row.clone(), field), by))
    };
    apply.rows.into_iter().flat_map(fields).collect()
}

#[test]
fn a_request_counts_once_and_its_attempts_where_they_were_made() {
    let rows = rows(&record());
    let of = |row: &str, field: &str| rows.get(&(row.to_owned(), field.to_owned())).copied();
    assert_eq!(of("total/-/key/k1", "r"), Some(1));
    assert_eq!(of("total/-/key/k1", "a"), Some(2));
    assert_eq!(of("total/-/key/k1", "f"), None);
    assert_eq!(of("total/-/key/k1", "ti"), Some(10));
    assert_eq!(of("total/-/key/k1", "to"), Some(4));
    assert_eq!(of("total/-/account/a1", "f"), Some(1));
    assert_eq!(of("total/-/account/a1", "ti"), None);
    assert_eq!(of("total/-/account/a2", "cx"), Some(4000));
    assert_eq!(of("total/-/platform/p", "r"), Some(1));
    assert_eq!(of("total/-/platform/p", "a"), Some(2));
    assert_eq!(of("day/2026-11-21/tag/a/b", "r"), Some(1));
    assert_eq!(of("hour/2026-11-21T00/key-model/k1/claude-opus-4-5", "r"), Some(1));
    assert_eq!(of("minute/2026-11-21T00:30/overall/", "r"), Some(1));
    assert_eq!(of("month/2026-11/model/claude-opus-4-5", "lt"), Some(900));
}

#[test]
fn tokens_without_a_price_are_counted_as_such() {
    let mut record = record();
    assert!(rows(&record).keys().all(|(_, field)| !matches!(field.as_str(), "np" | "nt")));
    record.attempts[1].cost = Some(Cost::default());
    let rows = rows(&record);
    let of = |row: &str, field: &str| rows.get(&(row.to_owned(), field.to_owned())).copied();
    for row in ["total/-/key/k1", "total/-/account/a2", "month/2026-11/model/claude-opus-4-5"] {
        assert_eq!((of(row, "np"), of(row, "nt")), (Some(1), Some(12)), "{row}");
    }
    // The attempt elsewhere was priced: that account owes nothing unknown.
    assert_eq!((of("total/-/account/a1", "np"), of("total/-/account/a1", "nt")), (None, None));
    let mut totals = proto::admin::UsageTotals::default();
    let row =
        rows.into_iter().filter(|((row, _), _)| row == "total/-/key/k1").map(|((_, field), by)| (field, by));
    fields::add(&mut totals, &row.collect());
    let mut sum = totals;
    merge(&mut sum, &totals);
    assert_eq!((sum.unpriced_requests, sum.unpriced_tokens), (2, 24));
}

#[test]
fn an_invented_model_gets_no_row_of_its_own() {
    let mut record = record();
    record.model = "no-such-thing".into();
    record.attempts.truncate(1);
    record.attempts[0].usage = None;
    let rows = rows(&record);
    assert!(rows.keys().all(|(row, _)| !row.contains("no-such-thing")));
    assert!(rows.contains_key(&(format!("total/-/model/{UNKNOWN_MODEL}"), "r".to_owned())));
}

#[test]
fn records_counted_together_add_what_they_add_one_by_one() {
    let records: Vec<UsageRecord> = (0..40_i64)
        .map(|n| {
            let mut one = record();
            one.key_id = format!("k{}", n % 3);
            // Over minutes, an hour and a day.
            one.started_at = Some(Timestamp { seconds: AT / 1000 - n * 1_700, nanos: 0 });
            one.attempts[1] = attempt("a2", if n % 5 == 0 { "interrupted" } else { "ok" }, n, 100 * n);
            one
        })
        .collect();
    let mut one_by_one = Apply::default();
    for record in &records {
        for (name, change) in tallied(std::slice::from_ref(record), AT).rows {
            let add: Vec<_> = change.add.iter().map(|(field, by)| (field.as_str(), *by)).collect();
            one_by_one.add_all(&name, change.expires_at_ms, &add);
            for (field, value) in change.raise {
                one_by_one.raise(&name, None, &field, value);
            }
        }
    }
    assert_eq!(tallied(&records, AT).rows, one_by_one.rows);
}

#[test]
fn rows_that_retention_has_ended_are_not_written() {
    let late = AT + 40 * 86_400_000;
    let apply = tallied(&[record()], late);
    assert!(apply.rows.keys().all(|row| !row.starts_with("minute/") && !row.starts_with("hour/")));
    let day = &apply.rows["day/2026-11-21/overall/"];
    assert_eq!(
        day.expires_at_ms,
        Some(Bucket::holding(Step::Day, AT, &shanghai()).start_ms + 401 * 86_400_000)
    );
    assert_eq!(apply.rows["total/-/key/k1"].raise["u"], AT);
}

#[test]
fn buckets_follow_local_days_over_a_change_of_clocks() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    // 2026-10-25 has 25 hours there: midnight is 22:00Z before and 23:00Z after.
    let start: jiff::Timestamp = "2026-10-24T22:00:00Z".parse().unwrap();
    let end: jiff::Timestamp = "2026-10-26T23:00:00Z".parse().unwrap();
    let days = Bucket::between(Step::Day, start.as_millisecond(), end.as_millisecond(), &berlin);
    let labels: Vec<_> = days.iter().map(|bucket| bucket.label.as_str()).collect();
    assert_eq!(labels, ["2026-10-25", "2026-10-26"]);
    assert_eq!(days[1].start_ms - days[0].start_ms, 25 * 3_600_000);
}

#[test]
fn a_bucket_is_found_again_by_the_range_that_holds_it() {
    for step in Step::ALL {
        let holding = Bucket::holding(step, AT, &shanghai());
        let between = Bucket::between(step, AT - 60_000, AT + 60_000, &shanghai());
        assert!(between.contains(&holding), "{step:?}");
    }
}

#[test]
fn an_empty_range_has_no_buckets() {
    assert_eq!(Bucket::between(Step::Day, AT, AT, &shanghai()), []);
}
