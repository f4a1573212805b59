//! The proof of G3 at size: eight nodes and two replicas on a real Redis, by the mock's own count.

use std::time::{Duration, Instant};

use e2e::{
    faults::Mode,
    mock::{Behaviour, Mock, Options, scenario},
    sandbox::{Fleet, FleetOptions, body, eventually},
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bed::{Test, UPSTREAM_KEY, serves};

/// Eight nodes, two replicas, one mock, two accounts; a key with these limits.
async fn fleet(nodes: usize, limits: Value) -> anyhow::Result<(Fleet, Mock, String)> {
    let mock = Mock::start(Options::default()).await?;
    let fleet = Fleet::start(FleetOptions { nodes, ..FleetOptions::default() }).await?;
    fleet.account("first", &mock.url(), UPSTREAM_KEY, json!({"priority": 1})).await?;
    fleet.account("second", &mock.url(), "sk-ant-canary-upstream-0002", json!({})).await?;
    let (_, free) = fleet.key("free", json!({})).await?;
    let (_, secret) = fleet.key("limited", json!({"limits": limits})).await?;
    for node in &fleet.nodes {
        serves(&node.talk(&free)).await?;
    }
    fleet.settled().await?;
    Ok((fleet, mock, secret))
}

/// Scripts that Redis has run so far: every step on a meter is two, a batch of usage one. (What a script does inside is
/// counted by Redis too, and is mostly the usage counters of each request.)
async fn scripts(fleet: &Fleet) -> anyhow::Result<u64> {
    let mut io = tokio::net::TcpStream::connect(fleet.redis.address).await?;
    io.write_all(b"INFO commandstats\r\nQUIT\r\n").await?;
    let mut info = String::new();
    io.read_to_string(&mut info).await?;
    let scripts = info.lines().filter(|line| line.starts_with("cmdstat_eval"));
    let calls =
        scripts.filter_map(|line| line.split_once("calls=")?.1.split(',').next()?.parse::<u64>().ok());
    Ok(calls.sum())
}

/// So many requests over all nodes, so many at once; how many were answered 200, and how many anything but 200 and 429.
async fn offer(
    fleet: &Fleet,
    secret: &str,
    text: &'static str,
    count: usize,
) -> anyhow::Result<(usize, usize)> {
    let mut tasks = tokio::task::JoinSet::new();
    let nodes = fleet.nodes.len();
    for lane in 0..nodes * 4 {
        let talk = fleet.nodes[lane % nodes].talk(secret);
        tasks.spawn(async move {
            let (mut good, mut odd) = (0, 0);
            for _ in 0..count / (nodes * 4) {
                match talk.ask(&body(text, false)).await.map(|reply| reply.status) {
                    Ok(200) => good += 1,
                    Ok(429) => {}
                    _ => odd += 1,
                }
            }
            (good, odd)
        });
    }
    let (mut good, mut odd) = (0, 0);
    while let Some(one) = tasks.join_next().await {
        let (more, others) = one?;
        (good, odd) = (good + more, odd + others);
    }
    Ok((good, odd))
}

/// The requests that arrived at the mock under a tag, each counted once however many attempts it took.
fn arrived(mock: &Mock, tag: &str) -> usize {
    mock.ledger().tagged(tag).len()
}

#[tokio::test]
async fn g3_eight_nodes_admit_a_window_exactly_and_the_store_does_not_feel_the_requests() -> Test {
    let amount = 1_000;
    let limits = json!([{"meter": "requests", "amount": amount, "window": {"kind": "fixed", "minutes": 60}}]);
    let (fleet, mock, secret) = fleet(8, limits).await?;
    let (before, began) = (scripts(&fleet).await?, Instant::now());
    let (good, odd) = offer(&fleet, &secret, "[mock::g3-eight]", 2 * amount).await?;
    let (seconds, sent) = (began.elapsed().as_secs_f64(), scripts(&fleet).await? - before);
    println!(
        "{} requests in {seconds:.1} s: {good} admitted, {odd} odd; {sent} scripts on Redis, {:.2} a request",
        2 * amount,
        sent as f64 / (2 * amount) as f64
    );
    assert!(good <= amount, "{good} admitted of {amount}");
    // What is left lies with nodes that nobody asks: ask on until every node says no.
    for node in &fleet.nodes {
        eventually("the node has nothing left", Duration::from_secs(20), || async {
            let status = node.talk(&secret).say("[mock::g3-eight]").await.ok()?.status;
            (status == 429).then_some(())
        })
        .await?;
    }
    assert_eq!(arrived(&mock, "g3-eight"), amount, "neither more nor, in the end, fewer");
    // Refused requests cost the store next to nothing: what it was told is believed.
    let (before, began) = (scripts(&fleet).await?, Instant::now());
    let (good, _) = offer(&fleet, &secret, "[mock::g3-refused]", 3_200).await?;
    let (sent, seconds) = (scripts(&fleet).await? - before, began.elapsed().as_secs_f64());
    println!("3200 refused in {seconds:.1} s: {sent} scripts on Redis");
    assert_eq!(good, 0);
    assert!(sent < 3_200 / 2, "{sent} scripts for 3200 refusals: they follow the requests");
    fleet.close().await
}

#[tokio::test]
async fn g3_a_request_counts_once_however_many_attempts_it_takes() -> Test {
    let limits = json!([{"meter": "requests", "amount": 20, "window": {"kind": "hour"}}]);
    let (fleet, mock, secret) = fleet(2, limits).await?;
    // The first account fails now and then: what it fails is tried again on the second.
    let steps = (0..64).map(|turn| if turn % 3 == 0 { scenario::error(529) } else { Behaviour::default() });
    mock.scenarios().key(UPSTREAM_KEY, scenario::Scenario { steps: steps.collect(), once: false });
    let (good, odd) = offer(&fleet, &secret, "[mock::g3-attempts]", 40).await?;
    let entries = mock.ledger().tagged("g3-attempts");
    let served = entries.iter().filter(|entry| entry.status == 200).count();
    println!("{good} admitted and {odd} odd in {} attempts, {served} of them good", entries.len());
    assert!(entries.len() > served, "some took more than one attempt");
    assert!(good <= 20 && served <= 20 && good + odd <= 20, "{good} {odd} {served}");
    fleet.close().await
}

#[tokio::test]
async fn g3_a_cut_holder_and_a_killed_one_never_lead_to_one_more() -> Test {
    let amount = 400;
    let limits = json!([{"meter": "requests", "amount": amount, "window": {"kind": "fixed", "minutes": 60}}]);
    let (mut fleet, mock, secret) = fleet(8, limits).await?;
    let (good, _) = offer(&fleet, &secret, "[mock::g3-cut]", 160).await?;
    assert!(good > 0);
    // Both hold leases: one is cut off from its replica, the other dies.
    fleet.nodes[0].way.set(Mode::Cut);
    fleet.nodes[1].process.kill()?;
    let (more, odd) = offer(&fleet, &secret, "[mock::g3-cut]", 2 * amount).await?;
    let all = arrived(&mock, "g3-cut");
    println!("{good} and {more} admitted ({odd} odd); {all} arrived of {amount}");
    assert!(all <= amount, "{all} arrived");
    assert!(all >= amount / 2, "{all}: those who are connected go on");
    drop(fleet);
    Ok(())
}

#[tokio::test]
async fn g3_one_slot_over_three_nodes_is_never_two_and_free_again_at_once() -> Test {
    let (fleet, mock, secret) = fleet(3, json!([{"meter": "concurrency", "amount": 1}])).await?;
    mock.scenarios().name("short", Behaviour { deltas: 3, interval_ms: 5, ..Behaviour::default() });
    let mut waits = Vec::new();
    for turn in 0..60 {
        let talk = fleet.nodes[turn % 3].talk(&secret);
        let began = Instant::now();
        let reply = eventually("the slot is had", Duration::from_secs(10), || async {
            talk.ask(&body("[mock:short:g3-slot]", false)).await.ok().filter(|reply| reply.status == 200)
        });
        reply.await?;
        let ended = mock.ledger().tagged("g3-slot");
        let last = ended.last().expect("it arrived");
        // From when the client asked until the request had arrived upstream: what the grant took, and a little.
        waits
            .push(began.elapsed().saturating_sub(Duration::from_micros((last.ended_us - last.at_us) as u64)));
    }
    waits.sort_unstable();
    println!("alternating: median {:?}, p95 {:?}, worst {:?}", waits[30], waits[57], waits[59]);
    assert_eq!(most_at_once(&mock, "g3-slot"), 1);
    assert!(waits[30] < Duration::from_millis(500), "median {:?}", waits[30]);
    fleet.close().await
}

/// The most requests that were at the mock at one instant, by tag.
fn most_at_once(mock: &Mock, tag: &str) -> i32 {
    let entries = mock.ledger().tagged(tag);
    let edges = entries.iter().flat_map(|entry| [(entry.at_us, 1), (entry.ended_us, -1)]);
    let mut edges: Vec<(i64, i32)> = edges.collect();
    edges.sort_unstable();
    edges.iter().fold((0, 0), |(now, most), (_, step)| (now + step, most.max(now + step))).1
}

#[tokio::test]
async fn g3_slots_of_one_three_and_a_hundred_are_kept_over_four_nodes() -> Test {
    let (fleet, mock, _) = fleet(4, json!([])).await?;
    mock.scenarios().name("some", Behaviour { deltas: 30, interval_ms: 20, ..Behaviour::default() });
    for (slots, tag, text) in [
        (1, "g3-one", "[mock:some:g3-one]"),
        (3, "g3-three", "[mock:some:g3-three]"),
        (100, "g3-hundred-slots", "[mock:some:g3-hundred-slots]"),
    ] {
        let limits = json!({"limits": [{"meter": "concurrency", "amount": slots}]});
        let (_, secret) = fleet.key("slots", limits).await?;
        fleet.settled().await?;
        let mut tasks = tokio::task::JoinSet::new();
        for lane in 0..slots as usize + 24 {
            let talk = fleet.nodes[lane % 4].talk(&secret);
            tasks.spawn(async move {
                for _ in 0..3 {
                    let reply = talk.ask(&body(text, false)).await?;
                    // On a machine that is busy with other things the store may be too slow to be asked: that is a 503.
                    anyhow::ensure!([200, 429, 503].contains(&reply.status), "answered {}", reply.text());
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        let most = most_at_once(&mock, tag);
        println!("{slots} slots: at most {most} at once");
        assert!((1..=slots).contains(&most), "{most} at once of {slots}");
    }
    fleet.close().await
}
