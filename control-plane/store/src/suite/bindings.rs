//! Promises about bindings and leadership.

use std::time::Duration;

use super::bed::{Bed, PATIENCE};
use crate::{Change, Error, Expect, Trim, suite::samples};

const LONG: i64 = 60_000;

/// First writer wins.
pub async fn bindings_go_to_the_first_writer(bed: &Bed) {
    let asks = (0..16).map(|n| {
        let store = if n % 2 == 0 { bed.one.clone() } else { bed.two.clone() };
        async move { store.bind("claude/session", &format!("account-{n}"), "", LONG, 0).await.unwrap() }
    });
    let bound = futures_util::future::join_all(asks).await;
    assert_eq!(bound.iter().filter(|bound| !bound.existed).count(), 1, "{bound:?}");
    assert!(bound.iter().all(|other| other.account == bound[0].account), "{bound:?}");
    let other = bed.one.bind("gemini/session", "other", "", LONG, 0).await.unwrap();
    assert!(!other.existed && other.account == "other");
}

/// Renewal, replacement, end.
pub async fn bindings_are_renewed_replaced_and_end(bed: &Bed) {
    let (one, two) = (&bed.one, &bed.two);
    one.bind("k", "a", "", LONG, 0).await.unwrap();
    let held = two.bind("k", "b", "", 10 * LONG, LONG / 2).await.unwrap();
    assert!(
        held.existed && held.account == "a" && held.ttl_ms <= LONG,
        "more is left than the bound: {held:?}"
    );
    let renewed = two.bind("k", "b", "", 10 * LONG, 2 * LONG).await.unwrap();
    assert!(renewed.existed && renewed.account == "a" && renewed.ttl_ms > 9 * LONG, "{renewed:?}");
    let kept = one.bind("k", "b", "another", LONG, 0).await.unwrap();
    assert!(kept.existed && kept.account == "a");
    let replaced = one.bind("k", "b", "a", LONG, 0).await.unwrap();
    assert!(!replaced.existed && replaced.account == "b" && replaced.ttl_ms <= LONG);
    assert!(two.unbind("k").await.unwrap());
    assert!(!two.unbind("k").await.unwrap());
    assert_eq!(one.bind("k", "c", "", 50, 0).await.unwrap().account, "c");
    let ended = tokio::time::timeout(PATIENCE, async {
        while one.bind("k", "d", "", LONG, 0).await.unwrap().account == "c" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    ended.await.unwrap();
    two.trim(Trim::Bindings { now_ms: one.now_ms() }).await.unwrap();
    assert!(one.bind("k", "e", "", LONG, 0).await.unwrap().existed, "what lives is not trimmed");
}

/// Lists by prefix, page by page; what has ended or was forgotten is not among them.
pub async fn bindings_are_listed_in_order(bed: &Bed) {
    let (one, two) = (&bed.one, &bed.two);
    for name in ["0a/k1/claude/1", "0a/k1/claude/2", "0a/k1/gemini/1", "0a/k2/claude/1", "0b/k3/claude/1"] {
        one.bind(name, &format!("of {name}"), "", LONG, 0).await.unwrap();
    }
    one.bind("0a/k1/claude/0", "short", "", 30, 0).await.unwrap();
    tokio::time::timeout(PATIENCE, async {
        while two.bind("0a/k1/claude/0", "", "", LONG, 0).await.unwrap().existed {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    let pages = |prefix: &'static str, limit: usize| async move {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = two.bindings(prefix, after.as_deref(), limit).await.unwrap();
            found.extend(page.bindings);
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    };
    for limit in [1, 2, 3, 100] {
        let names: Vec<_> = pages("0a/k1/", limit).await.into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["0a/k1/claude/1", "0a/k1/claude/2", "0a/k1/gemini/1"], "{limit} a page");
    }
    let all = pages("0a/", 2).await;
    assert_eq!(all.len(), 4);
    assert!(
        all.iter().all(|(name, account, ttl)| *account == format!("of {name}") && (1..=LONG).contains(ttl))
    );
    assert!(two.unbind("0a/k1/claude/1").await.unwrap());
    two.trim(Trim::Bindings { now_ms: one.now_ms() }).await.unwrap();
    assert_eq!(pages("0a/k1/claude/", 10).await.len(), 1);
    assert!(pages("0c/", 10).await.is_empty());
}

/// Looking sets nothing.
pub async fn bindings_are_looked_at_without_setting_them(bed: &Bed) {
    let (one, two) = (&bed.one, &bed.two);
    let none = one.bind("0a/looked", "", "", LONG, LONG).await.unwrap();
    assert!(!none.existed && none.account.is_empty(), "{none:?}");
    assert!(!two.unbind("0a/looked").await.unwrap());
    one.bind("0a/looked", "a", "", LONG, 0).await.unwrap();
    let renewed = two.bind("0a/looked", "", "", 10 * LONG, 2 * LONG).await.unwrap();
    assert!(renewed.existed && renewed.account == "a" && renewed.ttl_ms > 9 * LONG, "{renewed:?}");
    let replaced = two.bind("0a/looked", "", "a", LONG, 0).await.unwrap();
    assert!(!replaced.existed && replaced.account.is_empty(), "nobody takes its place");
}

/// Leadership.
pub async fn leadership_is_exclusive_and_fenced(bed: &Bed) {
    let (one, two) = (&bed.one, &bed.two);
    let takes = (0..8).map(|n| {
        let store = if n % 2 == 0 { one.clone() } else { two.clone() };
        async move { store.lead("race", &format!("holder-{n}"), LONG).await.unwrap() }
    });
    let fences: Vec<_> = futures_util::future::join_all(takes).await.into_iter().flatten().collect();
    assert_eq!(fences.len(), 1);

    let first = one.lead("role", "a", LONG).await.unwrap().unwrap();
    assert_eq!(two.lead("role", "b", LONG).await.unwrap(), None);
    assert_eq!(one.lead("role", "a", LONG).await.unwrap(), Some(first), "renewed");
    two.release("role", "b").await.unwrap();
    assert_eq!(two.lead("role", "b", LONG).await.unwrap(), None, "not its to give back");
    one.release("role", "a").await.unwrap();
    let second = two.lead("role", "b", 50).await.unwrap().unwrap();
    assert!(second > first);
    let third = tokio::time::timeout(PATIENCE, async {
        loop {
            match one.lead("role", "c", LONG).await.unwrap() {
                Some(fence) => return fence,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    });
    let third = third.await.unwrap();
    assert!(third > second);
    let by = |fence| {
        Change::new(samples::author("lead")).put(&samples::plain("x", ""), Expect::Any).fence("role", fence)
    };
    assert!(matches!(two.commit(by(second)).await, Err(Error::Fenced { role }) if role == "role"));
    one.commit(by(third)).await.unwrap();
    one.release("role", "c").await.unwrap();
    assert!(matches!(one.commit(by(third)).await, Err(Error::Fenced { .. })));
}
