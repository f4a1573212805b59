//! Limits on tokens and cost, and sliding windows: over several nodes, by the mock's own count.

use std::time::Duration;

use e2e::{
    mock::{Behaviour, Entry, Mock, Options},
    sandbox::{Fleet, FleetOptions, Talk, body, eventually},
};
use serde_json::{Value, json};

use crate::bed::{Bed, Test, UPSTREAM_KEY, serves};

fn tokens(entry: &Entry) -> i64 {
    let counted = entry.counted.unwrap_or_default();
    counted.input + counted.output + counted.cache_read + counted.cache_write_5m + counted.cache_write_1h
}

/// The most that the requests in flight at one instant used together.
fn most_in_flight(entries: &[Entry]) -> i64 {
    let edges = entries.iter().flat_map(|one| [(one.at_us, tokens(one)), (one.ended_us, -tokens(one))]);
    let mut edges: Vec<_> = edges.collect();
    edges.sort_unstable();
    edges.iter().fold((0, 0), |(now, most), (_, step)| (now + step, most.max(now + step))).1
}

/// Asks over all nodes at once until each has refused; how many were admitted.
async fn exhaust(fleet: &Fleet, secret: &str, text: &'static str) -> anyhow::Result<usize> {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..fleet.nodes.len() * 4 {
        let talk = fleet.nodes[number % fleet.nodes.len()].talk(secret);
        tasks.spawn(async move {
            let (mut good, mut away) = (0, 0);
            loop {
                let reply = talk.ask(&body(text, number % 2 == 0)).await?;
                match reply.status {
                    200 => good += 1,
                    429 => return anyhow::Ok(good),
                    // On a machine that is busy with other things the store may be too slow to be asked.
                    503 if away < 20 => away += 1,
                    other => anyhow::bail!("answered {other}: {}", reply.text()),
                }
            }
        });
    }
    let mut good = 0;
    while let Some(one) = tasks.join_next().await {
        good += one??;
    }
    Ok(good)
}

#[tokio::test]
async fn g3_tokens_overshoot_by_what_was_in_flight_and_strict_ones_not_at_all() -> Test {
    let mock = Mock::start(Options::default()).await?;
    let fleet = Fleet::start(FleetOptions::default()).await?;
    fleet.account("first", &mock.url(), UPSTREAM_KEY, json!({})).await?;
    mock.scenarios().name("long", Behaviour { deltas: 90, interval_ms: 2, ..Behaviour::default() });
    let day = json!({"kind": "day"});
    let limit = |amount: i64, strict: bool| json!({"limits": [{"meter": "tokens", "amount": amount, "window": day, "strict": strict}]});
    let (_, free) = fleet.key("free", json!({})).await?;
    let (_, strict) = fleet.key("strict", limit(40_000, true)).await?;
    let (_, loose) = fleet.key("loose", limit(8_000, false)).await?;
    for node in &fleet.nodes {
        serves(&node.talk(&free)).await?;
    }
    fleet.settled().await?;
    let good = exhaust(&fleet, &strict, "[mock:long:g3-strict]").await?;
    let entries = mock.ledger().tagged("g3-strict");
    let used: i64 = entries.iter().map(tokens).sum();
    println!("strict: {good} admitted, {used} tokens of 40000");
    assert!(good >= 8 && used <= 40_000, "{good} admitted used {used}");
    let good = exhaust(&fleet, &loose, "[mock:long:g3-loose]").await?;
    let entries = mock.ledger().tagged("g3-loose");
    let used: i64 = entries.iter().map(tokens).sum();
    let most = most_in_flight(&entries);
    println!("loose: {good} admitted, {used} tokens of 8000; at most {most} in flight");
    assert!(used <= 8_000 + most, "{used} used, {most} in flight");
    assert!(used >= 6_000, "{used} used of what was free");
    fleet.close().await
}

/// Asks one by one until refused; what the refusal says.
async fn until_refused(talk: &Talk, text: &str) -> anyhow::Result<(usize, e2e::wire::Reply)> {
    for number in 0..500 {
        let reply = talk.say(text).await?;
        if reply.status != 200 {
            return Ok((number, reply));
        }
    }
    anyhow::bail!("never refused")
}

#[tokio::test]
async fn g3_cost_is_kept_and_a_strict_budget_never_exceeded() -> Test {
    let bed = Bed::start().await?;
    let limit = |strict: bool, window: Value| {
        let amount = if strict { 120_000_000 } else { 40_000_000 };
        json!({"limits": [{"meter": "cost", "amount": amount, "window": window, "strict": strict}]})
    };
    let spent = |id: String| async {
        let id = id;
        eventually("its requests are counted", Duration::from_secs(10), || async {
            let totals = bed.crs.admin.key_totals(&id).await.ok()?;
            Some(crate::books::number(&totals["rated_cost"])).filter(|cost| *cost > 0)
        })
        .await
    };
    let (loose, secret) = bed.crs.key("loose", limit(false, json!({"kind": "day"}))).await?;
    serves(&bed.crs.talk(&secret)).await?;
    let (good, refused) = until_refused(&bed.crs.talk(&secret), "[mock::g3-cost]").await?;
    assert_eq!(refused.status, 402, "{}", refused.text());
    assert!(refused.text().contains("daily_cost_limit_exceeded"), "{}", refused.text());
    // A reset begins the day anew, on every node.
    let path = format!("/api/v2/keys/{loose}/reset-limits");
    let before = spent(loose.clone()).await?;
    let reset = bed.crs.admin.call("POST", &path, json!({})).await?;
    assert_eq!(crate::books::number(&reset["limits"][0]["used"]), 0, "{reset}");
    serves(&bed.crs.talk(&secret)).await?;
    assert!(good > 3 && before <= 40_000_000 + 8_000_000, "{good}");
    let sliding = json!({"kind": "sliding", "minutes": 5});
    let (strict, secret) = bed.crs.key("strict", limit(true, sliding)).await?;
    let talk = bed.crs.talk(&secret);
    serves(&talk).await?;
    let (good, refused) = until_refused(&talk, "[mock::g3-strict-cost]").await?;
    assert_eq!(refused.status, 429, "{}", refused.text());
    let after: u64 = refused.header("retry-after").expect("Retry-After").parse()?;
    assert!((1..=306).contains(&after), "{after}: when the first of it has left the window");
    assert!(good >= 1 && spent(strict).await? <= 120_000_000, "{good}");
    // Without a bound there is no worst case to reserve.
    let searching = r#"{"model":"claude-sonnet-4-5-20250929","max_tokens":9,"messages":[{"role":"user","content":"x"}],
        "tools":[{"type":"web_search_20250305","name":"web_search"}]}"#;
    let refused = talk.ask(searching.as_bytes()).await?;
    assert_eq!(refused.status, 400, "{}", refused.text());
    bed.close().await
}
