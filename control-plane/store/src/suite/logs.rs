//! Promises about append logs.

use super::bed::Bed;
use crate::{Apply, LogEntry, Store, Trim, log_position};

fn entry(log: &str, id: &str, at_ms: i64, body: &[u8]) -> LogEntry {
    LogEntry { log: log.into(), id: id.into(), at_ms, body: body.to_vec() }
}

async fn append(store: &Store, last: u64, entries: Vec<LogEntry>) {
    let apply =
        Apply { partition: 2, source: "s".into(), previous: last - 1, last, entries, ..Apply::default() };
    assert_eq!(store.apply(apply).await.unwrap(), crate::Applied::Done);
}

async fn ids(store: &Store, before: Option<&str>, limit: usize) -> Vec<String> {
    let items = store.log_range(2, "requests", before, limit).await.unwrap();
    items.into_iter().map(|item| item.id).collect()
}

/// Reading, replacing and trimming.
pub async fn logs_read_newest_first_and_trim(bed: &Bed) {
    let (one, two) = (&bed.one, &bed.two);
    let entries = vec![
        entry("requests", "b", 2000, b"\x00\xffbinary:"),
        entry("requests", "a", 2000, b"a"),
        entry("requests", "late", 1000, b""),
        entry("other", "x", 5000, b"x"),
    ];
    append(one, 1, entries).await;
    append(one, 2, vec![entry("requests", "c", 3000, b"c")]).await;
    assert_eq!(ids(two, None, 10).await, ["c", "b", "a", "late"]);
    let page = two.log_range(2, "requests", None, 2).await.unwrap();
    assert_eq!((page[1].at_ms, page[1].body.as_slice()), (2000, b"\x00\xffbinary:".as_slice()));
    assert_eq!(ids(two, Some(&page[1].position), 10).await, ["a", "late"]);
    let got = two.log_get(2, "requests", &["late".into(), "none".into(), "c".into()]).await.unwrap();
    assert_eq!(got, [Some(vec![]), None, Some(b"c".to_vec())]);

    assert_eq!(ids(two, Some(&log_position(3000)), 10).await, ["b", "a", "late"], "before a time, not at it");
    assert_eq!(ids(two, Some(&log_position(2000)), 10).await, ["late"]);

    // The same id again replaces, also at another time.
    append(one, 3, vec![entry("requests", "a", 4000, b"again")]).await;
    assert_eq!(ids(two, None, 10).await, ["a", "c", "b", "late"]);

    let before = Trim::Log { partition: 2, log: "requests".into(), before_ms: 2000 };
    assert_eq!(one.trim(before.clone()).await.unwrap(), 1);
    assert_eq!(one.trim(before).await.unwrap(), 0);
    assert_eq!(ids(two, None, 10).await, ["a", "c", "b"]);
    assert_eq!(two.log_get(2, "requests", &["late".into()]).await.unwrap(), [None]);
    let many = (0..2500).map(|n| entry("requests", &format!("n{n}"), 10_000 + n, b"n")).collect();
    append(one, 4, many).await;
    assert_eq!(ids(two, None, 2503).await.len(), 2503);
    let keep = Trim::LogLength { partition: 2, log: "requests".into(), keep: 2 };
    assert_eq!(one.trim(keep).await.unwrap(), 2501);
    assert_eq!(ids(two, None, 10).await, ["n2499", "n2498"]);
    assert_eq!(two.log_range(2, "other", None, 10).await.unwrap().len(), 1);
}
