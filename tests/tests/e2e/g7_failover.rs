//! G7: failures stay upstream. The failure table, row by row: an account fails, the client sees another's answer.

use std::time::Duration;

use e2e::{
    mock::{Behaviour, Fault, Scenario, scenario},
    sandbox::eventually,
};
use serde_json::json;

use crate::bed::{Bed, Test, UPSTREAM_KEY};

const SPARE_KEY: &str = "sk-ant-canary-spare-0002";

/// Two accounts: the first is preferred and fails as told.
async fn two() -> anyhow::Result<(Bed, String)> {
    let bed = Bed::with(Default::default(), json!({"priority": 1}), json!({})).await?;
    bed.crs.admin.call("PATCH", "/api/v2/settings", json!({"first_event_timeout": "2s"})).await?;
    let spare = bed.crs.account("spare", &bed.mock.url(), SPARE_KEY, json!({"priority": 90})).await?;
    applied(&bed).await?;
    Ok((bed, spare))
}

/// Waits until the node has the newest revision.
async fn applied(bed: &Bed) -> Test {
    eventually("the node has the newest revision", Duration::from_secs(5), || async {
        let answer = bed.crs.admin.get("/api/v2/nodes").await.ok()?;
        let newest = answer["revision"].as_str()?.to_owned();
        let all = answer["nodes"].as_array()?.iter().all(|node| node["applied_revision"] == newest.as_str());
        all.then_some(())
    })
    .await
}

async fn reset(bed: &Bed) -> Test {
    let path = format!("/api/v2/accounts/claude-console/{}/reset-status", bed.account);
    // What the node reports of the account may come between the reset's reading and its writing: then it says so.
    eventually("the account is reset", Duration::from_secs(5), || async {
        let reply = bed.crs.admin.raw("POST", &path, &json!({})).await.ok()?;
        (reply.status == 200).then_some(())
    })
    .await?;
    applied(bed).await
}

fn failures() -> Vec<(&'static str, Behaviour)> {
    let soon = e2e::mock::now_us() / 1_000_000 + 3600;
    let first =
        |error_type: &str| scenario::fault(Fault::ErrorEvent { at: 1, error_type: error_type.into() });
    vec![
        ("401", scenario::error(401)),
        ("402", scenario::error(402)),
        ("403", scenario::error(403)),
        ("408", scenario::error(408)),
        ("409", scenario::error(409)),
        ("429-minute", scenario::limited_per_minute(7)),
        ("429-window", scenario::limited_window(soon)),
        ("429-family", scenario::limited_family(soon)),
        ("429-capacity", scenario::limited_capacity()),
        ("429-window-by-name", limited_by(&[("5h", "rejected"), ("7d_opus", "allowed")], soon)),
        ("429-family-by-name", limited_by(&[("5h", "allowed"), ("7d_opus", "rejected")], soon)),
        ("429-concurrency", told(429, "Too many concurrent requests.")),
        (
            "429-no-money",
            Behaviour { error_type: "insufficient_quota".into(), ..told(429, "No quota left.") },
        ),
        ("403-model", told(403, "You have no access to this model.")),
        ("403-closed", told(403, "This organization has been disabled.")),
        ("400-no-money", told(400, "Your credit balance is too low to access the API.")),
        ("500", scenario::error(500)),
        ("502", Behaviour { body: Some("<html>Bad Gateway</html>".into()), ..scenario::error(502) }),
        ("503", scenario::error(503)),
        ("504", scenario::error(504)),
        ("529", scenario::error(529)),
        ("first-event-overloaded", first("overloaded_error")),
        ("first-event-rate-limit", first("rate_limit_error")),
        ("first-event-api", first("api_error")),
        (
            "ping-then-error",
            Behaviour {
                leading: "event: ping\ndata: {\"type\": \"ping\"}\n\n".into(),
                ..first("overloaded_error")
            },
        ),
        ("empty-stream", scenario::fault(Fault::EmptyStream)),
        ("closed-before-first", scenario::fault(Fault::CloseAfter { events: 0 })),
        ("reset-before-first", scenario::fault(Fault::ResetAfter { events: 0 })),
        ("silent", scenario::fault(Fault::Silent)),
        ("slow-first-event", Behaviour { first_delay_ms: 60_000, ..Behaviour::default() }),
        ("garbage", scenario::fault(Fault::Garbage)),
    ]
}

/// A status with words of its own.
fn told(status: u16, message: &str) -> Behaviour {
    Behaviour { message: message.into(), ..scenario::error(status) }
}

/// A 429 that says by window which one is used up, and nothing as a whole.
fn limited_by(windows: &[(&str, &str)], reset_unix_s: i64) -> Behaviour {
    let name = |window: &str, field: &str| format!("anthropic-ratelimit-unified-{window}-{field}");
    let headers = windows.iter().flat_map(|(window, status)| {
        [(name(window, "status"), (*status).to_owned()), (name(window, "reset"), reset_unix_s.to_string())]
    });
    Behaviour { headers: headers.collect(), ..told(429, "You have reached a limit.") }
}

#[tokio::test]
async fn g7_every_failure_of_an_account_is_served_by_another() -> Test {
    let (bed, spare) = two().await?;
    for (name, behaviour) in failures() {
        bed.mock.scenarios().key(UPSTREAM_KEY, behaviour);
        let tag = format!("g7-{name}");
        let reply = bed.talk.stream(&format!("[mock::{tag}]")).await?;
        assert_eq!((reply.status, reply.complete), (200, true), "{name}: {}", reply.text());
        assert!(reply.text().contains("message_stop"), "{name}: {}", reply.text());
        let keys: Vec<String> = bed.mock.ledger().tagged(&tag).into_iter().map(|entry| entry.key).collect();
        assert_eq!(keys.last().map(String::as_str), Some(SPARE_KEY), "{name}: {keys:?}");
        assert!(
            keys.contains(&UPSTREAM_KEY.to_owned()),
            "{name}: the failing account was not tried: {keys:?}"
        );
        bed.mock.scenarios().forget_key(UPSTREAM_KEY);
        reset(&bed).await?;
    }
    let _ = spare;
    bed.close().await
}

#[tokio::test]
async fn g7_the_same_without_streaming() -> Test {
    let (bed, _) = two().await?;
    // A whole answer may take its time: nothing tells a silent upstream from one that thinks.
    let no_stream = ["first-event", "ping-then", "empty-stream", "before-first", "slow-first", "silent"];
    for (name, behaviour) in failures() {
        if no_stream.iter().any(|part| name.contains(part)) {
            continue;
        }
        bed.mock.scenarios().key(UPSTREAM_KEY, behaviour);
        let reply = bed.talk.say(&format!("[mock::g7-whole-{name}]")).await?;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        bed.mock.scenarios().forget_key(UPSTREAM_KEY);
        reset(&bed).await?;
    }
    bed.close().await
}

#[tokio::test]
async fn g7_an_account_that_cannot_be_reached_is_served_by_another() -> Test {
    let (bed, _) = two().await?;
    let nobody = format!("http://{}", e2e::sandbox::free_port()?);
    for url in [nobody.as_str(), "http://does-not-exist.invalid"] {
        bed.crs.admin.change_account(&bed.account, json!({"base_url": url})).await?;
        applied(&bed).await?;
        let reply = bed.talk.stream("[mock::g7-unreachable]").await?;
        assert_eq!(reply.status, 200, "{url}: {}", reply.text());
        reset(&bed).await?;
    }
    bed.close().await
}

#[tokio::test]
async fn g7_what_is_the_clients_own_fault_is_passed_on_at_once() -> Test {
    let (bed, _) = two().await?;
    for status in [400, 404, 413, 422] {
        bed.mock.scenarios().name("fault", scenario::error(status));
        let tag = format!("g7-client-{status}");
        let reply = bed.talk.stream(&format!("[mock:fault:{tag}]")).await?;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert_eq!(bed.mock.ledger().tagged(&tag).len(), 1, "{status} was tried again");
        assert_eq!(reply.json()["error"]["message"], "The mock was told to.");
    }
    bed.close().await
}

#[tokio::test]
async fn g7_at_most_five_attempts() -> Test {
    let bed = Bed::start().await?;
    for number in 2..=8 {
        let key = format!("sk-ant-canary-many-000{number}");
        bed.crs.account(&format!("many {number}"), &bed.mock.url(), &key, json!({})).await?;
    }
    applied(&bed).await?;
    bed.mock.scenarios().name("down", scenario::error(500));
    let reply = bed.talk.stream("[mock:down:g7-many]").await?;
    assert!(reply.status >= 500, "{}", reply.status);
    assert_eq!(reply.json()["type"], "error", "{}", reply.text());
    let entries = bed.mock.ledger().tagged("g7-many");
    assert_eq!(entries.len(), 5);
    let mut keys: Vec<_> = entries.iter().map(|entry| entry.key.clone()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 5, "an account was tried twice");
    bed.close().await
}

#[tokio::test]
async fn g7_an_account_recovers_from_what_it_said() -> Test {
    let (bed, spare) = two().await?;
    let _ = spare;
    let once = Scenario { steps: vec![scenario::limited_per_minute(2)], once: true };
    bed.mock.scenarios().key(UPSTREAM_KEY, once);
    assert_eq!(bed.talk.say("[mock::g7-a]").await?.status, 200);
    assert_eq!(bed.talk.say("[mock::g7-b]").await?.status, 200);
    let keys =
        |tag: &str| bed.mock.ledger().tagged(tag).into_iter().map(|entry| entry.key).collect::<Vec<_>>();
    assert_eq!(keys("g7-a"), [UPSTREAM_KEY, SPARE_KEY]);
    assert_eq!(keys("g7-b"), [SPARE_KEY], "a limited account was asked again before its time");
    let turn = std::sync::atomic::AtomicU32::new(0);
    eventually("the account is used again after its time", Duration::from_secs(15), || async {
        // A conversation of its own each time: one that began elsewhere stays there.
        let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        bed.talk.say(&format!("[mock::g7-c] {turn}")).await.ok()?;
        keys("g7-c").contains(&UPSTREAM_KEY.to_owned()).then_some(())
    })
    .await?;
    bed.close().await
}
