//! A store in trouble: slow (it keeps its connections and answers nothing for long) or dead. Clients of keys without
//! limits notice nothing, administration says so at once instead of hanging, everything recovers by itself and no record
//! is lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use e2e::{
    mock::{Behaviour, Mock, Options},
    sandbox::{Admin, Fleet, FleetOptions, Talk, body, eventually},
};
use serde_json::json;

use crate::{
    bed::{Test, UPSTREAM_KEY, serves},
    books,
};

/// How long the store is in trouble; `E2E_SLOW_STORE=30` for longer.
fn trouble() -> Duration {
    let seconds = std::env::var("E2E_SLOW_STORE").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(8))
}

/// Asks until told to stop; gives how many were served, and what else came.
async fn ask_on(talk: Talk, number: usize, stop: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let (mut good, mut others) = (0, Vec::new());
    for count in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        match talk.ask(&body(&format!("[mock:short:t{number}-{count}]"), true)).await {
            Ok(reply) if reply.status == 200 && reply.complete => good += 1,
            Ok(reply) => others.push(format!("{} {}", reply.status, reply.text())),
            Err(error) => others.push(format!("{error:#}")),
        }
    }
    (good, others)
}

/// What administration says for as long as the trouble lasts: 503 with a time, never later than a deadline.
async fn told_at_once(admin: &Admin, until: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    while Instant::now() < until {
        let asked = Instant::now();
        let reply = admin.raw("POST", "/api/v2/keys", &json!({"name": "meanwhile"})).await?;
        times.push(asked.elapsed());
        anyhow::ensure!(reply.status == 503, "{} {}", reply.status, reply.text());
        anyhow::ensure!(reply.header("retry-after").is_some(), "without a time: {}", reply.text());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(times)
}

/// What it came to, in words.
async fn in_trouble(slow: bool) -> anyhow::Result<String> {
    let mock = Mock::start(Options::default()).await?;
    mock.scenarios().name("short", Behaviour { deltas: 10, interval_ms: 10, ..Behaviour::default() });
    let mut fleet = Fleet::start(FleetOptions { nodes: 2, ..FleetOptions::default() }).await?;
    fleet.account("first", &mock.url(), UPSTREAM_KEY, json!({})).await?;
    let (key, secret) = fleet.key("client", json!({})).await?;
    for node in &fleet.nodes {
        serves(&node.talk(&secret)).await?;
    }
    fleet.settled().await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = tokio::task::JoinSet::new();
    for number in 0..4 {
        load.spawn(ask_on(fleet.nodes[number % 2].talk(&secret), number, stop.clone()));
    }
    if slow {
        fleet.redis.process.freeze()?
    } else {
        fleet.redis.process.kill()?
    }
    let times = told_at_once(&fleet.admin, Instant::now() + trouble()).await?;
    let (first, rest) = times.split_first().ok_or_else(|| anyhow::anyhow!("nothing was asked"))?;
    let longest = rest.iter().max().copied().unwrap_or_default();
    let said =
        format!("administration: first {first:?}, then at most {longest:?} over {} calls", times.len());
    assert!(*first < Duration::from_secs(3), "{first:?}");
    assert!(longest < Duration::from_secs(3), "{times:?}");
    if slow {
        fleet.redis.process.thaw()?
    } else {
        fleet.redis.restart().await?
    }
    let back = Instant::now();
    eventually("administration works again", Duration::from_secs(20), || async {
        let made = fleet.admin.raw("POST", "/api/v2/keys", &json!({"name": "afterwards"})).await.ok()?;
        (made.status == 200).then_some(())
    })
    .await?;
    let said = format!("{said}; it works again after {:?}", back.elapsed());
    stop.store(true, Ordering::Relaxed);
    let mut good = 0;
    while let Some(ended) = load.join_next().await {
        let (served, others) = ended?;
        assert!(others.is_empty(), "clients noticed: {:?}", &others[..others.len().min(3)]);
        good += served;
    }
    everything_is_counted(&fleet.admin, &mock, &key, good).await?;
    fleet.close().await?;
    Ok(said)
}

async fn everything_is_counted(admin: &Admin, mock: &Mock, key: &str, good: usize) -> Test {
    let entries = mock.ledger().matching(|entry| entry.scenario == "short");
    assert_eq!(entries.len(), good);
    let records = eventually("every record has arrived", Duration::from_secs(60), || async {
        let records = admin.requests().await.ok()?;
        let known = books::by_upstream_id(&records);
        entries.iter().all(|entry| known.contains_key(&entry.request_id)).then_some(records)
    })
    .await?;
    let known = books::by_upstream_id(&records);
    for entry in &entries {
        books::equal(&known[&entry.request_id].0, entry)?;
    }
    let totals = admin.key_totals(key).await?;
    assert_eq!(books::number(&totals["requests"]), mock.ledger().len() as i64, "{totals}");
    Ok(())
}

#[tokio::test]
async fn g4_g5_a_slow_store_is_told_at_once_and_noticed_by_no_client() -> Test {
    println!("{}", in_trouble(true).await?);
    Ok(())
}

#[tokio::test]
async fn g4_g5_a_dead_store_is_told_at_once_and_noticed_by_no_client() -> Test {
    println!("{}", in_trouble(false).await?);
    Ok(())
}
