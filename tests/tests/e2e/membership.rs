//! Nodes and their membership: revoked ones are told so and stop relaying, silent control planes end nothing, held ones
//! resume, and those that are gone for good are written off.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use e2e::{
    faults::Mode,
    mock::{Behaviour, Mock, Options},
    sandbox::{Fleet, FleetOptions, body, eventually},
    wire,
};
use serde_json::{Value, json};

use crate::bed::{Test, UPSTREAM_KEY, serves};

async fn start(limits: Value, environment: &[(&str, &str)]) -> anyhow::Result<(Fleet, Mock, String)> {
    let mock = Mock::start(Options::default()).await?;
    mock.scenarios().name("long", Behaviour { deltas: 600, interval_ms: 50, ..Behaviour::default() });
    let node_environment =
        environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let fleet = Fleet::start(FleetOptions { nodes: 2, node_environment, ..FleetOptions::default() }).await?;
    fleet.account("first", &mock.url(), UPSTREAM_KEY, json!({})).await?;
    let (_, secret) = fleet.key("client", json!({"limits": limits})).await?;
    for node in &fleet.nodes {
        serves(&node.talk(&secret)).await?;
    }
    fleet.settled().await?;
    Ok((fleet, mock, secret))
}

/// The id by which the control plane knows a node.
async fn id_of(fleet: &Fleet, number: usize) -> anyhow::Result<String> {
    let nodes = fleet.admin.get("/api/v2/nodes").await?;
    let name = format!("node-{number}");
    let found = nodes["nodes"].as_array().into_iter().flatten().find(|node| node["name"] == name.as_str());
    let id = found.and_then(|node| node["id"].as_str()).unwrap_or_default().to_owned();
    anyhow::ensure!(!id.is_empty(), "no {name} among {nodes}");
    Ok(id)
}

#[tokio::test]
async fn a_revoked_node_is_cut_off_told_and_ends_within_its_grace() -> Test {
    let (mut fleet, _mock, secret) = start(json!([]), &[("CRS_MEMBERSHIP_GRACE", "2")]).await?;
    let tokens = fleet.admin.get("/api/v2/join-tokens").await?;
    let token = tokens["join_tokens"][0]["id"].as_str().unwrap_or_default().to_owned();
    // One node cannot hear it: it cannot be told, and goes on (G5).
    fleet.nodes[1].way.set(Mode::Cut);
    let mut stream = fleet.nodes[0].talk(&secret).begin(&body("[mock:long:revoked]", true)).await?;
    assert_eq!(stream.head().await?.map(|head| head.status), Some(200));
    fleet.admin.call("DELETE", &format!("/api/v2/join-tokens/{token}"), Value::Null).await?;
    let revoked = Instant::now();
    let status = fleet.nodes[0].process.wait(Duration::from_secs(10)).await?;
    assert!(!status.success(), "an ended membership is no orderly end");
    let took = revoked.elapsed();
    println!("a revoked node ended after {took:?}");
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(!fleet.nodes[0].process.log().contains("panicked"), "{}", fleet.nodes[0].process.log_tail());
    let reply = fleet.nodes[1].talk(&secret).stream("[mock::cut-off]").await?;
    assert_eq!(reply.status, 200, "a node that cannot reach its control plane goes on");

    // Started again with the same token it relays nothing: it kept no snapshot, and is told again.
    fleet.nodes[0].relaunch()?;
    let end = Instant::now() + Duration::from_secs(10);
    while fleet.nodes[0].process.ended()?.is_none() && Instant::now() < end {
        if let Ok(reply) = fleet.nodes[0].talk(&secret).say("[mock::again]").await {
            assert_ne!(reply.status, 200, "it relays without a membership");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(fleet.nodes[0].process.ended()?.is_some(), "{}", fleet.nodes[0].process.log_tail());

    // The other is told as soon as it can be.
    fleet.nodes[1].way.set(Mode::Pass);
    let status = fleet.nodes[1].process.wait(Duration::from_secs(15)).await?;
    assert!(!status.success());
    let listed = fleet.admin.get("/api/v2/join-tokens").await?;
    assert_eq!(listed["join_tokens"], json!([]));
    let ended = fleet.admin.get("/api/v2/join-tokens?ended=true").await?;
    assert!(ended["join_tokens"][0]["revoked_at"].is_string(), "{ended}");
    let audit = fleet.admin.get("/api/v2/audit").await?;
    assert!(audit.to_string().contains("NodeAdminService.DeleteJoinToken"), "{audit}");
    fleet.nodes.clear();
    fleet.close().await
}

#[tokio::test]
async fn a_token_for_one_node_lets_in_no_other() -> Test {
    let (mut fleet, _mock, secret) = start(json!([]), &[]).await?;
    let made = fleet
        .admin
        .call("POST", "/api/v2/join-tokens", json!({"name": "one", "node_name": "node-0"}))
        .await?;
    let token = made["secret"].as_str().unwrap_or_default().to_owned();
    fleet.canaries.add("the join token", &token);
    assert_eq!(made["join_token"]["node_name"], "node-0");
    for number in [0, 1] {
        fleet.nodes[number].process.terminate()?;
        fleet.nodes[number].process.wait(Duration::from_secs(20)).await?;
        fleet.nodes[number].join_with(&token);
        fleet.nodes[number].relaunch()?;
    }
    let ops = fleet.nodes[0].ops;
    fleet.nodes[0].process.ready(ops, "/health/ready", Duration::from_secs(20)).await?;
    serves(&fleet.nodes[0].talk(&secret)).await?;
    eventually("the other is refused", Duration::from_secs(10), || async {
        fleet.nodes[1].process.log().contains("is for the node named `node-0`").then_some(())
    })
    .await?;
    assert!(fleet.nodes[1].process.ended()?.is_none(), "a token that does not fit is no revocation");
    fleet.close().await
}

/// Waits until a node is in a state and has all of the configuration.
async fn state(fleet: &Fleet, id: &str, wanted: &str) -> anyhow::Result<Value> {
    let last = parking_lot::Mutex::new(Value::Null);
    let found = eventually("its state", Duration::from_secs(10), || async {
        let nodes = fleet.admin.get("/api/v2/nodes").await.ok()?;
        let node = nodes["nodes"].as_array()?.iter().find(|node| node["id"] == id)?.clone();
        last.lock().clone_from(&node);
        (node["state"] == wanted && node["revision_lag"] == 0).then_some(node)
    });
    found.await.with_context(|| format!("{wanted}: {}", last.lock()))
}

#[tokio::test]
async fn a_held_node_is_unready_until_resumed_and_a_drained_one_ends() -> Test {
    let (mut fleet, _mock, secret) = start(json!([]), &[]).await?;
    let id = id_of(&fleet, 0).await?;
    let ready = |ops| async move {
        wire::call(ops, "GET", "/health/ready", &[], b"").await.map(|reply| reply.status).unwrap_or(0)
    };
    let mut stream = fleet.nodes[0].talk(&secret).begin(&body("[mock:long:held]", true)).await?;
    assert_eq!(stream.head().await?.map(|head| head.status), Some(200));
    fleet.admin.call("POST", &format!("/api/v2/nodes/{id}/drain"), json!({"stay": true})).await?;
    let ops = fleet.nodes[0].ops;
    eventually("it is not ready", Duration::from_secs(5), || async {
        (ready(ops).await == 503).then_some(())
    })
    .await?;
    let reply = fleet.nodes[0].talk(&secret).say("[mock::late]").await?;
    assert_eq!(
        (reply.status, reply.header("connection")),
        (200, Some("close")),
        "who comes late is still served"
    );
    let node = state(&fleet, &id, "draining").await?;
    assert!(node["identity"].as_str().is_some_and(|identity| identity.starts_with("token:")), "{node}");
    fleet.admin.call("POST", &format!("/api/v2/nodes/{id}/resume"), json!({})).await?;
    eventually("it is ready again", Duration::from_secs(5), || async {
        (ready(ops).await == 200).then_some(())
    })
    .await?;
    state(&fleet, &id, "connected").await?;
    drop(stream);

    fleet.admin.call("POST", &format!("/api/v2/nodes/{id}/drain"), json!({})).await?;
    let status = fleet.nodes[0].process.wait(Duration::from_secs(40)).await?;
    assert!(status.success(), "{}", fleet.nodes[0].process.log_tail());
    let late = fleet.admin.raw("POST", &format!("/api/v2/nodes/{id}/resume"), &json!({})).await?;
    assert_eq!(late.status, 400, "{}", late.text());
    fleet.nodes[0].restart().await?;
    state(&fleet, &id, "connected").await?;
    fleet.close().await
}

#[tokio::test]
async fn g3_a_node_that_is_gone_keeps_its_slots_until_it_is_written_off() -> Test {
    let (mut fleet, _mock, secret) = start(json!([{"meter": "concurrency", "amount": 2}]), &[]).await?;
    let id = id_of(&fleet, 0).await?;
    let early = fleet.admin.raw("POST", &format!("/api/v2/nodes/{id}/write-off"), &json!({})).await?;
    assert_eq!(early.status, 400, "one that is heard is left alone: {}", early.text());
    let mut held = Vec::new();
    for number in 0..2 {
        let mut conn =
            fleet.nodes[0].talk(&secret).begin(&body(&format!("[mock:long:gone-{number}]"), true)).await?;
        assert_eq!(conn.head().await?.map(|head| head.status), Some(200));
        held.push(conn);
    }
    fleet.nodes[0].process.kill()?;
    let talk = fleet.nodes[1].talk(&secret);
    let written = eventually("it is silent long enough", Duration::from_secs(30), || async {
        let refused = talk.say("[mock::before]").await.ok()?;
        assert_eq!(refused.status, 429, "a silent node's slots were given away: {}", refused.text());
        let reply =
            fleet.admin.raw("POST", &format!("/api/v2/nodes/{id}/write-off"), &json!({})).await.ok()?;
        (reply.status == 200).then(|| reply.json())
    })
    .await?;
    assert_eq!(written["slots"].as_i64(), Some(2), "{written}");
    eventually("the slots are free", Duration::from_secs(10), || async {
        talk.say("[mock::after]").await.ok().filter(|reply| reply.status == 200)
    })
    .await?;
    let nodes = fleet.admin.get("/api/v2/nodes").await?;
    assert_eq!(nodes["nodes"].as_array().map(Vec::len), Some(1), "{nodes}");
    let audit = fleet.admin.get("/api/v2/audit").await?;
    assert!(audit.to_string().contains("NodeAdminService.WriteOffNode"), "{audit}");
    // It was not gone after all: it is a node again, and what its spool held is counted.
    fleet.nodes[0].restart().await?;
    serves(&fleet.nodes[0].talk(&secret)).await?;
    drop(held);
    fleet.close().await
}
