//! Promises about records.

use super::{
    bed::{Bed, master},
    samples::{Plain, Quiet, Secret, author, plain},
};
use crate::{Change, Error, Expect, MasterKey, Record, Store};

async fn put(store: &Store, record: &impl Record, expect: Expect) -> crate::Result<crate::Revision> {
    store.commit(Change::new(author("put")).put(record, expect)).await
}

/// Reading and paging.
pub async fn records_are_read_as_written_and_scanned_in_order(bed: &Bed) {
    let ids = ["b", "a", "aa", "ä", "z/1", "Z"];
    let mut change = Change::new(author("many"));
    for id in ids {
        change = change.put(&plain(id, ""), Expect::Absent);
    }
    let revision = bed.one.commit(change).await.unwrap();
    let read = bed.two.get::<Plain>("ä").await.unwrap().unwrap();
    assert_eq!((read.value, read.version), (plain("ä", ""), revision.number));
    assert!(bed.two.get::<Plain>("none").await.unwrap().is_none());
    let many = bed.two.get_many::<Plain>(&["Z".into(), "none".into(), "a".into()]).await.unwrap();
    let many: Vec<_> =
        many.iter().map(|found| found.as_ref().map(|record| record.value.id.as_str())).collect();
    assert_eq!(many, [Some("Z"), None, Some("a")]);

    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = bed.two.scan::<Plain>(after.as_deref(), 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.value.id.clone());
        seen.extend(page.into_iter().map(|record| record.value.id));
    }
    assert_eq!(seen, sorted);
}

/// Expectations.
pub async fn a_change_names_what_it_expects_and_loses_nobody_elses(bed: &Bed) {
    put(&bed.one, &plain("k", "first"), Expect::Absent).await.unwrap();
    let again = put(&bed.two, &plain("k", "second"), Expect::Absent).await.unwrap_err();
    assert!(matches!(again, Error::Conflict { found, .. } if found > 0), "{again}");
    let read = bed.one.get::<Plain>("k").await.unwrap().unwrap();
    put(&bed.two, &plain("k", "theirs"), Expect::Version(read.version)).await.unwrap();
    let late = Change::new(author("late")).update(&read, &plain("k", "mine"));
    assert!(matches!(bed.one.commit(late).await, Err(Error::Conflict { .. })));
    let late = Change::new(author("late")).put(&plain("k", "mine"), Expect::Version(read.version));
    assert!(matches!(bed.one.commit(late).await, Err(Error::Conflict { .. })));
    let gone = put(&bed.one, &plain("none", ""), Expect::Version(1)).await.unwrap_err();
    assert!(matches!(gone, Error::Conflict { found: 0, .. }), "{gone}");
    put(&bed.one, &plain("k", "any"), Expect::Any).await.unwrap();
    assert_eq!(bed.two.find::<Plain>("name", "any").await.unwrap().unwrap().value.id, "k");

    let before = bed.one.revision().await.unwrap();
    let nothing = Change::new(author("gone")).delete::<Plain>("none", Expect::Any);
    assert_eq!(bed.one.commit(nothing).await.unwrap(), before, "deleting what is not there is no change");
    let version = bed.one.get::<Plain>("k").await.unwrap().unwrap().version;
    let delete = || Change::new(author("delete")).delete::<Plain>("k", Expect::Version(version));
    bed.one.commit(delete()).await.unwrap();
    assert!(matches!(bed.two.commit(delete()).await, Err(Error::Conflict { found: 0, .. })));
    put(&bed.two, &plain("k", "again"), Expect::Absent).await.unwrap();
    let twice =
        Change::new(author("twice")).put(&plain("k", "x"), Expect::Any).put(&plain("k", "y"), Expect::Any);
    assert!(matches!(bed.one.commit(twice).await, Err(Error::Invalid { .. })));
}

/// Lost updates.
pub async fn g4_concurrent_changes_of_one_record_are_each_made_once(bed: &Bed) {
    put(&bed.one, &plain("counter", ""), Expect::Absent).await.unwrap();
    let mut writers = Vec::new();
    for n in 0..8 {
        let store = if n % 2 == 0 { bed.one.clone() } else { bed.two.clone() };
        writers.push(async move {
            for _ in 0..5 {
                loop {
                    let read = store.get::<Plain>("counter").await.unwrap().unwrap();
                    let next = Plain { count: read.value.count + 1, ..read.value.clone() };
                    match store.commit(Change::new(author("count")).update(&read, &next)).await {
                        Ok(_) => break,
                        Err(Error::Conflict { .. } | Error::Contended { .. }) => {}
                        Err(why) => panic!("{why}"),
                    }
                }
            }
        });
    }
    futures_util::future::join_all(writers).await;
    assert_eq!(bed.one.get::<Plain>("counter").await.unwrap().unwrap().value.count, 40);
}

/// Unique indexes.
pub async fn index_values_are_unique_and_move_whole(bed: &Bed) {
    put(&bed.one, &plain("a", "x"), Expect::Absent).await.unwrap();
    let taken = put(&bed.two, &plain("b", "x"), Expect::Absent).await.unwrap_err();
    assert!(
        matches!(&taken, Error::Duplicate { index, holder, .. } if index == "name" && holder == "a"),
        "{taken}"
    );
    assert!(bed.one.get::<Plain>("b").await.unwrap().is_none());
    let both = Change::new(author("both"))
        .put(&plain("c", "y"), Expect::Absent)
        .put(&plain("d", "y"), Expect::Absent);
    assert!(matches!(bed.one.commit(both).await, Err(Error::Duplicate { .. })));

    // The value passes from one to the other in one step, whichever comes first.
    let swap =
        Change::new(author("swap")).put(&plain("b", "x"), Expect::Absent).put(&plain("a", "y"), Expect::Any);
    bed.one.commit(swap).await.unwrap();
    let holder =
        async |name: &str| bed.two.find::<Plain>("name", name).await.unwrap().map(|found| found.value.id);
    assert_eq!((holder("x").await, holder("y").await), (Some("b".into()), Some("a".into())));
    bed.one.commit(Change::new(author("delete")).delete::<Plain>("b", Expect::Any)).await.unwrap();
    assert_eq!(holder("x").await, None);
    put(&bed.two, &plain("a", ""), Expect::Any).await.unwrap();
    assert_eq!(holder("y").await, None);
    put(&bed.two, &plain("e", "x"), Expect::Absent).await.unwrap();
    assert_eq!(holder("x").await, Some("e".into()));
}

/// Unique indexes under concurrency.
pub async fn of_concurrent_claims_of_an_index_value_one_wins(bed: &Bed) {
    let claims = (0..16).map(|n| {
        let store = if n % 2 == 0 { bed.one.clone() } else { bed.two.clone() };
        async move { put(&store, &plain(&format!("claim-{n}"), "prize"), Expect::Absent).await }
    });
    let results = futures_util::future::join_all(claims).await;
    let won: Vec<_> = (0..16).filter(|n| results[*n].is_ok()).collect();
    let [winner] = won[..] else { panic!("{won:?} won") };
    let lost = |result: &crate::Result<_>| matches!(result, Ok(_) | Err(Error::Duplicate { .. }));
    assert!(results.iter().all(lost), "{results:?}");
    let holder = bed.one.find::<Plain>("name", "prize").await.unwrap().unwrap().value.id;
    assert_eq!(holder, format!("claim-{winner}"));
    assert_eq!(bed.two.scan::<Plain>(None, 100).await.unwrap().len(), 1);
}

/// All or nothing.
pub async fn a_refused_change_leaves_no_trace(bed: &Bed) {
    put(&bed.one, &plain("there", "x"), Expect::Absent).await.unwrap();
    let (before, audit) = (bed.one.revision().await.unwrap(), bed.one.kv().audit(None, 10).await.unwrap());
    let fence = bed.one.lead("suite-role", "me", 60_000).await.unwrap().unwrap();
    for change in [
        Change::new(author("c"))
            .put(&plain("new", "n"), Expect::Absent)
            .put(&plain("there", "y"), Expect::Absent),
        Change::new(author("d"))
            .put(&plain("new", "n"), Expect::Absent)
            .put(&plain("other", "x"), Expect::Absent),
        Change::new(author("f")).put(&plain("new", "n"), Expect::Absent).fence("suite-role", fence + 1),
        Change::new(author("g")).put(&plain("new", "n"), Expect::Absent).fence("unheard-of", 1),
    ] {
        bed.two.commit(change).await.unwrap_err();
    }
    assert!(bed.one.get::<Plain>("new").await.unwrap().is_none());
    assert!(bed.one.find::<Plain>("name", "n").await.unwrap().is_none());
    assert_eq!(bed.one.revision().await.unwrap(), before);
    assert_eq!(bed.one.kv().audit(None, 10).await.unwrap().head, audit.head);
    let fenced = Change::new(author("h")).put(&plain("new", "n"), Expect::Absent).fence("suite-role", fence);
    bed.two.commit(fenced).await.unwrap();
}

/// Expiry of records.
pub async fn records_past_their_life_are_swept(bed: &Bed) {
    for (id, end) in [("over", Some(10)), ("later", Some(30)), ("never", None)] {
        let record = Plain { ends_at_ms: end, ..plain(id, id) };
        put(&bed.one, &record, Expect::Absent).await.unwrap();
    }
    assert_eq!(bed.two.sweep::<Plain>(20).await.unwrap(), 1);
    let left: Vec<_> =
        bed.one.scan::<Plain>(None, 9).await.unwrap().into_iter().map(|r| r.value.id).collect();
    assert_eq!(left, ["later", "never"]);
    assert!(bed.one.find::<Plain>("name", "over").await.unwrap().is_none());
}

/// Secrets at rest.
pub async fn g2_sealed_records_are_not_readable_in_the_store(bed: &Bed) {
    let record = Secret { id: "s".into(), secret: "sk-canary-4711".into() };
    put(&bed.one, &record, Expect::Absent).await.unwrap();
    assert_eq!(bed.two.get::<Secret>("s").await.unwrap().unwrap().value, record);
    let raw = bed.one.kv().scan(Secret::KIND, None, 10).await.unwrap();
    let shows = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("canary");
    assert!(raw.iter().all(|document| !shows(&document.body)));
    let audit = bed.one.kv().audit(None, 10).await.unwrap();
    assert!(audit.entries.iter().all(|(_, entry)| !shows(entry)));
}

/// Rotation of both kinds of keys.
pub async fn data_keys_and_master_keys_rotate(bed: &Bed) {
    let secret = |id: &str| Secret { id: id.into(), secret: format!("of {id}") };
    put(&bed.one, &secret("old"), Expect::Absent).await.unwrap();
    bed.one.rotate_data_key(author("rotate")).await.unwrap();
    put(&bed.one, &secret("new"), Expect::Absent).await.unwrap();
    let bodies = bed.one.kv().get(Secret::KIND, &["old".into(), "new".into()]).await.unwrap();
    let key_of = |n: usize| bodies[n].as_ref().unwrap().body[1..5].to_vec();
    assert_ne!(key_of(0), key_of(1), "a new data key seals");
    for store in [&bed.one, &bed.two] {
        for id in ["old", "new"] {
            assert_eq!(store.get::<Secret>(id).await.unwrap().unwrap().value, secret(id));
        }
        assert_eq!(store.scan::<Secret>(None, 9).await.unwrap().len(), 2);
    }
    let next = MasterKey::parse("a chain of words that is longer than twenty").unwrap();
    bed.two.rewrap(&next, author("rewrap")).await.unwrap();
    let refused = bed.reopen(master()).await.unwrap_err();
    assert!(matches!(refused, Error::Sealed { .. }), "{refused}");
    let store = bed.reopen(next).await.unwrap();
    assert_eq!(store.get::<Secret>("old").await.unwrap().unwrap().value, secret("old"));
    let quiet = Quiet { id: "q".into(), count: 1 };
    put(&store, &quiet, Expect::Any).await.unwrap();
    assert_eq!(store.get::<Quiet>("q").await.unwrap().unwrap().value, quiet);
    store.close().await;
}
