//! Promises about the audit log.

use serde_json::json;

use super::{
    bed::Bed,
    samples::{Plain, Quiet, author, plain},
};
use crate::{AuditEntry, AuditFilter, Change, Expect, Store, Verdict};

async fn entries(store: &Store, filter: AuditFilter) -> Vec<AuditEntry> {
    store.audit_entries(&filter, None, 1000).await.unwrap()
}

async fn whole(store: &Store) -> (u64, u64) {
    match store.audit_verify().await.unwrap() {
        Verdict::Whole { entries, anchored_at } => (entries, anchored_at),
        broken => panic!("{broken:?}"),
    }
}

/// Content of entries.
pub async fn g8_every_change_has_its_entry_and_the_chain_is_whole(bed: &Bed) {
    let create = Change::new(author("create"))
        .put(&plain("k", "one"), Expect::Absent)
        .put(&Quiet { id: "q".into(), count: 1 }, Expect::Absent)
        .note("session", "s", None, Some(json!({ "login": "ok" })));
    bed.one.commit(create).await.unwrap();
    // The before-image is that of the version that was replaced, whoever wrote it.
    let any = Change::new(author("rename")).put(&plain("k", "two"), Expect::Any);
    bed.two.commit(any).await.unwrap();
    bed.one.commit(Change::new(author("delete")).delete::<Plain>("k", Expect::Any)).await.unwrap();
    bed.one.commit(Change::new(author("only a note")).note("x", "y", None, None)).await.unwrap();

    let mine = entries(&bed.two, AuditFilter { actor: "tester".into(), ..AuditFilter::default() }).await;
    let told: Vec<_> = mine
        .iter()
        .rev()
        .map(|entry| {
            let fact = &entry.fact;
            (fact.action.as_str(), fact.kind.as_str(), fact.before.clone(), fact.after.clone())
        })
        .collect();
    let view = |name: &str| Some(json!({ "name": name, "count": 0 }));
    assert_eq!(
        told,
        [
            ("create", "suite_plain", None, view("one")),
            ("create", "session", None, Some(json!({ "login": "ok" }))),
            ("rename", "suite_plain", view("one"), view("two")),
            ("delete", "suite_plain", view("two"), None),
            ("only a note", "x", None, None),
        ]
    );
    assert!(mine.iter().all(|entry| entry.fact.address == "192.0.2.7" && entry.fact.at_ms > 0));
    let of_k = AuditFilter { kind: "suite_plain".into(), target_id: "k".into(), ..AuditFilter::default() };
    assert_eq!(entries(&bed.one, of_k).await.len(), 3);
    let second = bed.one.audit_entries(&AuditFilter::default(), Some(mine[0].sequence), 1).await.unwrap();
    assert_eq!(second[0].sequence, mine[0].sequence - 1);
    assert_eq!(whole(&bed.two).await, (mine[0].sequence, 0));
}

/// One chain, many writers.
pub async fn g8_two_replicas_write_one_chain(bed: &Bed) {
    let (before, _) = whole(&bed.one).await;
    let writes = (0..24).map(|n| {
        let store = if n % 2 == 0 { bed.one.clone() } else { bed.two.clone() };
        async move {
            let change = Change::new(author("race")).put(&plain(&n.to_string(), ""), Expect::Absent);
            store.commit(change).await
        }
    });
    for written in futures_util::future::join_all(writes).await {
        written.unwrap();
    }
    assert_eq!(whole(&bed.one).await, (before + 24, 0));
    let all = entries(&bed.one, AuditFilter::default()).await;
    let sequences: Vec<_> = all.iter().rev().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, (1..=before + 24).collect::<Vec<_>>());
}

/// Retention.
pub async fn g8_a_trimmed_log_verifies_from_its_anchor(bed: &Bed) {
    for n in 0..8 {
        bed.one
            .commit(Change::new(author("put")).put(&plain(&n.to_string(), ""), Expect::Any))
            .await
            .unwrap();
    }
    let (all, _) = whole(&bed.one).await;
    assert_eq!(bed.two.audit_trim(0).await.unwrap(), 0);
    let removed = bed.two.audit_trim(i64::MAX).await.unwrap();
    assert_eq!(removed, all - 1, "the newest entry stays");
    assert_eq!(whole(&bed.one).await, (1, all - 1));
    assert_eq!(entries(&bed.one, AuditFilter::default()).await.len(), 1);
    bed.one.commit(Change::new(author("put")).put(&plain("new", ""), Expect::Any)).await.unwrap();
    assert_eq!(whole(&bed.two).await, (2, all - 1));
}
