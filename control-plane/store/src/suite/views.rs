//! Promises about views.

use process::tasks::Tasks;

use super::{
    bed::{Bed, PATIENCE},
    samples::{Plain, Quiet, Secret, author, plain},
};
use crate::{Change, Expect, Kinds, Trim, View};

/// A copy in memory that is current.
pub async fn a_view_follows_and_survives_compaction(bed: &Bed) {
    let tasks = Tasks::new("suite");
    let mut change = Change::new(author("many"));
    for n in 0..1500 {
        change = change.put(&Quiet { id: format!("{n:05}"), count: n }, Expect::Absent);
    }
    bed.one.commit(change).await.unwrap();
    let kinds = || Kinds::new().with::<Quiet>().with::<Secret>().with::<Plain>();
    let view = View::start(&bed.two, kinds(), &tasks).await.unwrap();
    assert_eq!(view.all::<Quiet>().len(), 1500);

    let before = view.all::<Quiet>();
    let secret = Secret { id: "s".into(), secret: "hidden".into() };
    let change = Change::new(author("mix"))
        .put(&secret, Expect::Absent)
        .put(&Quiet { id: "00007".into(), count: -7 }, Expect::Any)
        .put(&Quiet { id: "00007x".into(), count: 1 }, Expect::Absent)
        .delete::<Quiet>("00008", Expect::Any);
    let revision = bed.one.commit(change).await.unwrap();
    assert!(view.caught_up(&revision, PATIENCE).await);
    assert_eq!(view.get::<Secret>("s").unwrap().value, secret);
    assert_eq!(view.get::<Quiet>("00007").unwrap().value.count, -7);
    assert_eq!(before.get("00007").unwrap().value.count, 7, "a snapshot does not change");
    let ids: Vec<_> =
        view.all::<Quiet>().iter().skip(6).take(4).map(|record| record.value.id.clone()).collect();
    assert_eq!(ids, ["00006", "00007", "00007x", "00009"]);

    // Compaction past what it had read: it reads everything anew. Writes that race with the trim make sure of it.
    for n in 0..20 {
        let change = Change::new(author("more")).put(&plain(&format!("p{n}"), ""), Expect::Absent);
        bed.one.commit(change).await.unwrap();
        bed.one.trim(Trim::Feed { keep: 0 }).await.unwrap();
    }
    let last =
        bed.one.commit(Change::new(author("last")).put(&plain("last", ""), Expect::Any)).await.unwrap();
    assert!(view.caught_up(&last, PATIENCE).await);
    assert_eq!(view.all::<Plain>().len(), 21);
    assert_eq!(view.all::<Quiet>().len(), 1500);
    let other = View::start(&bed.one, kinds(), &tasks).await.unwrap();
    assert_eq!(other.revision(), view.revision());
    assert!(tasks.drain(PATIENCE).await);
}
