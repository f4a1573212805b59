//! Accounts' health: every state ends by itself, usage windows are waited out, an upstream that fails is tried by one
//! request at a time, and hung ones cost no more than is set.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};

use e2e::{
    mock::{Behaviour, Fault, Scenario, now_us, scenario},
    sandbox::{body, eventually},
    wire,
};
use serde_json::{Value, json};

use crate::bed::{Bed, Test, UPSTREAM_KEY};

const SPARE_KEY: &str = "sk-ant-canary-health-0002";

/// Two accounts, the first preferred.
async fn two() -> anyhow::Result<Bed> {
    let bed = Bed::with(Default::default(), json!({"priority": 1}), json!({})).await?;
    bed.crs.account("spare", &bed.mock.url(), SPARE_KEY, json!({"priority": 90})).await?;
    applied(&bed).await?;
    Ok(bed)
}

async fn applied(bed: &Bed) -> Test {
    eventually("the node has the newest revision", Duration::from_secs(5), || async {
        let answer = bed.crs.admin.get("/api/v2/nodes").await.ok()?;
        let newest = answer["revision"].as_str()?.to_owned();
        let all = answer["nodes"].as_array()?.iter().all(|node| node["applied_revision"] == newest.as_str());
        all.then_some(())
    })
    .await
}

fn keys(bed: &Bed, tag: &str) -> Vec<String> {
    bed.mock.ledger().tagged(tag).into_iter().map(|entry| entry.key).collect()
}

async fn availability(bed: &Bed) -> anyhow::Result<Value> {
    bed.crs.admin.get(&format!("/api/v2/accounts/claude-console/{}/availability", bed.account)).await
}

/// Asks in a new conversation each time until the first account is asked again.
async fn comes_back(bed: &Bed, tag: &str) -> Test {
    let turn = AtomicU32::new(0);
    eventually("the account is asked again", Duration::from_secs(15), || async {
        let turn = turn.fetch_add(1, Relaxed);
        bed.talk.say(&format!("[mock::{tag}-back] {turn}")).await.ok()?;
        keys(bed, &format!("{tag}-back")).contains(&UPSTREAM_KEY.to_owned()).then_some(())
    })
    .await
}

#[tokio::test]
async fn g7_every_state_ends_by_itself_and_is_seen_meanwhile() -> Test {
    let bed = two().await?;
    let states = [
        (401, "unauthorized"),
        (402, "error"),
        (403, "forbidden"),
        (429, "rate_limited"),
        (502, "error"),
        (503, "error"),
        (529, "overloaded"),
    ];
    for (status, state) in states {
        let failing = Behaviour {
            message: "The mock was told to.".into(),
            headers: vec![("retry-after".into(), "2".into())],
            ..scenario::error(status)
        };
        bed.mock.scenarios().key(UPSTREAM_KEY, Scenario { steps: vec![failing], once: true });
        let tag = format!("state-{status}");
        assert_eq!(bed.talk.say(&format!("[mock::{tag}]")).await?.status, 200, "{status}");
        assert_eq!(keys(&bed, &tag), [UPSTREAM_KEY, SPARE_KEY], "{status}");
        let seen = eventually("the state is seen", Duration::from_secs(2), || async {
            let seen = availability(&bed).await.ok()?;
            (seen["available"] == false).then_some(seen)
        })
        .await?;
        assert_eq!(seen["obstacles"][0]["reason"], state, "{seen}");
        assert!(seen["obstacles"][0]["until"].is_string(), "{seen}");
        assert_eq!(bed.talk.say(&format!("[mock::{tag}-away]")).await?.status, 200);
        assert_eq!(keys(&bed, &format!("{tag}-away")), [SPARE_KEY], "{status}: asked before its time");
        comes_back(&bed, &tag).await?;
        eventually("nothing stands against it", Duration::from_secs(5), || async {
            (availability(&bed).await.ok()?["available"] == true).then_some(())
        })
        .await?;
        applied(&bed).await?;
    }
    bed.close().await
}

fn windows(list: &[(&str, &str, f64, i64)]) -> Vec<(String, String)> {
    let header = |name: &str, field: &str, value: String| {
        (format!("anthropic-ratelimit-unified-{name}-{field}"), value)
    };
    let mut headers = Vec::new();
    for (name, status, used, reset) in list {
        headers.push(header(name, "status", (*status).to_owned()));
        headers.push(header(name, "utilization", used.to_string()));
        headers.push(header(name, "reset", reset.to_string()));
    }
    headers
}

#[tokio::test]
async fn g7_a_usage_window_that_is_used_up_is_waited_out_and_shown() -> Test {
    let bed = two().await?;
    let reset = now_us() / 1_000_000 + 4;
    let headers = windows(&[("5h", "allowed", 1.0, reset), ("7d", "allowed_warning", 0.42, reset + 500_000)]);
    bed.mock.scenarios().key(UPSTREAM_KEY, Behaviour { headers, ..Behaviour::default() });
    assert_eq!(bed.talk.say("[mock::window-last]").await?.status, 200);
    assert_eq!(keys(&bed, "window-last"), [UPSTREAM_KEY]);
    bed.mock.scenarios().forget_key(UPSTREAM_KEY);
    // The answer said that it was the last one: nobody has to run into a 429.
    assert_eq!(bed.talk.say("[mock::window-away]").await?.status, 200);
    assert_eq!(keys(&bed, "window-away"), [SPARE_KEY]);
    let seen = eventually("the window is seen", Duration::from_secs(2), || async {
        let seen = availability(&bed).await.ok()?;
        (seen["available"] == false).then_some(seen)
    })
    .await?;
    assert_eq!(seen["obstacles"][0]["reason"], "window_used_up", "{seen}");
    let account = bed.crs.admin.get(&format!("/api/v2/accounts/claude-console/{}", bed.account)).await?;
    assert_eq!(account["windows"][0]["used_permille"], 1000, "{account}");
    assert_eq!(
        (&account["windows"][1]["name"], &account["windows"][1]["status"]),
        (&json!("7d"), &json!("warning"))
    );
    comes_back(&bed, "window").await?;
    assert!(now_us() / 1_000_000 >= reset, "asked before the window began anew");

    // An operator may want an account left alone earlier.
    let reset = now_us() / 1_000_000 + 600;
    let headers = windows(&[("5h", "allowed", 0.85, reset)]);
    bed.mock.scenarios().key(UPSTREAM_KEY, Behaviour { headers, ..Behaviour::default() });
    assert_eq!(bed.talk.say("[mock::share-a]").await?.status, 200);
    bed.crs.admin.change_account(&bed.account, json!({"window_pause_percent": 80})).await?;
    applied(&bed).await?;
    assert_eq!(bed.talk.say("[mock::share-b]").await?.status, 200);
    assert_eq!(
        (keys(&bed, "share-a"), keys(&bed, "share-b")),
        (vec![UPSTREAM_KEY.into()], vec![SPARE_KEY.into()])
    );
    // And may know better.
    let path = format!("/api/v2/accounts/claude-console/{}/reset-rate-limit", bed.account);
    bed.crs.admin.call("POST", &path, json!({})).await?;
    applied(&bed).await?;
    assert_eq!(bed.talk.say("[mock::share-c]").await?.status, 200);
    assert_eq!(keys(&bed, "share-c"), [UPSTREAM_KEY]);
    bed.close().await
}

#[tokio::test]
async fn g7_an_upstream_that_fails_on_and_on_is_tried_by_one_request_at_a_time() -> Test {
    let bed = two().await?;
    bed.mock.scenarios().key(UPSTREAM_KEY, scenario::error(500));
    for number in 0..6 {
        assert_eq!(bed.talk.say(&format!("[mock::break] {number}")).await?.status, 200);
    }
    let asked = keys(&bed, "break").into_iter().filter(|key| key == UPSTREAM_KEY).count();
    assert_eq!(asked, 3, "after three failures running it is left alone");
    // When it is let in again it is slow: one tries it, the others do not wait for it.
    let slow = Behaviour { delay_ms: 1_500, ..Behaviour::default() };
    bed.mock.scenarios().key(UPSTREAM_KEY, slow);
    let round = AtomicU32::new(0);
    eventually("somebody tries it", Duration::from_secs(10), || async {
        let round = round.fetch_add(1, Relaxed);
        let tag = format!("trial-{round}");
        let texts: Vec<_> = (0..6).map(|n| format!("[mock::{tag}] {round} {n}")).collect();
        let began = Instant::now();
        let asks = texts.into_iter().map(|text| {
            let talk = bed.talk.clone();
            tokio::spawn(async move {
                let reply = talk.say(&text).await;
                (reply.map(|reply| reply.status).unwrap_or_default(), began.elapsed())
            })
        });
        let mut replies = Vec::new();
        for ask in asks.collect::<Vec<_>>() {
            replies.push(ask.await.unwrap_or_default());
        }
        assert!(replies.iter().all(|(status, _)| *status == 200), "{replies:?}");
        let tried = keys(&bed, &tag).into_iter().filter(|key| key == UPSTREAM_KEY).count();
        assert!(tried <= 1, "{tried} tried it at once");
        let quick = replies.iter().filter(|(_, took)| *took < Duration::from_millis(1_200)).count();
        (tried == 1).then(|| assert!(quick >= 5, "others waited: {replies:?}"))
    })
    .await?;
    // It served: all may.
    bed.mock.scenarios().forget_key(UPSTREAM_KEY);
    assert_eq!(bed.talk.say("[mock::healed] 1").await?.status, 200);
    assert_eq!(keys(&bed, "healed"), [UPSTREAM_KEY]);
    bed.close().await
}

#[tokio::test]
async fn when_every_account_is_refused_the_first_answer_says_when_to_come_back() -> Test {
    let bed = two().await?;
    for status in [401, 402, 403] {
        for key in [UPSTREAM_KEY, SPARE_KEY] {
            bed.mock.scenarios().key(key, scenario::error(status));
        }
        let first = bed.talk.say(&format!("[mock::refused] {status} 1")).await?;
        let next = bed.talk.say(&format!("[mock::refused] {status} 2")).await?;
        for (which, reply) in [("first", &first), ("next", &next)] {
            assert_eq!(reply.status, 503, "{status}, {which}: {}", reply.text());
            let after: u64 = reply.header("retry-after").unwrap_or("0").parse()?;
            assert!((60..=1800).contains(&after), "{status}, {which}: retry-after {after}");
            assert_eq!(reply.header("x-should-retry"), Some("false"), "{status}, {which}");
        }
        for account in
            bed.crs.admin.get("/api/v2/accounts").await?["accounts"].as_array().into_iter().flatten()
        {
            let path =
                format!("/api/v2/accounts/claude-console/{}/reset-status", account["id"].as_str().unwrap());
            bed.crs.admin.call("POST", &path, json!({})).await?;
        }
        applied(&bed).await?;
    }
    bed.close().await
}

#[tokio::test]
async fn hung_upstreams_cost_no_more_than_is_set() -> Test {
    let bed = two().await?;
    let settings = json!({"answer_timeout": "1s", "count_timeout": "0.5s"});
    let set = bed.crs.admin.call("PATCH", "/api/v2/settings", settings).await?;
    assert_eq!((&set["answer_timeout"], &set["count_timeout"]), (&json!("1s"), &json!("0.500s")), "{set}");
    applied(&bed).await?;
    bed.mock.scenarios().key(UPSTREAM_KEY, scenario::fault(Fault::Silent));
    let began = Instant::now();
    let reply = bed.talk.say("[mock::hung]").await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(keys(&bed, "hung"), [UPSTREAM_KEY, SPARE_KEY]);
    assert!((1_000..4_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    bed.mock.scenarios().key(SPARE_KEY, scenario::fault(Fault::Silent));
    let headers = [("x-api-key", bed.talk.secret.as_str()), ("anthropic-version", "2023-06-01")];
    let began = Instant::now();
    let path = "/api/v1/messages/count_tokens";
    let reply = wire::call(bed.crs.relay, "POST", path, &headers, &body("[mock::hung-count]", false)).await?;
    assert_eq!(reply.status, 504, "{}", reply.text());
    assert!((1_000..4_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    bed.close().await
}
