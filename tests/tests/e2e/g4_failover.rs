//! G4 over a failover of the store (distribution 1.4, 1.6): a replica that lags is really promoted under load, so that
//! writes which were acknowledged are gone. The nodes still have their records and give them again: none is lost, none
//! counted twice, and the totals are their sum.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use e2e::{
    faults::Mode,
    mock::{Behaviour, Mock, Options},
    sandbox::{Admin, Fleet, FleetOptions, Redis, Talk, body, eventually},
};
use serde_json::json;

use crate::{
    bed::{Test, UPSTREAM_KEY, serves},
    books,
};

/// Asks until told to stop; whatever fails is the test's to notice.
async fn ask_on(talk: Talk, number: usize, good: Arc<AtomicUsize>, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut others = Vec::new();
    for count in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        match talk.ask(&body(&format!("[mock:short:f{number}-{count}]"), true)).await {
            Ok(reply) if reply.status == 200 && reply.complete => {
                good.fetch_add(1, Ordering::Relaxed);
            }
            Ok(reply) => others.push(format!("{} {}", reply.status, reply.text())),
            Err(error) => others.push(format!("{error:#}")),
        }
    }
    others
}

/// Waits until so many more have been served.
async fn served(good: &AtomicUsize, more: usize) -> Test {
    let wanted = good.load(Ordering::Relaxed) + more;
    eventually("requests are served", Duration::from_secs(60), || async {
        (good.load(Ordering::Relaxed) >= wanted).then_some(())
    })
    .await
}

async fn counted(admin: &Admin, key: &str) -> i64 {
    admin.key_totals(key).await.map(|totals| books::number(&totals["requests"])).unwrap_or(0)
}

/// What it came to, in words.
async fn promoted(fsync: &'static str) -> anyhow::Result<String> {
    let mock = Mock::start(Options::default()).await?;
    mock.scenarios().name("short", Behaviour { deltas: 8, interval_ms: 5, ..Behaviour::default() });
    let mut fleet = Fleet::start(FleetOptions { nodes: 2, fsync, ..FleetOptions::default() }).await?;
    fleet.account("first", &mock.url(), UPSTREAM_KEY, json!({})).await?;
    let (key, secret) = fleet.key("client", json!({})).await?;
    for node in &fleet.nodes {
        serves(&node.talk(&secret)).await?;
    }
    fleet.settled().await?;
    let mut replica = Redis::start(fsync).await?;
    let (good, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut load = tokio::task::JoinSet::new();
    for number in 0..4 {
        load.spawn(ask_on(fleet.nodes[number % 2].talk(&secret), number, good.clone(), stop.clone()));
    }
    served(&good, 50).await?;
    replica.follow(&fleet.redis).await?;
    served(&good, 50).await?;
    // What is written from here on the replica never gets: it is away, not slow.
    replica.process.kill()?;
    let behind = counted(&fleet.admin, &key).await;
    served(&good, 100).await?;
    let lost = eventually("more is counted than the replica has", Duration::from_secs(20), || async {
        let now = counted(&fleet.admin, &key).await;
        (now > behind + 50).then_some(now - behind)
    })
    .await?;
    fleet.redis.process.kill()?;
    // Started again it follows nobody: it is the master.
    replica.restart().await?;
    fleet.store_way.retarget(replica.address);
    fleet.store_way.set(Mode::Cut);
    fleet.store_way.set(Mode::Pass);
    served(&good, 100).await?;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = load.join_next().await {
        let others = ended?;
        assert!(others.is_empty(), "clients noticed: {:?}", &others[..others.len().min(3)]);
    }
    let good = good.load(Ordering::Relaxed);
    let entries = mock.ledger().matching(|entry| entry.scenario == "short");
    assert_eq!(entries.len(), good);
    fleet.admin = Admin::login(fleet.replicas[0].control).await?;
    everything_is_counted(&fleet.admin, &mock, &key).await?;
    fleet.redis = replica;
    fleet.close().await?;
    Ok(format!(
        "appendfsync {fsync}: {good} requests, about {lost} of them counted and then lost with the store"
    ))
}

/// Each of the mock's entries has its record, equal in all figures, and the totals are their sum.
async fn everything_is_counted(admin: &Admin, mock: &Mock, key: &str) -> Test {
    let entries = mock.ledger().matching(|entry| entry.scenario == "short");
    let records = eventually("every record has arrived", Duration::from_secs(90), || async {
        let records = admin.requests().await.ok()?;
        let known = books::by_upstream_id(&records);
        entries.iter().all(|entry| known.contains_key(&entry.request_id)).then_some(records)
    })
    .await?;
    let known = books::by_upstream_id(&records);
    for entry in &entries {
        books::equal(&known[&entry.request_id].0, entry)?;
    }
    let counted = mock.ledger().all();
    let cost: i64 =
        counted.iter().filter_map(|entry| entry.counted).map(|counted| books::cost(&counted)).sum();
    let totals = admin.key_totals(key).await?;
    assert_eq!(books::number(&totals["requests"]), counted.len() as i64, "{totals}");
    assert_eq!(books::number(&totals["real_cost"]), cost, "{totals}");
    Ok(())
}

#[tokio::test]
async fn g4_a_lagging_replica_promoted_under_load_loses_and_doubles_no_record() -> Test {
    println!("{}", promoted("always").await?);
    Ok(())
}

#[tokio::test]
async fn g4_the_same_where_redis_syncs_every_second() -> Test {
    println!("{}", promoted("everysec").await?);
    Ok(())
}
