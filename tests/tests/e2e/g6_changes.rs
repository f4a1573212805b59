//! G6: a change holds on every node within a second, and cuts no stream.

use std::time::{Duration, Instant};

use e2e::{
    mock::{Behaviour, Mock, Options},
    sandbox::{Fleet, FleetOptions, Talk, body, eventually},
};
use serde_json::json;

use crate::bed::{Test, UPSTREAM_KEY, serves};

#[tokio::test]
async fn g6_changes_arrive_within_a_second_and_cut_nothing() -> Test {
    let mock = Mock::start(Options::default()).await?;
    let fleet = Fleet::start(FleetOptions::default()).await?;
    fleet.account("first", &mock.url(), UPSTREAM_KEY, json!({})).await?;
    let (_, running) = fleet.key("running", json!({})).await?;
    let (id, secret) = fleet.key("changing", json!({})).await?;
    for node in &fleet.nodes {
        serves(&node.talk(&running)).await?;
        serves(&node.talk(&secret)).await?;
    }
    mock.scenarios().name("long", Behaviour { deltas: 300, interval_ms: 30, ..Behaviour::default() });
    let mut streams = tokio::task::JoinSet::new();
    for node in &fleet.nodes {
        let talk = node.talk(&running);
        streams.spawn(async move { talk.ask(&body("[mock:long:g6-long]", true)).await });
    }
    let mut times = Vec::new();
    for round in 0..24 {
        let active = round % 2 == 1;
        let status = if active { "active" } else { "disabled" };
        // Through either replica: a change made on one reaches nodes that hang on the other.
        let replica = fleet.replicas[round % 2].control;
        let admin = e2e::sandbox::Admin { address: replica, ..fleet.admin.clone() };
        admin.change_key(&id, json!({"status": status})).await?;
        let changed = Instant::now();
        for node in &fleet.nodes {
            let talk = node.talk(&secret);
            eventually("the node knows", Duration::from_secs(5), || holds(&talk, active)).await?;
        }
        times.push(changed.elapsed());
    }
    times.sort();
    println!("G6 over {} changes: median {:?}, most {:?}", times.len(), times[12], times[23]);
    assert!(times[22] < Duration::from_secs(1), "from the change's answer to the last node: {times:?}");
    while let Some(reply) = streams.join_next().await {
        let reply = reply??;
        assert!(reply.complete && reply.text().contains("message_stop"), "a change cut a stream");
    }
    fleet.settled().await?;
    let nodes = fleet.admin.get("/api/v2/nodes").await?;
    assert_eq!(nodes["nodes"].as_array().map(Vec::len), Some(3), "{nodes}");
    fleet.close().await
}

async fn holds(talk: &Talk, active: bool) -> Option<()> {
    let reply = talk.ask(br#"{"model":"claude-sonnet-4-5-20250929","max_tokens":1,"messages":[{"role":"user","content":"x"}]}"#);
    let served = reply.await.ok()?.status == 200;
    (served == active).then_some(())
}
