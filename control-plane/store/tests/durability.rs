//! What survives: kills, restarts, failovers, silence.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as promised")]

mod sample;

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use sample::{Note, author, master};
use store::{
    Applied, Apply, Change, Changes, Error, Expect, RedisOptions, Store, Verdict,
    testing::{RedisServer, redis, redis_sentinel, redis_with},
};

/// Longer than anything promised takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn count(source: &str, last: u64) -> Apply {
    let mut apply = Apply { source: source.into(), previous: last - 1, last, ..Apply::default() };
    apply.add("row", None, "n", 1);
    apply
}

async fn counted(store: &Store) -> i64 {
    store.rows(0, &["row".into()]).await.unwrap()[0].get("n").copied().unwrap_or(0)
}

async fn patient(server: &RedisServer) -> Store {
    let options = RedisOptions { hot: PATIENCE, cold: PATIENCE, ..RedisOptions::default() };
    Store::open_redis_with(&server.url(), options, master()).await.unwrap()
}

/// Waits until a call succeeds.
async fn until_up<T>(call: impl AsyncFn() -> store::Result<T>) -> T {
    let up = tokio::time::timeout(PATIENCE, async {
        loop {
            match call().await {
                Ok(value) => return value,
                Err(why) if why.is_transient() => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(why) => panic!("{why}"),
            }
        }
    });
    up.await.expect("the store came back in time")
}

/// Waits until a replica has all that its master has, on its disk as well.
async fn in_step(first: &RedisServer, replica: &RedisServer) {
    let field = |server: &RedisServer, section: &str, name: &str| {
        let info = server.command(&["INFO", section]).unwrap();
        info.lines().find_map(|line| line.strip_prefix(name).map(|value| value[1..].to_owned()))
    };
    let reached = tokio::time::timeout(PATIENCE, async {
        let offset = |server| field(server, "replication", "master_repl_offset");
        let idle = |name| field(replica, "persistence", name).as_deref() == Some("0");
        while field(replica, "replication", "master_link_status").as_deref() != Some("up")
            || offset(replica) != offset(first)
            || !idle("aof_rewrite_in_progress")
            || !idle("aof_rewrite_scheduled")
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    reached.await.expect("the replica is in step");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_redis_killed_while_writing_keeps_what_it_acknowledged() {
    let mut server = redis_with(&["--appendonly", "yes", "--appendfsync", "always"]).unwrap();
    let store = Store::open_redis(&server.url(), "crs:", master()).await.unwrap();
    let (mut applied, mut notes, mut identities) = (0, BTreeSet::new(), BTreeSet::new());
    for round in 0..4 {
        identities.insert(until_up(async || store.identity().await).await.store_identity);
        let writer = store.clone();
        let tasks = process::tasks::Tasks::new("test");
        let work = tasks.spawn("writer", async move {
            let (mut acked, mut written) = (applied, BTreeSet::new());
            loop {
                match writer.apply(count("s", acked + 1)).await {
                    // One that was not acknowledged may have been done.
                    Ok(Applied::Done | Applied::Already { .. }) => acked += 1,
                    Ok(gap) => panic!("{gap:?}"),
                    Err(_) => return (acked, written),
                }
                let id = format!("{round}-{acked}");
                let change = Change::new(author()).put(&Note::new(&id), Expect::Absent);
                if writer.commit(change).await.is_ok() {
                    written.insert(id);
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(150)).await;
        server.kill().unwrap();
        let (acked, written) = work.await.unwrap();
        assert!(acked > applied, "nothing was written in round {round}");
        notes.extend(written);
        server.restart().unwrap();
        let marker = until_up(async || store.markers(&["s".into()]).await).await[0].applied;
        assert!(marker == acked || marker == acked + 1, "acknowledged {acked}, found {marker}");
        assert_eq!(counted(&store).await, marker.cast_signed(), "counters and marker live and die together");
        applied = marker;
    }
    let found: BTreeSet<_> =
        store.scan::<Note>(None, 10_000).await.unwrap().into_iter().map(|note| note.value.id).collect();
    assert!(notes.is_subset(&found), "{:?}", notes.difference(&found).collect::<Vec<_>>());
    assert_eq!(identities.len(), 4, "each restart is another identity");
    assert!(matches!(store.audit_verify().await.unwrap(), Verdict::Whole { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_a_lagging_replica_that_is_promoted_shows_as_a_gap_and_a_new_history() {
    let first_server = redis().unwrap();
    let mut replica = redis().unwrap();
    let port = first_server.port().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]).unwrap();
    let store = patient(&first_server).await;
    store.apply(count("s", 1)).await.unwrap();
    let first = store.commit(Change::new(author()).put(&Note::new("first"), Expect::Absent)).await.unwrap();
    let before = store.identity().await.unwrap();
    in_step(&first_server, &replica).await;

    // What is written while the replica is away it never gets: a paused one would find it in its socket.
    replica.kill().unwrap();
    store.apply(count("s", 2)).await.unwrap();
    let lost = store.commit(Change::new(author()).put(&Note::new("lost"), Expect::Absent)).await.unwrap();
    let (number, key) = (lost.number, store.rotate_data_key(author()).await.unwrap());
    drop(first_server);
    replica.restart().unwrap();

    let promoted = patient(&replica).await;
    let after = promoted.identity().await.unwrap();
    assert_ne!(after.incarnation, before.incarnation);
    assert_ne!(after.store_identity, before.store_identity);
    assert!(matches!(promoted.changes(&first, 10).await.unwrap(), Changes::TooOld { .. }));
    assert_eq!(promoted.apply(count("s", 3)).await.unwrap(), Applied::Gap { have: 1 });
    assert_eq!(promoted.apply(count("s", 2)).await.unwrap(), Applied::Done);
    assert_eq!(counted(&promoted).await, 2);
    assert!(promoted.get::<Note>("lost").await.unwrap().is_none());
    let again =
        promoted.commit(Change::new(author()).put(&Note::new("other"), Expect::Absent)).await.unwrap();
    assert!(again.number <= number && again.incarnation != lost.incarnation, "{again:?} {key}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_by_sentinel_is_followed() {
    let mut first = redis().unwrap();
    let replica = redis().unwrap();
    replica.command(&["REPLICAOF", "127.0.0.1", &first.port().to_string()]).unwrap();
    let sentinel = redis_sentinel(&first).unwrap();
    let knows = tokio::time::timeout(PATIENCE, async {
        let port = replica.port().to_string();
        while !sentinel.command(&["SENTINEL", "replicas", "main"]).unwrap().contains(&port)
            || !replica.command(&["INFO", "replication"]).unwrap().contains("master_link_status:up")
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    knows.await.expect("the Sentinel knows the replica");
    let url = format!("redis-sentinel://127.0.0.1:{}/main", sentinel.port());
    let store = Store::open_redis(&url, "crs:", master()).await.unwrap();
    store.commit(Change::new(author()).put(&Note::new("before"), Expect::Absent)).await.unwrap();
    let before = store.identity().await.unwrap();
    in_step(&first, &replica).await;
    first.kill().unwrap();
    let put = async || store.commit(Change::new(author()).put(&Note::new("after"), Expect::Any)).await;
    until_up(put).await;
    assert_eq!(store.get::<Note>("before").await.unwrap().unwrap().value, Note::new("before"));
    assert!(replica.command(&["INFO", "replication"]).unwrap().contains("role:master"));
    assert_ne!(until_up(async || store.identity().await).await.store_identity, before.store_identity);
    assert!(matches!(store.audit_verify().await.unwrap(), Verdict::Whole { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_lost_everything_is_given_its_data_keys_back() {
    let server = redis().unwrap();
    let store = patient(&server).await;
    store.commit(Change::new(author()).put(&Note::new("before"), Expect::Absent)).await.unwrap();
    server.command(&["FLUSHALL"]).unwrap();
    store.commit(Change::new(author()).put(&Note::new("after"), Expect::Absent)).await.unwrap();
    let other = patient(&server).await;
    assert_eq!(other.get::<Note>("after").await.unwrap().unwrap().value, Note::new("after"));
    assert!(other.get::<Note>("before").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_redis_costs_a_deadline_then_nothing_and_comes_back() {
    let server = redis().unwrap();
    let deadline = Duration::from_millis(250);
    let store = Store::open_redis(&server.url(), "crs:", master()).await.unwrap();
    let bind = async || store.bind("k", "a", "", 60_000, 0).await;
    bind().await.unwrap();
    server.pause().unwrap();
    let started = Instant::now();
    let refused = bind().await.unwrap_err();
    let took = started.elapsed();
    assert!(matches!(refused, Error::Unavailable { .. }), "{refused}");
    assert!(took >= deadline && took < deadline * 4, "{took:?}");
    futures_util::future::join_all((0..8).map(|_| bind())).await.into_iter().for_each(|bound| {
        bound.unwrap_err();
    });
    let quick = tokio::time::timeout(PATIENCE, async {
        loop {
            let started = Instant::now();
            bind().await.unwrap_err();
            if started.elapsed() < deadline / 5 {
                return;
            }
        }
    });
    quick.await.expect("the breaker refuses at once");
    server.resume().unwrap();
    assert_eq!(until_up(bind).await.account, "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_were_flushed_are_sent_again_and_a_dead_server_is_refused_at_once() {
    let mut server = redis().unwrap();
    let store = Store::open_redis(&server.url(), "crs:", master()).await.unwrap();
    let mut heads = store.watch();
    server.command(&["SCRIPT", "FLUSH"]).unwrap();
    store.apply(count("s", 1)).await.unwrap();
    server.kill().unwrap();
    let started = Instant::now();
    store.apply(count("s", 2)).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    server.restart().unwrap();
    until_up(async || store.apply(count("s", 2)).await).await;
    // The subscription stands again as well: a change made elsewhere is heard of.
    let other = patient(&server).await;
    let revision = other.commit(Change::new(author()).put(&Note::new("x"), Expect::Any)).await.unwrap();
    let heard = tokio::time::timeout(PATIENCE, heads.wait_for(|head| *head == revision)).await;
    heard.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_cannot_carry_the_store_is_refused_in_words() {
    let evicts = redis_with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]).unwrap();
    let refused = Store::open_redis(&evicts.url(), "crs:", master()).await.unwrap_err().to_string();
    assert!(refused.contains("noeviction"), "{refused}");
    let cluster = redis_with(&["--cluster-enabled", "yes"]);
    if let Ok(cluster) = cluster {
        let refused = Store::open_redis(&cluster.url(), "crs:", master()).await.unwrap_err().to_string();
        assert!(refused.contains("redis+cluster://"), "{refused}");
    }
    let nobody = Store::open_redis("redis://127.0.0.1:1", "crs:", master()).await.unwrap_err();
    assert!(matches!(nobody, Error::Unavailable { .. }), "{nobody}");
}

#[tokio::test]
async fn an_embedded_store_belongs_to_one_process() {
    let directory = tempfile::tempdir().unwrap();
    let first = Store::open_embedded(directory.path(), master()).await.unwrap();
    let second = Store::open_embedded(directory.path(), master()).await.unwrap_err();
    assert!(matches!(second, Error::InUse { .. }), "{second}");
    first.close().await;
    assert!(matches!(first.get::<Note>("x").await, Err(Error::Unavailable { .. })));
    Store::open_embedded(directory.path(), master()).await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_an_embedded_store_killed_while_writing_keeps_what_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut applied = 0;
    for round in 0..4 {
        let acked = killed_writer(directory.path(), applied, 5 + round * 7);
        assert!(acked > applied);
        let store = Store::open_embedded(directory.path(), master()).await.unwrap();
        let marker = store.markers(&["s".into()]).await.unwrap()[0].applied;
        assert!(marker >= acked, "acknowledged {acked}, found {marker}");
        assert_eq!(counted(&store).await, marker.cast_signed());
        let notes = store.scan::<Note>(None, usize::MAX).await.unwrap().len() as u64;
        assert!(notes == marker || notes + 1 == marker, "{notes} notes at {marker}");
        assert!(matches!(store.audit_verify().await.unwrap(), Verdict::Whole { .. }));
        store.close().await;
        applied = marker;
    }
}

/// Runs a process that writes, kills it in the midst of it once it acknowledged `lines` writes, and gives the last
/// one that it acknowledged.
fn killed_writer(directory: &Path, from: u64, lines: usize) -> u64 {
    let itself = std::env::current_exe().unwrap();
    let mut child = Command::new(itself)
        .args(["--exact", "writer_to_be_killed", "--ignored", "--nocapture", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{}\n{from}", directory.display()).unwrap();
    drop(stdin);
    let (mut seen, mut last) = (0, from);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Some(number) = line.unwrap().strip_prefix("acked ").map(|number| number.parse().unwrap()) else {
            continue;
        };
        last = number;
        seen += 1;
        if seen == lines {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(seen >= lines, "the writer ended by itself after {seen}");
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test above, to be killed"]
async fn writer_to_be_killed() {
    let mut input = std::io::stdin().lines();
    let Some(Ok(directory)) = input.next() else { return };
    let Some(Ok(from)) = input.next() else { return };
    let store = Store::open_embedded(Path::new(&directory), master()).await.unwrap();
    for last in from.parse::<u64>().unwrap() + 1.. {
        let change = Change::new(author()).put(&Note::new(&format!("{last:09}")), Expect::Any);
        let (applied, committed) = tokio::join!(store.apply(count("s", last)), store.commit(change));
        assert_eq!(applied.unwrap(), Applied::Done);
        committed.unwrap();
        println!("acked {last}");
        std::io::stdout().flush().unwrap();
    }
}
