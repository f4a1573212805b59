//! Promises about the change feed, wake-ups and identity.

use super::{
    bed::{Bed, PATIENCE, master},
    samples::{Plain, author, plain},
};
use crate::{Change, Changes, Event, Expect, Record, Revision, Store, Trim};

async fn put(store: &Store, id: &str) -> Revision {
    store.commit(Change::new(author("put")).put(&plain(id, ""), Expect::Any)).await.unwrap()
}

async fn events(store: &Store, after: &Revision, limit: usize) -> Vec<Event> {
    match store.changes(after, limit).await.unwrap() {
        Changes::Since { events, .. } => events,
        Changes::TooOld { .. } => panic!("{after:?} is too old"),
    }
}

/// Order and completeness.
pub async fn g6_the_feed_tells_every_change_in_order(bed: &Bed) {
    let start = bed.one.revision().await.unwrap();
    put(&bed.one, "a").await;
    let both = Change::new(author("two")).put(&plain("b", ""), Expect::Any).delete::<Plain>("a", Expect::Any);
    let second = bed.two.commit(both).await.unwrap();
    let third = put(&bed.one, "c").await;
    let told = events(&bed.two, &start, 100).await;
    let told: Vec<_> = told.iter().map(|e| (e.kind.as_str(), e.id.as_str(), e.number, e.deleted)).collect();
    let n = start.number;
    let kind = Plain::KIND;
    assert_eq!(
        told,
        [
            (kind, "a", n + 1, false),
            (kind, "b", n + 2, false),
            (kind, "a", n + 2, true),
            (kind, "c", n + 3, false)
        ]
    );
    assert_eq!((second.number, third.number), (n + 2, n + 3));
    // A page holds whole revisions.
    let first = Revision { number: n + 1, ..start.clone() };
    let page = events(&bed.one, &first, 1).await;
    assert_eq!(page.iter().map(|event| event.number).collect::<Vec<_>>(), [n + 2, n + 2]);
    assert!(events(&bed.one, &third, 10).await.is_empty());
}

/// Compaction, and revisions of other histories.
pub async fn a_compacted_or_unknown_revision_is_too_old(bed: &Bed) {
    let start = bed.one.revision().await.unwrap();
    for n in 0..10 {
        put(&bed.one, &n.to_string()).await;
    }
    assert!(bed.two.trim(Trim::Feed { keep: 3 }).await.unwrap() > 0);
    assert_eq!(bed.two.trim(Trim::Feed { keep: 3 }).await.unwrap(), 0);
    let at = |number: u64| Revision { number, ..start.clone() };
    let head = start.number + 10;
    let too_old = async |revision: Revision| matches!(bed.one.changes(&revision, 10).await.unwrap(), Changes::TooOld { head: at } if at.number == head);
    assert!(too_old(at(head - 4)).await);
    assert!(too_old(at(head + 1)).await, "a revision that is yet to come");
    assert!(too_old(Revision { incarnation: "another".into(), number: head }).await);
    assert_eq!(events(&bed.one, &at(head - 3), 10).await.len(), 3);
}

/// Wake-ups.
pub async fn g6_a_change_wakes_other_replicas(bed: &Bed) {
    let mut heads = bed.two.watch();
    let revision = put(&bed.one, "a").await;
    let seen = tokio::time::timeout(PATIENCE, heads.wait_for(|head| *head == revision)).await;
    seen.unwrap().unwrap();
}

/// Messages between replicas.
pub async fn replicas_hear_each_other(bed: &Bed) {
    let mut hears = bed.two.listen();
    let heard = tokio::time::timeout(PATIENCE, async {
        loop {
            // A subscription takes a moment to stand: messages before it are lost, as is allowed.
            bed.one.tell("topic", b"pay\0load").await.unwrap();
            if let Ok(Ok(told)) = tokio::time::timeout(PATIENCE / 50, hears.recv()).await {
                return told;
            }
        }
    });
    let told = heard.await.unwrap();
    assert_eq!((told.topic.as_str(), told.payload.as_slice()), ("topic", b"pay\0load".as_slice()));
}

/// Identity.
pub async fn the_identity_stays_over_a_reopening(bed: &Bed) {
    let identity = bed.one.identity().await.unwrap();
    assert_eq!(bed.two.identity().await.unwrap(), identity);
    assert!(!identity.store_identity.is_empty() && !identity.incarnation.is_empty());
    let revision = put(&bed.one, "a").await;
    assert_eq!(revision.incarnation, identity.incarnation);
    let store = bed.reopen(master()).await.unwrap();
    assert_eq!(store.identity().await.unwrap(), identity);
    assert_eq!(store.revision().await.unwrap(), revision);
    assert_eq!(*store.watch().borrow(), revision);
    let skew = store.now_ms() - process::clock::unix_ms();
    assert!(skew.abs() < 5_000, "the store's clock is {skew} ms off");
    store.close().await;
}
