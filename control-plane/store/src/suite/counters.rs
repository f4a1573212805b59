//! Promises about counters.

use super::bed::Bed;
use crate::{Applied, Apply, Store, Trim};

const DAY: i64 = 86_400_000;

fn batch(source: &str, previous: u64, last: u64, now_ms: i64) -> Apply {
    Apply { partition: 3, source: source.into(), previous, last, now_ms, ..Apply::default() }
}

fn counting(source: &str, previous: u64, last: u64, store: &Store) -> Apply {
    let mut apply = batch(source, previous, last, store.now_ms());
    apply.add("key:k:total", None, "requests", (last - previous).cast_signed());
    apply
}

async fn field(store: &Store, row: &str, field: &str) -> Option<i64> {
    store.rows(3, &[row.to_owned()]).await.unwrap()[0].get(field).copied()
}

/// Markers.
pub async fn g4_records_are_counted_at_most_once(bed: &Bed) {
    let apply = async |previous, last| bed.one.apply(counting("s", previous, last, &bed.two)).await.unwrap();
    assert_eq!(apply(2, 3).await, Applied::Gap { have: 0 });
    assert_eq!(apply(0, 5).await, Applied::Done);
    assert_eq!(apply(0, 5).await, Applied::Already { have: 5 });
    assert_eq!(apply(0, 3).await, Applied::Already { have: 5 });
    // An overlap is not taken apart: the sender reads the marker and sends from there.
    assert_eq!(apply(3, 7).await, Applied::Gap { have: 5 });
    assert_eq!(apply(7, 9).await, Applied::Gap { have: 5 });
    assert_eq!(apply(5, 7).await, Applied::Done);
    assert_eq!(field(&bed.two, "key:k:total", "requests").await, Some(7));
    let mut other = counting("s", 0, 4, &bed.one);
    other.partition = 9;
    assert_eq!(bed.two.apply(other).await.unwrap(), Applied::Done);
    let markers = bed.one.markers(&["none".into(), "s".into()]).await.unwrap();
    let markers: Vec<_> = markers.iter().map(|at| (at.source.as_str(), at.partition, at.applied)).collect();
    assert_eq!(markers, [("s", 3, 7), ("s", 9, 4)]);
}

/// The same batch from many senders at once.
pub async fn g4_of_concurrent_applies_one_counts(bed: &Bed) {
    for round in 0..5 {
        let sends = (0..8).map(|n| {
            let store = if n % 2 == 0 { bed.one.clone() } else { bed.two.clone() };
            async move { store.apply(counting("s", round * 10, round * 10 + 10, &store)).await.unwrap() }
        });
        let results = futures_util::future::join_all(sends).await;
        assert_eq!(results.iter().filter(|applied| **applied == Applied::Done).count(), 1, "{results:?}");
    }
    assert_eq!(field(&bed.one, "key:k:total", "requests").await, Some(50));
}

/// Kinds of increments.
pub async fn rows_expire_raise_and_saturate(bed: &Bed) {
    let now = bed.one.now_ms();
    let mut apply = batch("s", 0, 1, now);
    apply.add("r", None, "high", i64::MAX - 1);
    apply.add("r", None, "low", i64::MIN + 1);
    apply.add("r", None, "cost", 9_007_199_254_740_993);
    apply.raise("r", None, "seen", 500);
    apply.add("brief", Some(now - 1), "n", 1);
    apply.add("long", Some(now + DAY), "n", 1);
    assert_eq!(bed.one.apply(apply).await.unwrap(), Applied::Done);
    let mut apply = batch("s", 1, 2, now);
    apply.add("r", None, "high", 5);
    apply.add("r", None, "low", -5);
    apply.add("r", None, "cost", 1);
    apply.raise("r", None, "seen", 400);
    apply.raise("r", None, "first", 1);
    apply.add("long", Some(now + 2 * DAY), "n", 1);
    assert_eq!(bed.two.apply(apply).await.unwrap(), Applied::Done);
    let names = ["r", "brief", "long", "none"].map(str::to_owned);
    let rows = bed.one.rows(3, &names).await.unwrap();
    let row = |n: usize| rows[n].iter().map(|(field, value)| (field.as_str(), *value)).collect::<Vec<_>>();
    let cost = 9_007_199_254_740_994;
    assert_eq!(row(0), [("cost", cost), ("first", 1), ("high", i64::MAX), ("low", i64::MIN), ("seen", 500)]);
    assert_eq!((row(1), row(2), row(3)), (vec![], vec![("n", 2)], vec![]));
}

/// Listing of rows.
pub async fn row_names_page_by_prefix(bed: &Bed) {
    let mut apply = batch("s", 0, 1, bed.one.now_ms());
    for row in ["day:1:b", "day:1:a", "day:1:ä", "day:10:a", "day:2:a", "da"] {
        apply.add(row, None, "n", 1);
    }
    bed.one.apply(apply).await.unwrap();
    let names = async |prefix: &str, after: Option<&str>, limit| {
        bed.two.row_names(3, prefix, after, limit).await.unwrap()
    };
    assert_eq!(names("day:1:", None, 10).await, ["day:1:a", "day:1:b", "day:1:ä"]);
    assert_eq!(names("day:1:", None, 1).await, ["day:1:a"]);
    assert_eq!(names("day:1:", Some("day:1:a"), 10).await, ["day:1:b", "day:1:ä"]);
    assert_eq!(names("", Some("day:1:ä"), 10).await, ["day:2:a"]);
    assert_eq!(names("", None, 2).await, ["da", "day:10:a"]);
    assert!(names("week", None, 10).await.is_empty());
    assert!(bed.two.row_names(4, "", None, 10).await.unwrap().is_empty());
}

/// Retention.
pub async fn markers_and_rows_are_trimmed_by_age(bed: &Bed) {
    let now = bed.one.now_ms();
    let mut apply = batch("old", 0, 1, now);
    for n in 0..1500 {
        apply.add(&format!("brief:{n}"), Some(now + 1), "n", 1);
    }
    apply.add("long", Some(now + DAY), "n", 1);
    apply.add("ever", None, "n", 1);
    bed.one.apply(apply).await.unwrap();
    bed.one.apply(Apply { now_ms: now + DAY, ..batch("new", 0, 1, 0) }).await.unwrap();

    assert_eq!(bed.two.trim(Trim::Rows { partition: 3, now_ms: now }).await.unwrap(), 0);
    assert_eq!(bed.two.trim(Trim::Rows { partition: 3, now_ms: now + 1 }).await.unwrap(), 1500);
    assert_eq!(bed.two.row_names(3, "", None, 9).await.unwrap(), ["ever", "long"]);
    assert_eq!(bed.two.trim(Trim::Markers { partition: 3, before_ms: now + 1 }).await.unwrap(), 1);
    let left = bed.one.markers(&["old".into(), "new".into()]).await.unwrap();
    assert_eq!(left.iter().map(|at| at.source.as_str()).collect::<Vec<_>>(), ["new"]);
}
