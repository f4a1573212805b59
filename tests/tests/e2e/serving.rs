//! Serving: the quick start by `crsctl`, statistics within two seconds, health and metrics, drain, who may do what.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use e2e::{
    mock::{Behaviour, Mock, Options},
    sandbox::{ADMIN, Fleet, FleetOptions, PASSWORD, Setup, Standalone, binary, body, eventually},
    wire,
};
use serde_json::{Value, json};

use crate::{
    bed::{Bed, Test, UPSTREAM_KEY, serves},
    books,
};

#[tokio::test]
async fn the_quick_start_by_crsctl_ends_in_statistics_within_two_seconds() -> Test {
    let mock = Mock::start(Options::default()).await?;
    let crs = Standalone::start(Setup::default()).await?;
    let home = tempfile::tempdir()?;
    let crsctl = |arguments: &[&str]| -> anyhow::Result<String> {
        let mut running = Command::new(binary("crsctl")?)
            .args(arguments)
            .env_clear()
            .env("HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = running.stdin.take() {
            // Only `login` reads it; the others may have ended by now.
            let _ = writeln!(input, "{PASSWORD}");
        }
        let output = running.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "crsctl {arguments:?}: {said}{complained}");
        Ok(said)
    };
    let address = format!("http://{}", crs.control);
    crsctl(&["login", "--address", &address, "--username", ADMIN, "--password-stdin"])?;
    crsctl(&[
        "account",
        "add",
        "claude-console",
        "main",
        "--base-url",
        &mock.url(),
        "--api-key",
        UPSTREAM_KEY,
    ])?;
    let made = crsctl(&["key", "create", "me", "--limit", "concurrency:5", "-o", "json"])?;
    let made: Value = serde_json::from_str(&made)?;
    let secret = made["secret"].as_str().unwrap_or_default().to_owned();
    assert!(secret.starts_with("cr_"), "{made}");
    crs.canaries.add("a relay key", &secret);
    crs.canaries.add("an upstream key", UPSTREAM_KEY);
    let talk = crs.talk(&secret);
    serves(&talk).await?;
    let reply = talk.stream("[mock::quick]").await?;
    assert_eq!(reply.status, 200);
    let answered = Instant::now();
    let entry = &mock.ledger().tagged("quick")[0];
    let sum: i64 = mock.ledger().all().iter().filter_map(|entry| entry.counted).map(|c| c.output).sum();
    eventually("crsctl stats shows the conversation", Duration::from_secs(2), || async {
        let stats: Value = serde_json::from_str(&crsctl(&["stats", "-o", "json"]).ok()?).ok()?;
        stats.to_string().contains(&sum.to_string()).then_some(())
    })
    .await?;
    println!("statistics after {:?}", answered.elapsed());
    assert!(entry.finished);
    crs.close().await
}

#[tokio::test]
async fn statistics_by_key_account_and_model_agree_within_two_seconds() -> Test {
    let bed = Bed::start().await?;
    for number in 0..10 {
        assert_eq!(bed.talk.stream(&format!("[mock::stats-{number}]")).await?.status, 200);
    }
    let entries = bed.mock.ledger().matching(|entry| entry.counted.is_some());
    let cost: i64 =
        entries.iter().filter_map(|entry| entry.counted).map(|counted| books::cost(&counted)).sum();
    let admin = &bed.crs.admin;
    let right = |totals: &Value| {
        books::number(&totals["requests"]) == entries.len() as i64
            && books::number(&totals["real_cost"]) == cost
    };
    eventually("the key's totals are right", Duration::from_secs(2), || async {
        right(&admin.key_totals(&bed.key).await.ok()?).then_some(())
    })
    .await?;
    let account = format!("/api/v2/accounts/claude-console/{}/stats", bed.account);
    assert!(right(&admin.get(&account).await?["totals"]), "{}", admin.get(&account).await?);
    let models = admin.get("/api/v2/stats/models?dimension=model").await?;
    let model = &models["entries"][0];
    assert_eq!(model["id"], "claude-sonnet-4-5-20250929", "{models}");
    assert!(right(&model["totals"]), "{models}");
    let overview = admin.get("/api/v2/dashboard/overview").await?;
    assert!(right(&overview["today"]), "{overview}");
    bed.close().await
}

#[tokio::test]
async fn the_other_operations_of_messages_are_served() -> Test {
    let bed = Bed::start().await?;
    let key = [("x-api-key", bed.talk.secret.as_str()), ("anthropic-version", "2023-06-01")];
    let bytes = body("[mock::count]", false);
    for path in [
        "/api/v1/messages/count_tokens",
        "/claude/v1/messages/count_tokens",
        "/v1/messages/count_tokens?beta=true",
    ] {
        let reply = wire::call(bed.crs.relay, "POST", path, &key, &bytes).await?;
        assert_eq!(reply.json()["input_tokens"], 9 + bytes.len() as i64 / 4, "{path}: {}", reply.text());
    }
    for path in ["/api/v1/messages", "/claude/v1/messages", "/v1/messages"] {
        let reply = wire::call(bed.crs.relay, "POST", path, &key, &bytes).await?;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    }
    for path in ["/api/v1/models", "/claude/v1/models", "/v1/models?limit=1000"] {
        let reply = wire::call(bed.crs.relay, "GET", path, &key, b"").await?;
        assert!(
            reply.json()["data"].as_array().is_some_and(|data| !data.is_empty()),
            "{path}: {}",
            reply.text()
        );
    }
    for path in ["/api/v1/me", "/api/v1/usage", "/api/v1/key-info"] {
        let reply = wire::call(bed.crs.relay, "GET", path, &key, b"").await?;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(
            wire::call(bed.crs.relay, "GET", path, &[], b"").await?.status,
            401,
            "{path} without a key"
        );
    }
    let hello = wire::call(bed.crs.relay, "GET", "/api/hello", &[], b"").await?;
    assert_eq!(hello.status, 200);
    bed.close().await
}

#[tokio::test]
async fn health_and_metrics_say_how_it_is() -> Test {
    let bed = Bed::start().await?;
    for (at, path) in
        [(bed.crs.relay, "/health"), (bed.crs.ops, "/health/live"), (bed.crs.ops, "/health/ready")]
    {
        assert_eq!(wire::call(at, "GET", path, &[], b"").await?.status, 200, "{path}");
    }
    let metrics = wire::call(bed.crs.ops, "GET", "/metrics", &[], b"").await?.text();
    assert!(metrics.contains("# HELP") && metrics.contains("crs_"), "{metrics}");
    assert_eq!(
        wire::call(bed.crs.relay, "GET", "/metrics", &[], b"").await?.status,
        404,
        "on the public port"
    );
    bed.close().await
}

#[tokio::test]
async fn sigterm_lets_streams_finish_and_ends_with_0() -> Test {
    let mut bed = Bed::start().await?;
    bed.mock.scenarios().name("long", Behaviour { deltas: 60, interval_ms: 40, ..Behaviour::default() });
    let talk = bed.talk.clone();
    let stream = tokio::spawn(async move { talk.ask(&body("[mock:long:drain]", true)).await });
    eventually("the stream runs", Duration::from_secs(5), || async {
        (!bed.mock.ledger().tagged("drain").is_empty()).then_some(())
    })
    .await?;
    bed.crs.process.terminate()?;
    let reply = stream.await??;
    assert!(reply.complete && reply.text().contains("message_stop"), "the drain cut a stream");
    let status = bed.crs.process.wait(Duration::from_secs(20)).await?;
    assert!(status.success(), "{status}: {}", bed.crs.process.log_tail());
    // What it used is not lost: it is there after the next start.
    bed.crs.restart().await?;
    let admin = e2e::sandbox::Admin::login(bed.crs.control).await?;
    let (attempt, _) = books::recorded(&admin, &bed.mock.ledger().tagged("drain")[0]).await?;
    books::equal(&attempt, &bed.mock.ledger().tagged("drain")[0])?;
    bed.close().await
}

#[tokio::test]
async fn g12_the_last_records_of_a_node_arrive_before_it_ends() -> Test {
    let mock = Mock::start(Options::default()).await?;
    let options = FleetOptions { replicas: 1, nodes: 1, ..FleetOptions::default() };
    let mut fleet = Fleet::start(options).await?;
    fleet.account("first", &mock.url(), UPSTREAM_KEY, json!({})).await?;
    let (_, secret) = fleet.key("client", json!({})).await?;
    let talk = fleet.nodes[0].talk(&secret);
    serves(&talk).await?;
    mock.scenarios().name("long", Behaviour { deltas: 20, interval_ms: 40, ..Behaviour::default() });
    let stream = tokio::spawn(async move { talk.ask(&body("[mock:long:last]", true)).await });
    eventually("the stream runs", Duration::from_secs(5), || async {
        (!mock.ledger().tagged("last").is_empty()).then_some(())
    })
    .await?;
    fleet.nodes[0].process.terminate()?;
    assert!(stream.await??.complete, "the drain cut the stream");
    let status = fleet.nodes[0].process.wait(Duration::from_secs(20)).await?;
    assert!(status.success(), "{status}");
    // While it is away: it may never come back, and its disk may be gone with it.
    let (attempt, _) = books::recorded(&fleet.admin, &mock.ledger().tagged("last")[0]).await?;
    books::equal(&attempt, &mock.ledger().tagged("last")[0])?;
    fleet.nodes[0].restart().await?;
    fleet.close().await
}

#[tokio::test]
async fn keys_may_do_what_their_rules_say() -> Test {
    let bed = Bed::start().await?;
    let rules = [
        ("model denied", json!({"models": {"mode": "deny", "patterns": ["claude-sonnet-*"]}}), 403),
        ("model not allowed", json!({"models": {"mode": "allow", "patterns": ["claude-opus-*"]}}), 403),
        ("model allowed", json!({"models": {"mode": "allow", "patterns": ["*SONNET*"]}}), 200),
        ("platform", json!({"permissions": ["gemini"]}), 403),
        ("platform allowed", json!({"permissions": ["claude"]}), 200),
        ("network", json!({"networks": ["10.0.0.0/8"]}), 403),
        ("network allowed", json!({"networks": ["127.0.0.0/8"]}), 200),
        ("client", json!({"clients": ["claude_code"]}), 403),
        ("disabled", json!({"status": "disabled"}), 401),
        ("expired", json!({"expiration": {"mode": "fixed", "expires_at": "2020-01-01T00:00:00Z"}}), 401),
        (
            "expires later",
            json!({"expiration": {"mode": "fixed", "expires_at": "2099-01-01T00:00:00Z"}}),
            200,
        ),
        ("expires from first use", json!({"expiration": {"mode": "activation", "duration": "3600s"}}), 200),
    ];
    for (name, rule, expected) in rules {
        let made = bed.crs.admin.raw("POST", "/api/v2/keys", &merged(name, &rule)).await?;
        assert_eq!(made.status, 200, "{name}: {}", made.text());
        let secret = made.json()["secret"].as_str().unwrap_or_default().to_owned();
        bed.crs.canaries.add("a relay key", &secret);
        let talk = bed.crs.talk(&secret);
        let reply = eventually(name, Duration::from_secs(5), || async {
            talk.say(&format!("[mock::rule-{expected}]")).await.ok().filter(|reply| reply.status == expected)
        })
        .await?;
        if expected != 200 {
            assert_eq!(reply.header("x-should-retry"), Some("false"), "{name}");
        }
    }
    let arrived = bed.mock.ledger().matching(|entry| entry.tag == "rule-403" || entry.tag == "rule-401");
    assert!(arrived.is_empty());
    bed.close().await
}

fn merged(name: &str, rule: &Value) -> Value {
    let mut key = json!({"name": name});
    key.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
    key
}

#[tokio::test]
async fn a_session_stays_on_its_account_and_changes_are_versioned() -> Test {
    let bed = Bed::start().await?;
    for number in 2..=4 {
        let key = format!("sk-ant-canary-sticky-000{number}");
        bed.crs.account(&format!("account {number}"), &bed.mock.url(), &key, json!({})).await?;
    }
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let mut homes = std::collections::BTreeSet::new();
    for session in 0..8 {
        let mut keys = std::collections::BTreeSet::new();
        for turn in 0..5 {
            let user = format!("user_{:064x}_account__session_00000000-0000-4000-8000-{session:012}", 9);
            let request = json!({
                "model": "claude-sonnet-4-5-20250929", "max_tokens": 9, "metadata": {"user_id": user},
                "messages": [{"role": "user", "content": format!("[mock::sticky-{session}] turn {turn}")}],
            });
            assert_eq!(bed.talk.ask(request.to_string().as_bytes()).await?.status, 200);
        }
        keys.extend(
            bed.mock.ledger().tagged(&format!("sticky-{session}")).into_iter().map(|entry| entry.key),
        );
        assert_eq!(keys.len(), 1, "session {session} moved: {keys:?}");
        homes.extend(keys);
    }
    assert!(homes.len() > 1, "eight sessions, one account: {homes:?}");
    let path = format!("/api/v2/keys/{}", bed.key);
    let etag = bed.crs.admin.get(&path).await?["etag"].clone();
    let first = bed.crs.admin.raw("PATCH", &path, &json!({"description": "a", "etag": etag})).await?;
    assert_eq!(first.status, 200, "{}", first.text());
    let stale = bed.crs.admin.raw("PATCH", &path, &json!({"description": "b", "etag": etag})).await?;
    assert_eq!(stale.status, 409, "{}", stale.text());
    let audit = bed.crs.admin.get(&format!("/api/v2/audit?target_id={}", bed.key)).await?;
    assert_eq!(audit["entries"].as_array().map(Vec::len), Some(2), "created and changed once: {audit}");
    bed.close().await
}

#[tokio::test]
async fn a_rotated_key_works_beside_its_successor_for_a_while() -> Test {
    let bed = Bed::start().await?;
    let path = format!("/api/v2/keys/{}/rotate", bed.key);
    let rotated = bed.crs.admin.call("POST", &path, json!({"overlap": "3s"})).await?;
    let successor = rotated["secret"].as_str().unwrap_or_default().to_owned();
    bed.crs.canaries.add("a relay key", &successor);
    serves(&bed.crs.talk(&successor)).await?;
    assert_eq!(bed.talk.say("[mock::old]").await?.status, 200, "the old one works while both do");
    eventually("the old one ends", Duration::from_secs(8), || async {
        bed.talk.say("x").await.ok().filter(|reply| reply.status == 401)
    })
    .await?;
    assert_eq!(bed.crs.talk(&successor).say("[mock::new]").await?.status, 200);
    let bin = format!("/api/v2/keys/{}", bed.key);
    bed.crs.admin.call("DELETE", &bin, Value::Null).await?;
    eventually("a binned key is refused", Duration::from_secs(5), || async {
        bed.crs.talk(&successor).say("x").await.ok().filter(|reply| reply.status == 401)
    })
    .await?;
    bed.crs.admin.call("POST", &format!("{bin}/restore"), json!({})).await?;
    serves(&bed.crs.talk(&successor)).await?;
    bed.crs.admin.call("DELETE", &bin, Value::Null).await?;
    bed.crs.admin.call("DELETE", &format!("{bin}?purge=true"), Value::Null).await?;
    assert_eq!(bed.crs.admin.raw("GET", &bin, &Value::Null).await?.status, 404);
    bed.close().await
}
