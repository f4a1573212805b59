//! Sessions over several nodes: one binding wins, a busy account lends without losing, an ineligible one loses for good,
//! drops arrive, and without the control plane all nodes choose alike.

use std::{collections::BTreeSet, time::Duration};

use e2e::{
    mock::{Behaviour, Mock, Options},
    sandbox::{Fleet, FleetOptions, Setup, Standalone, Talk, eventually},
};
use serde_json::{Value, json};

use crate::bed::{Test, serves};

const NODES: FleetOptions = FleetOptions {
    replicas: 2,
    nodes: 2,
    fsync: "always",
    node_environment: Vec::new(),
    replica_environment: Vec::new(),
};

fn key_of(number: usize) -> String {
    format!("sk-ant-canary-session-{number:04}")
}

/// A turn of a session, as Claude Code names it.
fn turn(session: usize, text: &str, stream: bool) -> Vec<u8> {
    let user = format!("user_{:064x}_account__session_00000000-0000-4000-8000-{session:012}", 7);
    json!({
        "model": "claude-sonnet-4-5-20250929", "max_tokens": 9, "stream": stream,
        "metadata": {"user_id": user}, "messages": [{"role": "user", "content": text}],
    })
    .to_string()
    .into_bytes()
}

/// Says something in a session; the upstream key that answered.
async fn ask(mock: &Mock, talk: &Talk, session: usize, tag: &str) -> anyhow::Result<String> {
    let reply = talk.ask(&turn(session, &format!("[mock::{tag}]"), false)).await?;
    anyhow::ensure!(reply.status == 200, "{}", reply.text());
    let entry = mock.ledger().tagged(tag).pop();
    entry.map(|entry| entry.key).ok_or_else(|| anyhow::anyhow!("{tag} never reached the mock"))
}

async fn accounts(fleet: &Fleet, mock: &Mock, count: usize, more: Value) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    for number in 0..count {
        let name = format!("account {number}");
        ids.push(fleet.account(&name, &mock.url(), &key_of(number), more.clone()).await?);
    }
    Ok(ids)
}

#[tokio::test]
async fn g5_without_the_control_plane_all_nodes_choose_alike_for_new_sessions() -> Test {
    let mock = Mock::start(Options::default()).await?;
    let mut fleet = Fleet::start(NODES).await?;
    accounts(&fleet, &mock, 5, json!({})).await?;
    let (_, secret) = fleet.key("client", json!({})).await?;
    let talks: Vec<_> = fleet.nodes.iter().map(|node| node.talk(&secret)).collect();
    for talk in &talks {
        serves(talk).await?;
    }
    fleet.settled().await?;
    for replica in &mut fleet.replicas {
        replica.process.kill()?;
    }
    let mut homes = BTreeSet::new();
    for session in 0..12 {
        let first = ask(&mock, &talks[session % 2], session, &format!("alike-{session}-a")).await?;
        let second = ask(&mock, &talks[1 - session % 2], session, &format!("alike-{session}-b")).await?;
        assert_eq!(first, second, "session {session}");
        homes.insert(first);
    }
    assert!(homes.len() > 1, "twelve sessions on one account of five: {homes:?}");
    for replica in &mut fleet.replicas {
        replica.restart().await?;
    }
    fleet.close().await
}

#[tokio::test]
async fn two_nodes_race_for_a_new_session_and_one_binding_wins() -> Test {
    let mock = Mock::start(Options::default()).await?;
    let fleet = Fleet::start(NODES).await?;
    accounts(&fleet, &mock, 3, json!({"max_concurrency": 1})).await?;
    let (key, secret) = fleet.key("client", json!({})).await?;
    let talks: Vec<_> = fleet.nodes.iter().map(|node| node.talk(&secret)).collect();
    for talk in &talks {
        serves(talk).await?;
    }
    fleet.settled().await?;
    mock.scenarios().name("long", Behaviour { deltas: 40, interval_ms: 50, ..Behaviour::default() });
    for session in 0..6 {
        // Each node has one account busy, so that they would choose differently.
        let text = format!("[mock:long:held-{session}]");
        let (one, two) = (turn(1000 + session, &text, true), turn(2000 + session, &text, true));
        let held = (talks[0].begin(&one).await?, talks[1].begin(&two).await?);
        eventually("both accounts are busy", Duration::from_secs(5), || async {
            (mock.ledger().tagged(&format!("held-{session}")).len() == 2).then_some(())
        })
        .await?;
        let (a, b) = (format!("race-{session}-a"), format!("race-{session}-b"));
        let (first, second) =
            tokio::join!(ask(&mock, &talks[0], session, &a), ask(&mock, &talks[1], session, &b));
        first?;
        second?;
        drop(held);
        // Whoever was first: from now on both nodes go to the one account, once it is free.
        let tried = std::sync::atomic::AtomicU32::new(0);
        let home = eventually("both nodes go to one account", Duration::from_secs(10), || async {
            let n = tried.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let one = ask(&mock, &talks[0], session, &format!("after-{session}-{n}-a")).await.ok()?;
            let two = ask(&mock, &talks[1], session, &format!("after-{session}-{n}-b")).await.ok()?;
            (one == two).then_some(one)
        })
        .await?;
        for (node, talk) in talks.iter().enumerate() {
            for n in 0..3 {
                let tag = format!("stays-{session}-{node}-{n}");
                assert_eq!(ask(&mock, talk, session, &tag).await?, home, "session {session} moved");
            }
        }
    }
    // 6 that raced, 12 that kept accounts busy, and the one that warmed up: one binding each.
    let listed = fleet.admin.get(&format!("/api/v2/bindings?page_size=100&key_id={key}")).await?;
    assert_eq!(listed["bindings"].as_array().map(Vec::len), Some(19), "{listed}");
    fleet.close().await
}

#[tokio::test]
async fn dropped_bindings_are_forgotten_by_every_node_within_a_second() -> Test {
    let mock = Mock::start(Options::default()).await?;
    let fleet = Fleet::start(NODES).await?;
    let ids = accounts(&fleet, &mock, 2, json!({"priority": 50})).await?;
    fleet.admin.change_account(&ids[0], json!({"priority": 1})).await?;
    let (key, secret) = fleet.key("client", json!({})).await?;
    let talks: Vec<_> = fleet.nodes.iter().map(|node| node.talk(&secret)).collect();
    for talk in &talks {
        serves(talk).await?;
    }
    fleet.settled().await?;
    let both = |session: usize, tag: &'static str| {
        let (mock, talks) = (&mock, &talks);
        async move {
            let mut keys = Vec::new();
            for (node, talk) in talks.iter().enumerate() {
                keys.push(ask(mock, talk, session, &format!("{tag}-{session}-{node}")).await?);
            }
            anyhow::Ok(keys)
        }
    };
    for session in 0..3 {
        assert_eq!(both(session, "bound").await?, [key_of(0), key_of(0)]);
    }
    // The other account is preferred from now on, but sessions stay where they are.
    fleet.admin.change_account(&ids[0], json!({"priority": 90})).await?;
    fleet.settled().await?;
    for session in 0..3 {
        assert_eq!(both(session, "stays").await?, [key_of(0), key_of(0)]);
    }
    let listed = fleet.admin.get(&format!("/api/v2/bindings?key_id={key}&account_id={}", ids[0])).await?;
    let bindings = listed["bindings"].as_array().cloned().unwrap_or_default();
    assert_eq!((bindings.len(), bindings[0]["account_name"].as_str()), (4, Some("account 0")), "{listed}");

    // One by its id: exactly one session moves, on both nodes.
    let id = bindings[0]["id"].as_str().unwrap_or_default();
    fleet.admin.call("DELETE", &format!("/api/v2/bindings/{id}"), Value::Null).await?;
    let dropped = std::time::Instant::now();
    fleet.settled().await?;
    assert!(dropped.elapsed() < Duration::from_secs(2), "{:?}", dropped.elapsed());
    let mut moved = 0;
    for session in 0..3 {
        let keys = both(session, "one").await?;
        assert_eq!(keys[0], keys[1], "session {session}: the nodes differ");
        moved += usize::from(keys[0] == key_of(1));
    }
    assert!(moved <= 1, "{moved} sessions moved; the warm-up's may have been the one");

    // All of the account.
    let answer =
        fleet.admin.call("DELETE", &format!("/api/v2/bindings?account_id={}", ids[0]), Value::Null).await?;
    assert_eq!(answer["dropped"], json!(3), "{answer}");
    let dropped = std::time::Instant::now();
    eventually("every node has heard", Duration::from_secs(1), || async {
        let mut gone = true;
        for session in 0..3 {
            let keys = both(session, &*format!("all-{:?}", dropped.elapsed()).leak()).await.ok()?;
            gone &= keys == [key_of(1), key_of(1)];
        }
        gone.then_some(())
    })
    .await?;
    fleet.close().await
}

/// A standalone with two accounts, the first preferred, and a client.
async fn pair(more: Value) -> anyhow::Result<(Mock, Standalone, Vec<String>, Talk)> {
    let mock = Mock::start(Options::default()).await?;
    let crs = Standalone::start(Setup::default()).await?;
    let mut ids = Vec::new();
    for number in 0..2 {
        let mut fields = more.clone();
        fields["priority"] = json!(1 + 50 * number);
        ids.push(crs.account(&format!("account {number}"), &mock.url(), &key_of(number), fields).await?);
    }
    let (_, secret) = crs.key("client", json!({})).await?;
    let talk = crs.talk(&secret);
    serves(&talk).await?;
    applied(&crs).await?;
    Ok((mock, crs, ids, talk))
}

async fn applied(crs: &Standalone) -> Test {
    eventually("the node has the newest revision", Duration::from_secs(5), || async {
        let answer = crs.admin.get("/api/v2/nodes").await.ok()?;
        let newest = answer["revision"].as_str()?.to_owned();
        let all = answer["nodes"].as_array()?.iter().all(|node| node["applied_revision"] == newest.as_str());
        all.then_some(())
    })
    .await
}

#[tokio::test]
async fn a_busy_account_lends_elsewhere_and_keeps_its_session() -> Test {
    let (mock, crs, _, talk) = pair(json!({"max_concurrency": 1})).await?;
    assert_eq!(ask(&mock, &talk, 1, "home").await?, key_of(0));
    mock.scenarios().name("long", Behaviour { deltas: 60, interval_ms: 50, ..Behaviour::default() });
    let held = talk.begin(&turn(1, "[mock:long:held]", true)).await?;
    eventually("the account is busy", Duration::from_secs(5), || async {
        (!mock.ledger().tagged("held").is_empty()).then_some(())
    })
    .await?;
    let began = std::time::Instant::now();
    assert_eq!(ask(&mock, &talk, 1, "lent").await?, key_of(1), "another one was borrowed");
    assert!(
        began.elapsed() >= Duration::from_millis(400),
        "it was waited for a little: {:?}",
        began.elapsed()
    );
    drop(held);
    eventually("the session is back on its account", Duration::from_secs(5), || async {
        (ask(&mock, &talk, 1, "back").await.ok()? == key_of(0)).then_some(())
    })
    .await?;
    let id = &mock.ledger().tagged("lent")[0].request_id;
    eventually("its record says how it was chosen", Duration::from_secs(5), || async {
        let records = crs.admin.requests().await.ok()?;
        let record = records.iter().find(|r| r["attempts"][0]["upstream_request_id"] == id.as_str())?;
        let whole =
            crs.admin.get(&format!("/api/v2/requests/{}", record["request_id"].as_str()?)).await.ok()?;
        let text = whole.to_string();
        (text.contains("\"borrowed\"") && text.contains("\"busy\"")).then_some(())
    })
    .await?;
    crs.close().await
}

#[tokio::test]
async fn an_account_that_cannot_serve_loses_its_session_for_good() -> Test {
    let (mock, crs, ids, talk) = pair(json!({})).await?;
    assert_eq!(ask(&mock, &talk, 1, "home").await?, key_of(0));
    for (change, back) in [
        (json!({"status": "disabled"}), json!({"status": "active"})),
        (json!({"supported_models": ["claude-opus-*"]}), json!({"supported_models": []})),
    ] {
        let session = if back["status"] == "active" { 1 } else { 2 };
        assert_eq!(ask(&mock, &talk, session, "before").await?, key_of(0));
        crs.admin.change_account(&ids[0], change).await?;
        applied(&crs).await?;
        assert_eq!(ask(&mock, &talk, session, "away").await?, key_of(1));
        crs.admin.change_account(&ids[0], back).await?;
        applied(&crs).await?;
        assert_eq!(ask(&mock, &talk, session, "stays").await?, key_of(1), "it came back");
        assert_eq!(ask(&mock, &talk, 50 + session, "new").await?, key_of(0), "new ones go by priority");
    }
    crs.close().await
}

#[tokio::test]
async fn keys_follow_their_groups_in_order_and_fall_back_to_the_pool_where_they_may() -> Test {
    let mock = Mock::start(Options::default()).await?;
    let crs = Standalone::start(Setup::default()).await?;
    let mut ids = Vec::new();
    for number in 0..4 {
        let fields = json!({"availability": if number < 3 { "group" } else { "shared" }});
        ids.push(crs.account(&format!("account {number}"), &mock.url(), &key_of(number), fields).await?);
    }
    let group = |name: &'static str, members: Value| {
        let body = json!({"name": name, "family": "claude", "members": members});
        let admin = &crs.admin;
        async move {
            let made = admin.call("POST", "/api/v2/account-groups", body).await?;
            anyhow::Ok(made["id"].as_str().unwrap_or_default().to_owned())
        }
    };
    let first = json!([{"account_id": ids[0], "priority": 9}, {"account_id": ids[1], "priority": 1}]);
    let (first, second) =
        (group("first", first).await?, group("second", json!([{"account_id": ids[2]}])).await?);
    let bound = json!({"account_binding": {"claude": {"groups": [first, second], "fallback_to_pool": true}}});
    let (_, secret) = crs.key("client", bound).await?;
    let (_, bare) = crs.key("pool", json!({})).await?;
    let talk = crs.talk(&secret);
    serves(&talk).await?;
    let mut session = 0;
    let mut expected = vec![key_of(3), key_of(2), key_of(0), key_of(1)];
    while let Some(key) = expected.pop() {
        session += 1;
        assert_eq!(ask(&mock, &talk, session, &format!("group-{session}")).await?, key);
        let number = (0..4).find(|number| key_of(*number) == key).unwrap_or_default();
        crs.admin.change_account(&ids[number], json!({"schedulable": false})).await?;
        applied(&crs).await?;
    }
    let refused = talk.ask(&turn(99, "[mock::none]", false)).await?;
    assert_eq!(refused.status, 503, "{}", refused.text());
    // What is for groups alone is not for a key without one.
    crs.admin.change_account(&ids[0], json!({"schedulable": true})).await?;
    applied(&crs).await?;
    assert_eq!(crs.talk(&bare).ask(&turn(1, "[mock::bare]", false)).await?.status, 503);
    assert_eq!(ask(&mock, &talk, 100, "again").await?, key_of(0));
    crs.close().await
}
