//! Limits are exact over all nodes: requests and concurrency, with a fixed window.

use std::time::Duration;

use e2e::{
    mock::{Behaviour, Mock, Options},
    sandbox::{Fleet, FleetOptions, body, eventually},
};
use serde_json::{Value, json};

use crate::bed::{Bed, Test, serves};

fn limits(list: Value) -> Value {
    json!({"limits": list})
}

#[tokio::test]
async fn g3_requests_of_a_fixed_window_are_exact_and_a_refusal_says_when() -> Test {
    let limit = json!([{"meter": "requests", "amount": 7, "window": {"kind": "fixed", "minutes": 60}}]);
    let bed = Bed::start().await?;
    let (id, secret) = bed.crs.key("seven", limits(limit)).await?;
    let talk = bed.crs.talk(&secret);
    let mut statuses = Vec::new();
    eventually("the key has arrived", Duration::from_secs(5), || async {
        talk.ask(b"{").await.ok().filter(|reply| reply.status != 401)
    })
    .await?;
    for number in 0..12 {
        statuses.push(talk.say(&format!("[mock::g3-{number}]")).await?.status);
    }
    let good = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(good, 7, "{statuses:?}");
    assert!(statuses[7..].iter().all(|status| *status == 429), "{statuses:?}");
    let refused = talk.say("one more").await?;
    assert_eq!(refused.json()["error"]["type"], "rate_limit_error", "{}", refused.text());
    let after: u64 = refused.header("retry-after").expect("Retry-After").parse()?;
    assert!((3000..=3600).contains(&after), "{after}");
    let state = bed.crs.admin.get(&format!("/api/v2/keys/{id}/limits")).await?;
    assert_eq!(state["limits"][0]["limit"]["amount"], 7, "{state}");
    bed.close().await
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused_not_ignored() -> Test {
    let bed = Bed::start().await?;
    for limit in [
        json!({"meter": "requests", "amount": 5, "window": {"kind": "day"}, "strict": true}),
        json!({"meter": "tokens", "amount": 5, "window": {"kind": "day"}, "cost_kind": "real"}),
        json!({"meter": "cost", "amount": 5, "window": {"kind": "day"}, "cost_kind": "guessed"}),
        json!({"meter": "requests", "amount": 5, "window": {"kind": "sliding"}}),
        json!({"meter": "requests", "amount": -5, "window": {"kind": "fixed", "minutes": 5}}),
        json!({"meter": "requests", "amount": 5}),
        json!({"meter": "wishes", "amount": 5, "window": {"kind": "day"}}),
    ] {
        let body = json!({"name": "x", "limits": [limit.clone()]});
        let reply = bed.crs.admin.raw("POST", "/api/v2/keys", &body).await?;
        assert_eq!(reply.status, 400, "{limit}: {}", reply.text());
    }
    bed.close().await
}

/// Three nodes, one mock, one key.
async fn fleet(limit: Value) -> anyhow::Result<(Fleet, Mock, String)> {
    let mock = Mock::start(Options::default()).await?;
    let fleet = Fleet::start(FleetOptions::default()).await?;
    fleet.account("first", &mock.url(), crate::bed::UPSTREAM_KEY, json!({})).await?;
    let (_, free) = fleet.key("free", json!({})).await?;
    let (_, secret) = fleet.key("limited", limits(limit)).await?;
    for node in &fleet.nodes {
        serves(&node.talk(&free)).await?;
    }
    fleet.settled().await?;
    Ok((fleet, mock, secret))
}

#[tokio::test]
async fn g3_requests_are_exact_over_three_nodes() -> Test {
    let limit = json!([{"meter": "requests", "amount": 100, "window": {"kind": "fixed", "minutes": 60}}]);
    let (fleet, mock, secret) = fleet(limit).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..180 {
        let talk = fleet.nodes[number % 3].talk(&secret);
        tasks.spawn(
            async move { talk.say("[mock::g3-hundred]").await.map(|reply| (reply.status, reply.text())) },
        );
    }
    let mut good = 0;
    while let Some(status) = tasks.join_next().await {
        match status?? {
            (200, _) => good += 1,
            (429, _) => {}
            (_, other) => panic!("answered {other}"),
        }
    }
    // Budget may lie with one node while another refuses: ask on until every node says no.
    for node in &fleet.nodes {
        eventually("the node has nothing left", Duration::from_secs(20), || async {
            let status = node.talk(&secret).say("[mock::g3-hundred]").await.ok()?.status;
            (status == 429).then_some(())
        })
        .await?;
    }
    let arrived = mock.ledger().tagged("g3-hundred").len();
    assert!(good <= 100, "{good} admitted of 100");
    assert_eq!(arrived, 100, "neither more nor, in the end, fewer");
    fleet.close().await
}

#[tokio::test]
async fn g3_concurrency_is_exact_over_three_nodes() -> Test {
    let (fleet, mock, secret) = fleet(json!([{"meter": "concurrency", "amount": 5}])).await?;
    mock.scenarios().name("long", Behaviour { deltas: 60, interval_ms: 25, ..Behaviour::default() });
    for round in 0..4 {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..18 {
            let talk = fleet.nodes[number % 3].talk(&secret);
            let tag = format!("[mock:long:g3-at-once-{round}]");
            tasks.spawn(async move { talk.ask(&body(&tag, true)).await.map(|reply| reply.status) });
        }
        let mut good = 0;
        while let Some(status) = tasks.join_next().await {
            match status?? {
                200 => good += 1,
                429 => {}
                other => panic!("answered {other}"),
            }
        }
        assert!((1..=18).contains(&good), "{good}");
    }
    let entries = mock.ledger().matching(|entry| entry.scenario == "long");
    let mut edges: Vec<(i64, i32)> =
        entries.iter().flat_map(|entry| [(entry.at_us, 1), (entry.ended_us, -1)]).collect();
    edges.sort_unstable();
    let most = edges.iter().fold((0, 0), |(now, most), (_, step)| (now + step, most.max(now + step))).1;
    assert_eq!(most, 5, "at once: {most}");
    fleet.close().await
}

#[tokio::test]
async fn g3_a_concurrency_slot_comes_back_however_a_request_ends() -> Test {
    let bed =
        Bed::with(Default::default(), json!({}), limits(json!([{"meter": "concurrency", "amount": 1}])))
            .await?;
    bed.mock.scenarios().name("long", Behaviour { deltas: 400, interval_ms: 20, ..Behaviour::default() });
    bed.mock.scenarios().name("broken", e2e::mock::scenario::error(400));
    for round in 0..5 {
        let mut conn = bed.talk.begin(&body("[mock:long:g3-left]", true)).await?;
        assert_eq!(conn.head().await?.map(|head| head.status), Some(200), "round {round}");
        eventually("it is taken", Duration::from_secs(5), || async {
            let status = bed.talk.say("[mock::g3-second]").await.ok()?.status;
            (status == 429).then_some(())
        })
        .await?;
        drop(conn);
        eventually("it is free again", Duration::from_secs(5), || async {
            let status = bed.talk.say("[mock:broken:g3-third]").await.ok()?.status;
            (status == 400).then_some(())
        })
        .await
        .map_err(|error| error.context(format!("round {round}")))?;
    }
    bed.close().await
}
