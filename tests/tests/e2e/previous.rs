//! Planes one release apart (G12): through a proxy that speaks the pinned contract of the release before, each side sees
//! the other as that release, and fields that nobody knows. What they did together then, they still do.

use std::time::Duration;

use e2e::{
    faults::{Mode, Previous, pinned},
    mock::{Mock, Options},
    sandbox::{Fleet, FleetOptions, Talk, eventually},
};
use prost_reflect::{DescriptorPool, MessageDescriptor};
use serde_json::json;

use crate::{
    bed::{Test, UPSTREAM_KEY, serves},
    books,
};

#[tokio::test]
async fn g12_planes_one_release_apart_work_together_in_both_directions() -> Test {
    let mock = Mock::start(Options::default()).await?;
    let mut fleet = Fleet::start(FleetOptions { replicas: 1, nodes: 1, ..FleetOptions::default() }).await?;
    let previous = Previous::start(fleet.replicas[0].for_nodes).await?;
    let node = &fleet.nodes[0];
    node.way.retarget(previous.address);
    node.way.set(Mode::Cut);
    node.way.set(Mode::Pass);

    // Configuration, with receipts.
    fleet.account("first", &mock.url(), UPSTREAM_KEY, json!({})).await?;
    let (free, secret) = fleet.key("free", json!({})).await?;
    let limits = json!({"limits": [
        {"meter": "requests", "amount": 5, "window": {"kind": "fixed", "minutes": 60}},
        {"meter": "concurrency", "amount": 2},
    ]});
    let (_, limited) = fleet.key("limited", limits).await?;
    let (talk, limited) = (node.talk(&secret), node.talk(&limited));
    serves(&talk).await?;
    fleet.settled().await?;
    limits_are_exact(&limited).await?;
    usage_is_told_in_full(&fleet, &mock, &talk, &free).await?;
    // A change arrives, also after a restart from the snapshot on disk.
    fleet.nodes[0].process.kill()?;
    fleet.nodes[0].restart().await?;
    fleet.admin.change_key(&free, json!({"status": "disabled"})).await?;
    eventually("the change holds", Duration::from_secs(10), || async {
        talk.say("[mock::disabled]").await.ok().filter(|reply| reply.status == 401)
    })
    .await?;
    // A drain that should stay is one that ends, to a node that does not know the difference.
    let nodes = fleet.admin.get("/api/v2/nodes").await?;
    let id = nodes["nodes"][0]["id"].as_str().unwrap_or_default().to_owned();
    fleet.admin.call("POST", &format!("/api/v2/nodes/{id}/drain"), json!({"stay": true})).await?;
    let status = fleet.nodes[0].process.wait(Duration::from_secs(20)).await?;
    assert!(status.success(), "{}", fleet.nodes[0].process.log_tail());
    fleet.nodes.clear();
    fleet.close().await
}

/// Leases, exact as ever.
async fn limits_are_exact(limited: &Talk) -> Test {
    eventually("the limited key is served", Duration::from_secs(20), || async {
        limited.say("[mock::limited]").await.ok().filter(|reply| reply.status == 200)
    })
    .await?;
    let mut admitted = 1;
    for _ in 0..8 {
        let reply = limited.say("[mock::limited]").await?;
        assert!([200, 429].contains(&reply.status), "{}", reply.text());
        admitted += usize::from(reply.status == 200);
    }
    assert_eq!(admitted, 5);
    Ok(())
}

/// To the nano-dollar. What is refused is not told to a release that does not keep it, and nothing waits for it.
async fn usage_is_told_in_full(fleet: &Fleet, mock: &Mock, talk: &Talk, key: &str) -> Test {
    for count in 0..10 {
        assert_eq!(talk.stream(&format!("[mock::previous-{count}]")).await?.status, 200);
    }
    let entries = mock.ledger().matching(|entry| entry.tag.starts_with("previous-"));
    let records = eventually("every record has arrived", Duration::from_secs(20), || async {
        let records = fleet.admin.requests().await.ok()?;
        let known = books::by_upstream_id(&records);
        entries.iter().all(|entry| known.contains_key(&entry.request_id)).then_some(records)
    })
    .await?;
    let known = books::by_upstream_id(&records);
    for entry in &entries {
        books::equal(&known[&entry.request_id].0, entry)?;
    }
    let totals = fleet.admin.key_totals(key).await?;
    assert_eq!(books::number(&totals["requests"]), 11, "one more warmed it up: {totals}");
    Ok(())
}

/// Nothing of the pinned contract has gone or changed its meaning on the wire.
#[test]
fn g12_the_contract_of_the_release_before_is_a_part_of_this_one() -> Test {
    let (before, now) = (pinned()?, DescriptorPool::decode(proto::DESCRIPTOR_SET)?);
    let mut compared = 0;
    for service in before.services().filter(|service| service.package_name() == "crs.node.v1") {
        let same = now.get_service_by_name(service.full_name());
        let same = same.ok_or_else(|| anyhow::anyhow!("{} is gone", service.full_name()))?;
        for method in service.methods() {
            let found = same.methods().find(|known| known.name() == method.name());
            let found = found.ok_or_else(|| anyhow::anyhow!("{} is gone", method.full_name()))?;
            let shape = |of: &prost_reflect::MethodDescriptor| {
                let names = (of.input().full_name().to_owned(), of.output().full_name().to_owned());
                (names, of.is_client_streaming(), of.is_server_streaming())
            };
            assert_eq!(shape(&method), shape(&found), "{}", method.full_name());
        }
    }
    for message in before.all_messages().filter(|message| message.package_name().starts_with("crs.")) {
        let Some(same) = now.get_message_by_name(message.full_name()) else {
            anyhow::bail!("{} is gone", message.full_name());
        };
        compared += fields(&message, &same)?;
    }
    assert!(compared > 200, "only {compared} fields were compared");
    Ok(())
}

fn fields(before: &MessageDescriptor, now: &MessageDescriptor) -> anyhow::Result<usize> {
    for field in before.fields() {
        let Some(same) = now.get_field(field.number()) else {
            anyhow::bail!("{} is gone", field.full_name());
        };
        let shape = |of: &prost_reflect::FieldDescriptor| {
            (of.name().to_owned(), format!("{:?}", of.kind()), of.cardinality(), of.is_packed())
        };
        assert_eq!(shape(&field), shape(&same), "{}", field.full_name());
    }
    Ok(before.fields().count())
}
