//! G12: a rolling restart of every process, one after another, behind a real balancer and under paced streams: no frame
//! is lost, no request fails, every record arrives once. `make rolling` runs it with 500 streams.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use e2e::{
    mock::{Behaviour, Mock, Options},
    sandbox::{Balancer, Fleet, FleetOptions, Talk, body, eventually},
    wire,
};
use serde_json::json;

use crate::{
    bed::{Test, UPSTREAM_KEY, serves},
    books,
};

/// Deltas of one stream and the time between them: 3 s.
const DELTAS: u32 = 30;
const INTERVAL_MS: u64 = 100;
/// How long one process may take to end.
const ENDS: Duration = Duration::from_secs(40);

/// What clients saw.
#[derive(Default)]
struct Seen {
    whole: AtomicUsize,
    wrong: parking_lot::Mutex<Vec<String>>,
}

#[tokio::test]
async fn g12_a_rolling_restart_loses_no_frame_and_fails_no_request() -> Test {
    let Some(haproxy) = Balancer::program() else {
        println!("SKIPPED: the rolling restart behind a real balancer: no haproxy here");
        return Ok(());
    };
    let streams = std::env::var("E2E_STREAMS").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let mock = Mock::start(Options::default()).await?;
    let paced = Behaviour { deltas: DELTAS, interval_ms: INTERVAL_MS, ..Behaviour::default() };
    mock.scenarios().name("paced", paced);
    let node_environment = vec![("CRS_DRAIN_DELAY".to_owned(), "1".to_owned())];
    let mut fleet = Fleet::start(FleetOptions { node_environment, ..FleetOptions::default() }).await?;
    fleet.account("first", &mock.url(), UPSTREAM_KEY, json!({})).await?;
    let (key, secret) = fleet.key("client", json!({})).await?;
    for node in &fleet.nodes {
        serves(&node.talk(&secret)).await?;
    }
    let nodes: Vec<_> = fleet.nodes.iter().map(|node| (node.relay, node.ops)).collect();
    let replicas: Vec<_> = fleet.replicas.iter().map(|replica| (replica.for_nodes, replica.ops)).collect();
    let balancer = Balancer::start(&haproxy, &nodes, &replicas).await?;
    // From now on nodes that connect come through the balancer too.
    fleet.nodes.iter().for_each(|node| node.way.retarget(balancer.for_nodes));

    let (seen, stop) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
    let mut load = tokio::task::JoinSet::new();
    for number in 0..streams {
        let talk = Talk::new(balancer.relay, &secret);
        load.spawn(stream_on(talk, number, streams, seen.clone(), stop.clone()));
    }
    eventually("all streams run", Duration::from_secs(20), || async {
        (fleet.nodes.len() > 1 && in_flight(&fleet).await >= streams * 9 / 10).then_some(())
    })
    .await?;
    let began = Instant::now();
    roll(&mut fleet).await?;
    println!("every process was restarted within {:?}", began.elapsed());
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = load.join_next().await {
        ended?;
    }
    let whole = seen.whole.load(Ordering::Relaxed);
    let wrong = std::mem::take(&mut *seen.wrong.lock());
    assert!(
        wrong.is_empty(),
        "{} of {} streams: {:?}",
        wrong.len(),
        whole + wrong.len(),
        &wrong[..wrong.len().min(5)]
    );
    println!("{whole} whole streams, {streams} at once");
    assert!(whole >= streams * 2, "too little load: {whole}");
    everything_is_counted(&mut fleet, &mock, &key, whole).await?;
    drop(balancer);
    fleet.close().await
}

/// One stream after another until told to stop; each must come whole.
async fn stream_on(talk: Talk, number: usize, of: usize, seen: Arc<Seen>, stop: Arc<AtomicBool>) {
    // Spread over one stream's length.
    let length = u64::from(DELTAS) * INTERVAL_MS;
    tokio::time::sleep(Duration::from_millis(length * number as u64 / of as u64)).await;
    for count in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let tag = format!("r{number}-{count}");
        match talk.ask(&body(&format!("[mock:paced:{tag}]"), true)).await {
            Ok(reply) => {
                let text = reply.text();
                let deltas = text.matches("event: content_block_delta").count();
                let whole = reply.status == 200 && reply.complete && text.contains("event: message_stop");
                if whole && deltas == DELTAS as usize {
                    seen.whole.fetch_add(1, Ordering::Relaxed);
                } else {
                    let end = &text[text.len().saturating_sub(200)..];
                    seen.wrong.lock().push(format!("{tag}: {} with {deltas} deltas: …{end}", reply.status));
                }
            }
            Err(error) => seen.wrong.lock().push(format!("{tag}: {error:#}")),
        }
    }
}

/// Requests in flight over all nodes, as their metrics say.
async fn in_flight(fleet: &Fleet) -> usize {
    let mut sum = 0;
    for node in &fleet.nodes {
        let Ok(metrics) = wire::call(node.ops, "GET", "/metrics", &[], b"").await else { return 0 };
        let line = metrics.text();
        let line = line.lines().find(|line| line.starts_with("crs_in_flight "));
        sum += line.and_then(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).unwrap_or(0);
    }
    sum
}

/// Ends each process as an upgrade does, waits for its end, and starts it again: replicas first, then nodes.
async fn roll(fleet: &mut Fleet) -> Test {
    for replica in &mut fleet.replicas {
        replica.process.terminate()?;
        let status = replica.process.wait(ENDS).await?;
        anyhow::ensure!(status.success(), "a replica ended with {status}: {}", replica.process.log_tail());
        replica.restart().await?;
    }
    for node in &mut fleet.nodes {
        node.process.terminate()?;
        let status = node.process.wait(ENDS).await?;
        anyhow::ensure!(status.success(), "a node ended with {status}: {}", node.process.log_tail());
        node.restart().await?;
    }
    Ok(())
}

/// As many records as whole streams, each equal to the ledger, and totals that are their sum.
async fn everything_is_counted(fleet: &mut Fleet, mock: &Mock, key: &str, whole: usize) -> Test {
    fleet.admin = e2e::sandbox::Admin::login(fleet.replicas[0].control).await?;
    let entries = mock.ledger().matching(|entry| entry.scenario == "paced");
    assert_eq!(entries.len(), whole, "a request was sent twice, or not at all");
    let admin = &fleet.admin;
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
    let warm_ups = fleet.nodes.len() as i64;
    assert_eq!(books::number(&totals["requests"]), whole as i64 + warm_ups, "{totals}");
    Ok(())
}
