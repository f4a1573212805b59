//! G2: no credential crosses. Besides these, every test's end searches logs, metrics and disk.

use e2e::{mock::Behaviour, sandbox::body, wire};
use serde_json::json;

use crate::bed::{Bed, Test, UPSTREAM_KEY};

#[tokio::test]
async fn g2_a_relay_key_never_reaches_an_upstream() -> Test {
    let bed = Bed::start().await?;
    let secret = bed.talk.secret.clone();
    let bearer = format!("Bearer {secret}");
    type Place<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>);
    let places: [Place<'_>; 7] = [
        ("x-api-key", "", vec![("x-api-key", &secret)]),
        ("bearer", "", vec![("authorization", &bearer)]),
        ("authorization", "", vec![("authorization", &secret)]),
        ("x-goog-api-key", "", vec![("x-goog-api-key", &secret)]),
        ("api-key", "", vec![("api-key", &secret)]),
        ("query", &secret, vec![]),
        (
            "all",
            &secret,
            vec![
                ("x-api-key", &secret),
                ("authorization", &bearer),
                ("x-goog-api-key", &secret),
                ("api-key", &secret),
                ("proxy-authorization", &bearer),
                ("cookie", &secret),
            ],
        ),
    ];
    for (name, query, mut headers) in places {
        headers.extend([("anthropic-version", "2023-06-01"), ("content-type", "application/json")]);
        let target = if query.is_empty() {
            "/v1/messages".into()
        } else {
            format!("/v1/messages?key={query}&beta=true")
        };
        let body = body(&format!("[mock::g2-{name}]"), false);
        let reply = wire::call(bed.crs.relay, "POST", &target, &headers, &body).await?;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        let entry = &bed.mock.ledger().tagged(&format!("g2-{name}"))[0];
        let seen = format!("{} {:?}", entry.target, entry.headers);
        assert!(!seen.contains(&secret), "{name}: the upstream saw the relay key: {seen}");
        assert_eq!(entry.key, UPSTREAM_KEY, "{name}");
        if !query.is_empty() {
            assert_eq!(entry.target, "/v1/messages?beta=true", "{name}");
        }
    }
    bed.close().await
}

#[tokio::test]
async fn g2_an_upstream_credential_is_written_and_never_read_back() -> Test {
    let proxy = "http://user:canary-proxy-pa55word@127.0.0.1:9";
    let bed = Bed::start().await?;
    bed.crs.canaries.add("a proxy's password", "canary-proxy-pa55word");
    let more = json!({"proxy": {"url": proxy}, "schedulable": false});
    let id = bed.crs.admin.account("second", &bed.mock.url(), "sk-ant-canary-second-0002", more).await?;
    bed.crs.canaries.add("the second upstream key", "sk-ant-canary-second-0002");
    let paths = [
        format!("/api/v2/accounts/claude-console/{id}"),
        "/api/v2/accounts/claude-console".into(),
        "/api/v2/accounts".into(),
        "/api/v2/audit?page_size=100".into(),
        "/api/v2/keys".into(),
        "/api/v2/requests".into(),
        "/api/v2/nodes".into(),
        "/api/v2/settings".into(),
        "/api/v2/auth/sessions".into(),
    ];
    for path in paths {
        let reply = bed.crs.admin.raw("GET", &path, &json!(null)).await?;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        bed.crs.canaries.search_text(&path, &reply.body)?;
    }
    let account = bed.crs.admin.get(&format!("/api/v2/accounts/claude-console/{id}")).await?;
    assert_eq!(account["credential_fields"], json!(["api_key"]));
    bed.close().await
}

#[tokio::test]
async fn g2_nothing_of_ours_is_in_an_error_or_an_answers_headers() -> Test {
    let bed = Bed::start().await?;
    let echo = Behaviour {
        headers: vec![
            ("set-cookie".into(), "upstream=1".into()),
            ("x-upstream-internal".into(), "yes".into()),
            ("anthropic-organization-id".into(), "org".into()),
        ],
        ..Behaviour::default()
    };
    bed.mock.scenarios().name("cookie", echo);
    let reply = bed.talk.say("[mock:cookie:g2-cookie]").await?;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("set-cookie"), None, "an upstream's cookie reached the client");
    bed.mock.scenarios().name("refused", e2e::mock::scenario::error(401));
    let reply = bed.talk.say("[mock:refused:g2-401]").await?;
    assert_ne!(reply.status, 401, "an upstream's 401 is never passed on");
    let seen = format!("{:?} {}", reply.head, reply.text());
    assert!(!seen.contains(UPSTREAM_KEY) && !seen.contains(&bed.talk.secret), "{seen}");
    bed.close().await
}

#[tokio::test]
async fn g2_all_bad_keys_are_answered_alike() -> Test {
    let bed = Bed::start().await?;
    let (gone_id, gone) = bed.crs.key("gone", json!({})).await?;
    bed.crs.admin.call("DELETE", &format!("/api/v2/keys/{gone_id}"), json!(null)).await?;
    let close = format!("{}x", bed.talk.secret);
    let mut answers = Vec::new();
    for key in ["cr_wrong", "", "x", &close, &"a".repeat(4000), "cr_ \u{fffd}é", "cr_../../etc"] {
        let headers = [("x-api-key", key), ("anthropic-version", "2023-06-01")];
        let reply =
            wire::call(bed.crs.relay, "POST", "/v1/messages", &headers, &body("[mock::g2-bad]", false))
                .await?;
        let mut json = reply.json();
        json.as_object_mut().unwrap().remove("request_id");
        answers.push((reply.status, json));
    }
    assert_eq!(answers[0].0, 401);
    assert_eq!(answers[0].1["error"]["type"], "authentication_error");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    let deleted =
        e2e::sandbox::eventually("a deleted key is refused", std::time::Duration::from_secs(3), || async {
            bed.crs.talk(&gone).say("x").await.ok().filter(|reply| reply.status == 401)
        });
    assert_eq!(deleted.await?.header("x-should-retry"), Some("false"));
    assert!(bed.mock.ledger().tagged("g2-bad").is_empty());
    bed.close().await
}
