//! G5: with every replica and the store gone, nodes go on relaying from what they hold, also after a restart.

use std::time::Duration;

use e2e::{
    mock::{Mock, Options},
    sandbox::{Fleet, FleetOptions, Node, eventually},
};
use serde_json::json;

use crate::{
    bed::{Test, UPSTREAM_KEY, serves},
    books,
};

#[tokio::test]
async fn g5_the_data_plane_outlives_the_control_plane() -> Test {
    let mock = Mock::start(Options::default()).await?;
    // Said in so many words: a control plane by a name tells nobody that administration is on loopback.
    let node_environment = vec![("CRS_UPSTREAM_ALLOW_PRIVATE".to_owned(), "127.0.0.0/8".to_owned())];
    let mut fleet = Fleet::start(FleetOptions { node_environment, ..FleetOptions::default() }).await?;
    fleet.account("first", &mock.url(), UPSTREAM_KEY, json!({})).await?;
    let (free_id, free) = fleet.key("free", json!({})).await?;
    let limits = json!({"limits": [{"meter": "requests", "amount": 1000, "window": {"kind": "fixed", "minutes": 60}}]});
    let (_, limited) = fleet.key("limited", limits).await?;
    for node in &fleet.nodes {
        serves(&node.talk(&free)).await?;
        serves(&node.talk(&limited)).await?;
    }
    fleet.settled().await?;
    for replica in &mut fleet.replicas {
        replica.process.kill()?;
    }
    fleet.redis.process.kill()?;

    for (number, node) in fleet.nodes.iter().enumerate() {
        for count in 0..20 {
            let reply = node.talk(&free).stream(&format!("[mock::g5-{number}-{count}]")).await?;
            assert_eq!((reply.status, reply.complete), (200, true), "{}", reply.text());
        }
    }
    // A limited key spends what its node holds, and is then refused with a clear word and a time.
    let refused = eventually("a limited key has spent its lease", Duration::from_secs(30), || async {
        let reply = fleet.nodes[0].talk(&limited).say("[mock::g5-limited]").await.ok()?;
        (reply.status != 200).then_some(reply)
    })
    .await?;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.header("retry-after").is_some());

    fleet.nodes[1].process.kill()?;
    fleet.nodes[1].restart().await?;
    let reply = fleet.nodes[1].talk(&free).stream("[mock::g5-restarted]").await?;
    assert_eq!(reply.status, 200, "after a restart, from the snapshot on disk: {}", reply.text());
    let reply = fleet.nodes[1].talk(&limited).say("[mock::g5-no-lease]").await?;
    assert_eq!(reply.status, 503, "leases are not kept over a restart: {}", reply.text());

    without_a_name(&mut fleet.nodes[2], &free).await?;
    // All that was relayed meanwhile is counted when the control plane is back.
    fleet.redis.restart().await?;
    for replica in &mut fleet.replicas {
        replica.restart().await?;
    }
    fleet.admin = e2e::sandbox::Admin::login(fleet.replicas[0].control).await?;
    let asked =
        mock.ledger().matching(|entry| entry.tag.starts_with("g5-") && entry.tag != "g5-limited").len();
    eventually("every record has arrived", Duration::from_secs(40), || async {
        let records = fleet.admin.requests().await.ok()?;
        let known = books::by_upstream_id(&records);
        let entries = mock.ledger().matching(|entry| entry.tag.starts_with("g5-"));
        entries.iter().all(|entry| known.contains_key(&entry.request_id)).then_some(())
    })
    .await?;
    assert_eq!(asked, 62);
    let totals = fleet.admin.key_totals(&free_id).await?;
    assert_eq!(books::number(&totals["requests"]), 62 + 3, "3 more warmed it up: {totals}");
    eventually("limited keys are served again", Duration::from_secs(20), || async {
        let reply = fleet.nodes[1].talk(&limited).say("[mock::after]").await.ok()?;
        (reply.status == 200).then_some(())
    })
    .await?;
    fleet.close().await
}

/// A control plane whose name does not resolve is one that is away.
async fn without_a_name(node: &mut Node, secret: &str) -> Test {
    let known = node.controlled_by("http://control-plane.invalid:4001");
    node.process.kill()?;
    node.restart().await?;
    let reply = node.talk(secret).stream("[mock::g5-no-name]").await?;
    assert_eq!(reply.status, 200, "without a name of its control plane: {}", reply.text());
    node.controlled_by(&known);
    node.process.kill()?;
    node.restart().await
}
