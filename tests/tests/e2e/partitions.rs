//! Partitions: every way between the planes is cut, stalled, slowed and made one-way under load. Nothing is lost or
//! doubled (G4), nothing over-admitted (G3), and nothing is noticed by clients of keys without limits (G5).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use e2e::{
    faults::Mode,
    mock::{Behaviour, Mock, Options},
    sandbox::{Fleet, FleetOptions, Talk, body, eventually},
};
use serde_json::json;

use crate::{
    bed::{Test, UPSTREAM_KEY, serves},
    books,
};

async fn start(limits: serde_json::Value) -> anyhow::Result<(Fleet, Mock, String, String)> {
    let mock = Mock::start(Options::default()).await?;
    mock.scenarios().name("short", Behaviour { deltas: 10, interval_ms: 5, ..Behaviour::default() });
    let fleet = Fleet::start(FleetOptions::default()).await?;
    fleet.account("first", &mock.url(), UPSTREAM_KEY, json!({})).await?;
    let (id, secret) = fleet.key("client", json!({"limits": limits})).await?;
    let (_, free) = fleet.key("free", json!({})).await?;
    for node in &fleet.nodes {
        serves(&node.talk(&free)).await?;
    }
    fleet.settled().await?;
    Ok((fleet, mock, id, secret))
}

/// Asks until told to stop, and counts by status: 200 and anything else.
async fn ask_on(talk: Talk, number: usize, stop: Arc<AtomicBool>) -> (usize, Vec<u16>) {
    let (mut good, mut others) = (0, Vec::new());
    for count in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        match talk.ask(&body(&format!("[mock:short:p{number}-{count}]"), true)).await {
            Ok(reply) if reply.status == 200 && reply.complete => good += 1,
            Ok(reply) => others.push(reply.status),
            Err(_) => others.push(0),
        }
    }
    (good, others)
}

/// One fault after another on every way, each healed after a while.
async fn trouble(fleet: &Fleet) {
    let faults = [
        Mode::Cut,
        Mode::Stall,
        Mode::DropAnswers,
        Mode::DropRequests,
        Mode::Delay(Duration::from_millis(150)),
    ];
    let ways = || fleet.nodes.iter().map(|node| &node.way).chain([&fleet.store_way]);
    for fault in faults {
        for way in ways() {
            way.set(fault);
            tokio::time::sleep(Duration::from_millis(400)).await;
            // Bytes that were dropped from the middle of a connection leave it broken: it ends.
            way.set(Mode::Cut);
            tokio::time::sleep(Duration::from_millis(50)).await;
            way.set(Mode::Pass);
        }
    }
    // And all at once.
    ways().for_each(|way| way.set(Mode::Cut));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    ways().for_each(|way| way.set(Mode::Pass));
}

#[tokio::test]
async fn g4_g5_partitions_lose_nothing_and_no_client_notices() -> Test {
    let (fleet, mock, id, secret) = start(json!([])).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = tokio::task::JoinSet::new();
    for number in 0..6 {
        load.spawn(ask_on(fleet.nodes[number % 3].talk(&secret), number, stop.clone()));
    }
    trouble(&fleet).await;
    stop.store(true, Ordering::Relaxed);
    let mut good = 0;
    while let Some(ended) = load.join_next().await {
        let (served, others) = ended?;
        assert!(others.is_empty(), "clients noticed: {others:?}");
        good += served;
    }
    let entries = mock.ledger().matching(|entry| entry.scenario == "short");
    assert_eq!(entries.len(), good);
    let records = eventually("every record has arrived", Duration::from_secs(60), || async {
        let records = fleet.admin.requests().await.ok()?;
        let known = books::by_upstream_id(&records);
        entries.iter().all(|entry| known.contains_key(&entry.request_id)).then_some(records)
    })
    .await?;
    let known = books::by_upstream_id(&records);
    for entry in &entries {
        books::equal(&known[&entry.request_id].0, entry)?;
    }
    let totals = fleet.admin.key_totals(&id).await?;
    let cost: i64 =
        entries.iter().filter_map(|entry| entry.counted).map(|counted| books::cost(&counted)).sum();
    assert_eq!(books::number(&totals["requests"]), good as i64, "{totals}");
    assert_eq!(books::number(&totals["real_cost"]), cost, "{totals}");
    println!("{good} requests through the partitions");
    fleet.close().await
}

#[tokio::test]
async fn g3_partitions_never_admit_too_much() -> Test {
    let amount = 400;
    let limits = json!([{"meter": "requests", "amount": amount, "window": {"kind": "fixed", "minutes": 60}}]);
    let (fleet, mock, _, secret) = start(limits).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = tokio::task::JoinSet::new();
    for number in 0..9 {
        load.spawn(ask_on(fleet.nodes[number % 3].talk(&secret), number, stop.clone()));
    }
    trouble(&fleet).await;
    stop.store(true, Ordering::Relaxed);
    let mut good = 0;
    while let Some(ended) = load.join_next().await {
        let (served, others) = ended?;
        assert!(others.iter().all(|status| [429, 503].contains(status)), "{others:?}");
        good += served;
    }
    let arrived = mock.ledger().matching(|entry| entry.scenario == "short").len();
    println!("{good} admitted, {arrived} arrived, of {amount}");
    assert!(arrived <= amount, "{arrived} admitted of {amount}");
    assert!(good > 50, "hardly anything was admitted: {good}");
    fleet.close().await
}

#[tokio::test]
async fn g3_a_frozen_node_keeps_what_it_holds_and_no_more() -> Test {
    let limits = json!([{"meter": "concurrency", "amount": 4}]);
    let (fleet, mock, _, secret) = start(limits).await?;
    mock.scenarios().name("long", Behaviour { deltas: 200, interval_ms: 25, ..Behaviour::default() });
    // Two streams on a node that then stands still: they stay counted, whatever it may be doing.
    let mut held = Vec::new();
    for number in 0..2 {
        let mut conn =
            fleet.nodes[0].talk(&secret).begin(&body(&format!("[mock:long:held-{number}]"), true)).await?;
        assert_eq!(conn.head().await?.map(|head| head.status), Some(200));
        held.push(conn);
    }
    fleet.nodes[0].process.freeze()?;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..8 {
        let talk = fleet.nodes[1 + number % 2].talk(&secret);
        tasks.spawn(
            async move { talk.ask(&body("[mock:long:others]", true)).await.map(|reply| reply.status) },
        );
    }
    let mut good = 0;
    while let Some(status) = tasks.join_next().await {
        good += usize::from(status?? == 200);
    }
    fleet.nodes[0].process.thaw()?;
    assert!(good <= 2, "{good} beside the two that a frozen node holds, of 4");
    drop(held);
    fleet.close().await
}
