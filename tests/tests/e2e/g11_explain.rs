//! G11: every decision can be explained, by API and by `crsctl`; refused requests too; and all of them can be watched as
//! they come, over REST (events, lines) and gRPC.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use e2e::{
    mock::{Mock, Options},
    sandbox::{Fleet, FleetOptions, binary, eventually},
    wire::{self, Conn},
};
use serde_json::{Value, json};

use crate::bed::{Bed, Test, UPSTREAM_KEY, serves};

/// Runs `crsctl` with the administrator's token: its output and exit code.
fn crsctl(address: &str, token: &str, arguments: &[&str]) -> anyhow::Result<(String, i32)> {
    let home = tempfile::tempdir()?;
    let output = Command::new(binary("crsctl")?)
        .args(["--address", address, "--token", token])
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .output()?;
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((text, output.status.code().unwrap_or(-1)))
}

#[tokio::test]
async fn g11_a_failover_and_a_refusal_are_explained_with_every_number() -> Test {
    let limits =
        json!({"limits": [{"meter": "requests", "amount": 3, "window": {"kind": "fixed", "minutes": 60}}]});
    let bed = Bed::with(Default::default(), json!({"priority": 2}), limits).await?;
    let (admin, key) = (&bed.crs.admin, bed.key.as_str());
    // Asked first, and in trouble: the request moves on.
    let broken =
        bed.crs.account("broken", &bed.mock.url(), "sk-ant-canary-broken", json!({"priority": 1})).await?;
    bed.mock
        .scenarios()
        .key("sk-ant-canary-broken", e2e::mock::Behaviour { status: 529, ..Default::default() });
    eventually("the node knows the new account", Duration::from_secs(10), || async {
        let nodes = admin.get("/api/v2/nodes").await.ok()?;
        (nodes["nodes"][0]["revision_lag"] == 0).then_some(())
    })
    .await?;
    let reply = bed.talk.stream("[mock::explained]").await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let id = reply.header("request-id").unwrap_or_default().to_owned();
    let record = eventually("the record", Duration::from_secs(10), || async {
        admin.get(&format!("/api/v2/requests/{id}")).await.ok()
    })
    .await?;
    let attempts = record["attempts"].as_array().cloned().unwrap_or_default();
    assert_eq!(attempts.len(), 2, "{record}");
    assert_eq!(
        (attempts[0]["account_id"].as_str(), attempts[0]["status"].as_i64()),
        (Some(broken.as_str()), Some(529))
    );
    assert_eq!(attempts[1]["account_id"], bed.account.as_str());
    assert!(attempts.iter().all(|attempt| attempt["choice"] != ""), "{record}");
    assert!(attempts[1]["cost"]["formula"].as_str().is_some_and(|formula| formula.contains('×')), "{record}");
    let explanation = &record["explanation"];
    let passed = explanation["candidates"].as_array().cloned().unwrap_or_default();
    assert!(
        passed.iter().any(|one| one["account_id"] == broken.as_str() && one["reason"] == "tried"),
        "{record}"
    );
    let consulted = &explanation["limits"][0];
    assert_eq!((consulted["amount"].as_i64(), consulted["taken"].as_i64()), (Some(3), Some(1)), "{record}");
    assert!(consulted["window_id"] != "" && explanation["revision"] != "", "{record}");

    let refused_id = refused(&bed).await?;
    found_by_every_filter(&bed, key, &id, &refused_id).await?;
    told_by_crsctl(&bed, &id, &refused_id)?;
    bed.close().await
}

/// The limit is used up: refused, and that is explained as well. Gives the request's id.
async fn refused(bed: &Bed) -> anyhow::Result<String> {
    let refused = eventually("the limit refuses", Duration::from_secs(10), || async {
        bed.talk.say("[mock::more]").await.ok().filter(|reply| reply.status == 429)
    })
    .await?;
    let refused_id = refused.header("request-id").unwrap_or_default().to_owned();
    let record = eventually("its record", Duration::from_secs(10), || async {
        bed.crs.admin.get(&format!("/api/v2/requests/{refused_id}")).await.ok()
    })
    .await?;
    assert_eq!(
        (record["outcome"].as_str(), record["refusal"]["reason"].as_str()),
        (Some("refused"), Some("limit"))
    );
    let limit = record["explanation"]["limits"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one["refused"] == true).cloned());
    let limit = limit.unwrap_or_default();
    assert_eq!((limit["amount"].as_i64(), limit["limit_id"] != ""), (Some(3), true), "{record}");
    assert!(limit["resets_in_ms"].as_i64().is_some_and(|ms| ms > 0 && ms <= 3_600_000), "{record}");
    Ok(refused_id)
}

async fn found_by_every_filter(bed: &Bed, key: &str, id: &str, refused_id: &str) -> Test {
    let account = bed.account.as_str();
    let served = [
        format!("key_id={key}"),
        format!("account_id={account}"),
        "model=claude-sonnet-4-5-20250929&outcome=ok".into(),
        "status=200".into(),
        "start=2020-01-01T00:00:00Z".into(),
    ];
    let refused = [format!("key_id={key}&with_refused=true"), "outcome=refused".into(), "status=429".into()];
    let wanted =
        served.iter().map(|query| (query, id)).chain(refused.iter().map(|query| (query, refused_id)));
    for (query, wanted) in wanted {
        let found = bed.crs.admin.get(&format!("/api/v2/requests?{query}")).await?;
        let ids: Vec<&str> = found["requests"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|r| r["request_id"].as_str())
            .collect();
        assert!(ids.contains(&wanted), "{query}: {ids:?}");
    }
    for query in ["end=2020-01-01T00:00:00Z", "account_id=nobody", "client_kind=nothing"] {
        let found = bed.crs.admin.get(&format!("/api/v2/requests?{query}")).await?;
        assert_eq!(found["requests"], json!([]), "{query}");
    }
    for wrong in ["outcome=splendid", "status=7", "page_size=-1"] {
        let reply = bed.crs.admin.raw("GET", &format!("/api/v2/requests?{wrong}"), &Value::Null).await?;
        assert_eq!(reply.status, 400, "{wrong}: {}", reply.text());
    }
    Ok(())
}

fn told_by_crsctl(bed: &Bed, id: &str, refused_id: &str) -> Test {
    let address = format!("http://{}", bed.crs.control);
    let token = bed.crs.admin.token.as_str();
    let (text, code) = crsctl(&address, token, &["request", "explain", id])?;
    assert_eq!(code, 0, "{text}");
    for wanted in ["attempt 2", "HTTP 529", "tried", "×", "left in the node's lease"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let (text, code) = crsctl(&address, token, &["request", "explain", refused_id])?;
    assert!(code == 0 && text.contains("refused: limit") && text.contains("of 3 requests"), "{text}");
    let (text, code) = crsctl(&address, token, &["request", "list", "--outcome", "refused", "-o", "name"])?;
    assert!(code == 0 && text.lines().any(|line| line == refused_id), "{text}");
    let (_, code) = crsctl(&address, token, &["request", "explain", "req_nothing"])?;
    assert_eq!(code, 4, "not found");
    let (_, code) = crsctl(&address, token, &["request", "list", "--outcome", "splendid"])?;
    assert_eq!(code, 2, "usage");
    let (_, code) = crsctl(&address, "nonsense", &["request", "tail"])?;
    assert_eq!(code, 3, "refused");
    let (_, code) = crsctl("http://127.0.0.1:1", token, &["request", "tail"])?;
    assert_eq!(code, 5, "unreachable");
    Ok(())
}

/// A tail over REST in one of its forms.
async fn tail(
    fleet: &Fleet,
    replica: usize,
    accept: &str,
    query: &str,
) -> anyhow::Result<(Conn, wire::Framing)> {
    let (address, bearer) = (fleet.replicas[replica].control, format!("Bearer {}", fleet.admin.token));
    let host = address.to_string();
    let headers = [("host", host.as_str()), ("authorization", bearer.as_str()), ("accept", accept)];
    let mut conn = Conn::connect(address).await?;
    conn.send(&wire::request("GET", &format!("/api/v2/requests/tail?{query}"), &headers, b"")).await?;
    let head = conn.head().await?.ok_or_else(|| anyhow::anyhow!("no answer"))?;
    anyhow::ensure!(head.status == 200, "the tail answers {}", head.status);
    anyhow::ensure!(head.header("content-type") == Some(accept), "{head:?}");
    let framing = head.framing()?;
    Ok((conn, framing))
}

/// What a tail says until it has said `wanted`.
async fn said(tail: &mut (Conn, wire::Framing), wanted: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    let reading = async {
        while !text.contains(wanted) {
            let piece = tail.0.piece(&mut tail.1).await?.ok_or_else(|| anyhow::anyhow!("the tail ended"))?;
            text.push_str(&String::from_utf8_lossy(&piece));
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await??;
    Ok(text)
}

#[tokio::test]
async fn g11_a_tail_shows_what_comes_from_nodes_of_every_replica() -> Test {
    let mock = Mock::start(Options::default()).await?;
    let fleet = Fleet::start(FleetOptions { nodes: 2, ..FleetOptions::default() }).await?;
    fleet.account("first", &mock.url(), UPSTREAM_KEY, json!({})).await?;
    let (key, secret) = fleet.key("watched", json!({})).await?;
    let (_, other) = fleet.key("other", json!({})).await?;
    for node in &fleet.nodes {
        serves(&node.talk(&secret)).await?;
        serves(&node.talk(&other)).await?;
    }
    let mut events = tail(&fleet, 0, "text/event-stream", &format!("key_id={key}")).await?;
    let mut lines = tail(&fleet, 1, "application/x-ndjson", "outcome=ok").await?;
    // Each tail hears of both nodes, which hang on different replicas, once its wish has gone around.
    let mut seen = (String::new(), String::new());
    for (number, node) in fleet.nodes.iter().enumerate() {
        let asked = eventually("a tail hears", Duration::from_secs(20), || async {
            let reply = node.talk(&secret).stream(&format!("[mock::tail-{number}]")).await.ok()?;
            node.talk(&other).stream("[mock::unwatched]").await.ok()?;
            reply.header("request-id").map(str::to_owned)
        });
        let id = asked.await?;
        // The wish may still be on its way to the other replica: ask again until it is heard.
        let node = node.talk(&secret);
        let again = tokio::spawn(async move {
            loop {
                let _ = node.stream("[mock::again]").await;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        });
        let node_id = {
            let record = eventually("its record", Duration::from_secs(10), || async {
                fleet.admin.get(&format!("/api/v2/requests/{id}")).await.ok()
            });
            record.await?["node_id"].as_str().unwrap_or_default().to_owned()
        };
        seen.0 += &said(&mut events, &node_id).await?;
        seen.1 += &said(&mut lines, &node_id).await?;
        again.abort();
    }
    let key_of_others = fleet.admin.get("/api/v2/keys").await?;
    let others = key_of_others["keys"].as_array().into_iter().flatten().find(|key| key["name"] == "other");
    let others = others.and_then(|key| key["id"].as_str()).unwrap_or_default();
    assert!(!seen.0.contains(others), "a tail shows what it was not asked for");
    assert!(seen.1.contains(others), "a tail leaves out what it was asked for");
    assert!(seen.0.starts_with("event: message\ndata: {"), "{}", seen.0);
    assert!(
        seen.1.lines().next().is_some_and(|line| serde_json::from_str::<Value>(line).is_ok()),
        "{}",
        seen.1
    );
    // And `crsctl`, which ends by itself after as many as it was told.
    let address = format!("http://{}", fleet.replicas[1].control);
    let (token, talk) = (fleet.admin.token.clone(), fleet.nodes[0].talk(&secret));
    let watching = tokio::task::spawn_blocking(move || {
        crsctl(&address, &token, &["request", "tail", "--outcome", "ok", "--limit", "2", "-o", "json"])
    });
    while !watching.is_finished() {
        talk.stream("[mock::for-crsctl]").await?;
    }
    let (text, code) = watching.await??;
    assert_eq!((code, text.lines().count()), (0, 2), "{text}");
    fleet.close().await
}
