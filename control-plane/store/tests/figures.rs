//! Figures, printed and not judged: `cargo test -p store --release --test figures -- --ignored --nocapture`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails where something is not as promised"
)]

mod sample;

use std::time::Instant;

use process::tasks::Tasks;
use sample::{Note, author, master};
use store::{Apply, Change, Expect, Kinds, LogEntry, RedisOptions, Store, View, testing::redis_with};

/// Usage records of one batch, as they come: each counted in some thirty rows of eight fields.
fn batch(number: u64) -> Apply {
    let mut apply =
        Apply { source: "s".into(), previous: (number - 1) * 200, last: number * 200, ..Apply::default() };
    for record in 0..200_u64 {
        let key = record % 20;
        for dimension in ["all", "model:m", "platform:p"] {
            increments(&mut apply, &format!("{dimension}:{}", number / 4));
        }
        for dimension in ["key", "account", "user"] {
            increments(&mut apply, &format!("{dimension}:{key}:{}", number / 4));
        }
        let body = vec![7; 400];
        let id = format!("{number}-{record}");
        apply.entries.push(LogEntry { log: "requests".into(), id, at_ms: number.cast_signed(), body });
    }
    apply
}

fn increments(apply: &mut Apply, row: &str) {
    for step in ["minute", "hour", "day", "month", "total"] {
        let row = format!("{row}:{step}");
        for field in ["requests", "input", "output", "cache_read", "cache_write", "cost", "rated", "errors"] {
            apply.add(&row, (step == "minute").then_some(i64::MAX / 2_000_000), field, 17);
        }
    }
}

async fn figures(name: &str, store: &Store) {
    let start = Instant::now();
    for number in 1..=20 {
        store.apply(batch(number)).await.unwrap();
    }
    println!("{name}: apply of 200 records {:?}", start.elapsed() / 20);

    let start = Instant::now();
    for n in 0..100 {
        store
            .commit(Change::new(author()).put(&Note::new(&format!("one-{n}")), Expect::Absent))
            .await
            .unwrap();
    }
    println!("{name}: commit of one record {:?}", start.elapsed() / 100);

    let start = Instant::now();
    for _ in 0..200 {
        store.meter("k/l", |row: &mut Option<u64>, _| *row = Some(row.unwrap_or(0) + 1)).await.unwrap();
    }
    println!("{name}: step of a meter {:?}", start.elapsed() / 200);

    for page in 0..200 {
        let mut change = Change::new(author());
        for n in 0..500 {
            change = change.put(&Note::new(&format!("{page:03}-{n:03}")), Expect::Absent);
        }
        store.commit(change).await.unwrap();
    }
    let tasks = Tasks::new("figures");
    let start = Instant::now();
    let view = View::start(store, Kinds::new().with::<Note>(), &tasks).await.unwrap();
    println!("{name}: view of {} sealed records {:?}", view.all::<Note>().len(), start.elapsed());
    let start = Instant::now();
    let change = Change::new(author()).put(&Note::new("one more"), Expect::Absent);
    let revision = store.commit(change).await.unwrap();
    let committed = start.elapsed();
    assert!(view.caught_up(&revision, std::time::Duration::from_secs(10)).await);
    println!("{name}: view has a change {:?} after its commit of {committed:?}", start.elapsed() - committed);
    let start = Instant::now();
    let long = view.all::<Note>().iter().filter(|note| note.value.text.len() > 15).count();
    println!("{name}: filter over it {:?} ({long})", start.elapsed());
    tasks.drain(std::time::Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "figures are for reading"]
async fn embedded() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open_embedded(directory.path(), master()).await.unwrap();
    figures("embedded", &store).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "figures are for reading"]
async fn redis() {
    for fsync in ["everysec", "always"] {
        let server = redis_with(&["--appendonly", "yes", "--appendfsync", fsync]).unwrap();
        let store = Store::open_redis_with(&server.url(), RedisOptions::default(), master()).await.unwrap();
        figures(&format!("redis, appendfsync {fsync}"), &store).await;
        store.close().await;
    }
}
