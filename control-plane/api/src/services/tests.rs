//! Tests of the services over REST, against an embedded store: what an administrator does in a day.

use domain::Role;
use process::clock;
use serde_json::{Value, json};

use crate::testing::{Bench, PASSWORD};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn new_key(bench: &Bench, token: &str, body: &Value) -> Value {
    bench.ok(token, "POST /api/v2/keys", &body.to_string()).await
}

async fn new_account(bench: &Bench, token: &str, name: &str) -> Value {
    let body = json!({ "name": name, "credentials": { "api_key": "sk-ant-canary-secret" },
        "proxy": { "url": "socks5://me:canary-password@proxy.example:1080" } });
    bench.ok(token, "POST /api/v2/accounts/claude-console", &body.to_string()).await
}

#[tokio::test]
async fn a_key_lives_and_dies() {
    let bench = Bench::start().await;
    let token = bench.token().await;
    let made = new_key(
        &bench,
        &token,
        &json!({ "name": "one", "limits": [
        { "meter": "requests", "amount": 5, "window": { "kind": "fixed", "minutes": 1 } }] }),
    )
    .await;
    let (id, secret) = (text(&made["key"]["id"]), text(&made["secret"]));
    assert!(secret.starts_with(&text(&made["key"]["secret_hint"])));
    let at = format!("/api/v2/keys/{id}");
    let read = bench.ok(&token, &format!("GET {at}"), "").await;
    assert_eq!(read, made["key"]);
    assert!(!read.to_string().contains(&secret));

    let stale = read["etag"].clone();
    let change = json!({ "description": "x", "etag": stale });
    let changed = bench.ok(&token, &format!("PATCH {at}"), &change.to_string()).await;
    assert_eq!((changed["description"].as_str(), changed["name"].as_str()), (Some("x"), Some("one")));
    let refused = bench.call(&token, &format!("PUT {at}"), &change.to_string()).await;
    assert_eq!((refused.status.as_u16(), refused.json()["error"]["status"].as_str()), (409, Some("ABORTED")));
    let limits = bench.ok(&token, &format!("GET {at}/limits"), "").await;
    assert_eq!(
        (limits["limits"][0]["limit"]["amount"].as_i64(), limits["limits"][0]["used"].as_i64()),
        (Some(5), Some(0))
    );
    let stats = bench.ok(&token, &format!("GET {at}/stats?range.preset=7d"), "").await;
    assert_eq!((stats["totals"]["requests"].as_i64(), stats["step"].as_str()), (Some(0), Some("day")));

    let rotated = bench.ok(&token, &format!("POST {at}/rotate"), r#"{"overlap":"60s"}"#).await;
    assert_ne!(rotated["secret"], made["secret"]);
    assert!(rotated["key"]["previous_secret_until"].is_string());

    let early = bench.call(&token, &format!("DELETE {at}?purge=true"), "").await;
    assert_eq!((early.status.as_u16(), early.reason().as_str()), (400, "NOT_IN_BIN"));
    bench.ok(&token, &format!("DELETE {at}"), "").await;
    assert_eq!(bench.call(&token, &format!("PATCH {at}"), "{}").await.reason(), "IN_BIN");
    assert_eq!(bench.ok(&token, "GET /api/v2/keys", "").await["total_size"], 0);
    assert_eq!(bench.ok(&token, "GET /api/v2/keys?deleted=true", "").await["keys"][0]["status"], "deleted");
    assert_eq!(bench.ok(&token, &format!("POST {at}/restore"), "").await["status"], "active");
    bench.ok(&token, &format!("DELETE {at}"), "").await;
    bench.ok(&token, &format!("DELETE {at}?purge=true"), "").await;
    assert_eq!(bench.call(&token, &format!("GET {at}"), "").await.status, 404);
    bench.stop().await;
}

#[tokio::test]
async fn a_repeated_creation_makes_nothing_twice() {
    let bench = Bench::start().await;
    let token = bench.token().await;
    let line = "POST /api/v2/keys?request_id=once";
    let body = r#"{"name":"one","service_multipliers":{"claude":2,"gemini":3,"codex":4}}"#;
    let first = bench.ok(&token, line, body).await;
    let again = bench.ok(&token, line, body).await;
    assert_eq!(first["key"]["id"], again["key"]["id"]);
    assert_eq!(again["secret"], "");
    let other = bench.call(&token, line, r#"{"name":"two"}"#).await;
    assert_eq!((other.status.as_u16(), other.reason().as_str()), (409, "REQUEST_ID_REUSED"));
    assert_eq!(bench.ok(&token, "GET /api/v2/keys", "").await["total_size"], 1);
    let (a, b) = tokio::join!(
        bench.ok(&token, "POST /api/v2/keys?request_id=race", r#"{"name":"r"}"#),
        bench.ok(&token, "POST /api/v2/keys?request_id=race", r#"{"name":"r"}"#)
    );
    assert_eq!(a["key"]["id"], b["key"]["id"]);
    bench.stop().await;
}

#[tokio::test]
async fn lists_are_filtered_ordered_and_paged() {
    let bench = Bench::start().await;
    let token = bench.token().await;
    for n in 0..25 {
        let tag = if n % 2 == 0 { "even" } else { "odd" };
        new_key(&bench, &token, &json!({ "name": format!("Key {n:02}"), "tags": [tag] })).await;
    }
    let (mut names, mut next) = (Vec::new(), String::new());
    loop {
        let line =
            format!("GET /api/v2/keys?page_size=4&filter=tag:even&order_by=name%20desc&page_token={next}");
        let page = bench.ok(&token, &line, "").await;
        assert_eq!(page["total_size"], 13);
        names.extend(page["keys"].as_array().unwrap().iter().map(|key| text(&key["name"])));
        next = text(&page["next_page_token"]);
        if next.is_empty() {
            break;
        }
    }
    let mut expected: Vec<_> = (0..25).step_by(2).map(|n| format!("Key {n:02}")).collect();
    expected.reverse();
    assert_eq!(names, expected);
    for wrong in ["page_size=1001", "page_token=x", "order_by=secret", "filter=color:red", "nope=1"] {
        let answer = bench.call(&token, &format!("GET /api/v2/keys?{wrong}"), "").await;
        let field = text(&answer.json()["error"]["details"][1]["field_violations"][0]["field"]);
        assert_eq!((answer.status.as_u16(), wrong.split('=').next()), (400, Some(field.as_str())), "{wrong}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn an_account_lives_and_its_secrets_stay() {
    let bench = Bench::start().await;
    let token = bench.token().await;
    let made = new_account(&bench, &token, "a").await;
    let (id, at) = (text(&made["id"]), format!("/api/v2/accounts/claude-console/{}", text(&made["id"])));
    assert_eq!(made["credential_fields"], json!(["api_key"]));
    assert_eq!(made["proxy"]["url"], "socks5://me:***@proxy.example:1080");
    let back = bench.ok(&token, &format!("PUT {at}"), &made.to_string()).await;
    assert_eq!(back["credential_fields"], made["credential_fields"]);
    assert_eq!(bench.call(&token, &format!("GET /api/v2/accounts/ccr/{id}"), "").await.status, 404);
    let toggled = bench.ok(&token, &format!("POST {at}/toggle-schedulable"), "{}").await;
    assert_eq!(toggled["schedulable"], false);
    assert_eq!(bench.ok(&token, &format!("POST {at}/test"), r#"{"model":"m"}"#).await["model"], "m");
    assert_eq!(bench.ok(&token, &format!("POST {at}/reset-rate-limit"), "").await["status"], "active");
    let key = json!({ "name": "k", "account_binding": { "claude": { "account": id } } });
    let key = new_key(&bench, &token, &key).await;
    assert_eq!(bench.call(&token, &format!("DELETE {at}"), "").await.reason(), "ACCOUNT_BOUND");
    let unbind = format!("PATCH /api/v2/keys/{}", text(&key["key"]["id"]));
    bench.ok(&token, &unbind, r#"{"account_binding":{}}"#).await;
    bench.ok(&token, &format!("DELETE {at}"), "").await;
    for line in ["GET /api/v2/audit?page_size=1000", "GET /api/v2/accounts", "GET /api/v2/platforms"] {
        let answer = bench.call(&token, line, "").await;
        assert!(answer.status == 200 && !answer.text.contains("canary"), "{line}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn accounts_that_cannot_work_are_refused_by_field() {
    let bench = Bench::start().await;
    let token = bench.token().await;
    for (platform, body, field) in [
        ("claude-console", json!({ "name": "x" }), "credentials.api_key"),
        (
            "claude-console",
            json!({ "name": "x", "credentials": { "api_key": "k", "nope": "v" } }),
            "credentials.nope",
        ),
        (
            "claude-console",
            json!({ "name": "x", "credentials": { "api_key": "k" }, "base_url": "http://127.0.0.1:1" }),
            "base_url",
        ),
        (
            "claude-console",
            json!({ "name": "x", "credentials": { "api_key": "k" }, "base_url": "http://localhost" }),
            "base_url",
        ),
        (
            "claude-console",
            json!({ "name": "x", "credentials": { "api_key": "k" }, "proxy": { "url": "http://[::1]:3128" } }),
            "proxy.url",
        ),
        ("vertex", json!({ "name": "x" }), "credentials.service_account"),
        ("nowhere", json!({ "name": "x" }), "platform"),
    ] {
        let answer =
            bench.call(&token, &format!("POST /api/v2/accounts/{platform}"), &body.to_string()).await;
        let seen = text(&answer.json()["error"]["details"][1]["field_violations"][0]["field"]);
        assert_eq!((answer.status.as_u16(), seen.as_str()), (400, field), "{body}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn sessions_are_refreshed_once_and_end() {
    let bench = Bench::start().await;
    let login = bench.login().await;
    let (access, refresh) = (text(&login["access_token"]), text(&login["refresh_token"]));
    assert_eq!(login["me"]["role"], "admin");
    assert!(login["me"]["methods"].as_array().unwrap().contains(&json!("crs.admin.v1.KeyService.CreateKey")));
    let body = |token: &str| json!({ "refresh_token": token }).to_string();
    let renewed = bench.ok("", "POST /api/v2/auth/refresh", &body(&refresh)).await;
    let newer = text(&renewed["refresh_token"]);
    assert_eq!(bench.ok(&access, "GET /api/v2/auth/sessions", "").await["sessions"][0]["current"], true);
    let reused = bench.call("", "POST /api/v2/auth/refresh", &body(&refresh)).await;
    assert_eq!(reused.reason(), "SESSION_ENDED");
    assert_eq!(
        bench.call("", "POST /api/v2/auth/refresh", &body(&newer)).await.status,
        401,
        "reuse ends all"
    );
    assert_eq!(bench.call(&access, "GET /api/v2/auth/me", "").await.reason(), "SESSION_ENDED");

    let access = bench.token().await;
    bench.ok(&access, "POST /api/v2/auth/logout", "").await;
    assert_eq!(bench.call(&access, "GET /api/v2/auth/me", "").await.reason(), "SESSION_ENDED");
    bench.stop().await;
}

#[tokio::test]
async fn a_changed_password_ends_other_sessions() {
    let bench = Bench::start().await;
    let (other, own) = (bench.token().await, bench.token().await);
    let line = "POST /api/v2/auth/change-password";
    let body = |old: &str, new: &str| json!({ "current_password": old, "new_password": new }).to_string();
    let wrong = bench.call(&own, line, &body("wrong", "another good one")).await;
    assert_eq!((wrong.status.as_u16(), wrong.reason().as_str()), (400, "INVALID"));
    assert_eq!(bench.call(&own, line, &body(PASSWORD, "short")).await.status, 400);
    bench.ok(&own, line, &body(PASSWORD, "another good one")).await;
    assert_eq!(bench.call(&other, "GET /api/v2/auth/me", "").await.status, 401);
    assert_eq!(bench.call(&own, "GET /api/v2/auth/me", "").await.status, 200);
    bench.stop().await;
}

#[tokio::test]
async fn guessing_is_slowed_and_names_are_not_told_apart() {
    let bench = Bench::start().await;
    let line = "POST /api/v2/auth/admin/login";
    let body = |name: &str| json!({ "username": name, "password": "wrong wrong wrong" }).to_string();
    let known = bench.call("", line, &body("admin")).await;
    let unknown = bench.call("", line, &body("nobody")).await;
    let (mut known, mut unknown) = (known.json(), unknown.json());
    assert_eq!(known["error"].take(), unknown["error"].take());
    for _ in 0..4 {
        assert_eq!(bench.call("", line, &body("admin")).await.status, 401);
    }
    let slowed = bench.call("", line, &body("admin")).await;
    assert_eq!((slowed.status.as_u16(), slowed.reason().as_str()), (429, "TOO_MANY_LOGINS"));
    assert!(slowed.headers.contains_key("retry-after"));
    bench.stop().await;
}

#[tokio::test]
async fn a_minted_token_never_exceeds_its_minter_and_falls_with_the_user() {
    let bench = Bench::start().await;
    let admin = bench.token().await;
    let made = bench.ok(&admin, "POST /api/v2/auth/tokens", r#"{"name":"ci","role":"viewer"}"#).await;
    let viewer = text(&made["secret"]);
    assert!(viewer.starts_with("crs_at_"));
    assert_eq!(bench.ok(&viewer, "GET /api/v2/auth/me", "").await["kind"], "token");
    assert_eq!(bench.call(&viewer, "POST /api/v2/keys", r#"{"name":"x"}"#).await.status, 403);
    assert_eq!(bench.call(&viewer, "POST /api/v2/auth/logout", "").await.reason(), "NOT_A_SESSION");
    let (_, operator) = bench.session(Role::Operator, clock::unix_ms()).await;
    let denied = bench.call(&operator, "POST /api/v2/auth/tokens", r#"{"name":"x","role":"admin"}"#).await;
    assert_eq!(denied.reason(), "ROLE_TOO_LOW");
    let past = r#"{"name":"x","role":"user","expires_at":"2020-01-01T00:00:00Z"}"#;
    assert_eq!(bench.call(&admin, "POST /api/v2/auth/tokens", past).await.status, 400);
    let listed = bench.ok(&admin, "GET /api/v2/auth/tokens", "").await;
    assert_eq!(listed["tokens"][0]["created_by"], "admin");
    assert!(!listed.to_string().contains(&viewer));
    bench.ok(&admin, &format!("DELETE /api/v2/auth/tokens/{}", text(&made["token"]["id"])), "").await;
    assert_eq!(bench.call(&viewer, "GET /api/v2/auth/me", "").await.status, 401);
    bench.stop().await;
}

/// G8: every change has an author.
#[tokio::test]
async fn g8_every_change_is_in_the_audit_log_with_its_author() {
    let bench = Bench::start().await;
    let token = bench.token().await;
    let key = new_key(&bench, &token, &json!({ "name": "one" })).await;
    let id = text(&key["key"]["id"]);
    bench.ok(&token, &format!("PATCH /api/v2/keys/{id}"), r#"{"name":"two"}"#).await;
    bench.ok(&token, "PATCH /api/v2/settings", r#"{"site_name":"Mine"}"#).await;
    bench.ok(&token, "POST /api/v2/join-tokens", r#"{"name":"n"}"#).await;
    let entries = bench.ok(&token, &format!("GET /api/v2/audit?target_id={id}"), "").await;
    let newest = &entries["entries"][0];
    assert_eq!(
        (newest["actor"].as_str(), newest["action"].as_str()),
        (Some("admin"), Some("KeyService.UpdateKey"))
    );
    assert!(text(&newest["before"]).contains("one") && text(&newest["after"]).contains("two"));
    let all = bench.ok(&token, "GET /api/v2/audit?page_size=3", "").await;
    assert_eq!(all["entries"].as_array().unwrap().len(), 3);
    let next = format!("GET /api/v2/audit?page_size=3&page_token={}", text(&all["next_page_token"]));
    let sequences: Vec<i64> = [all, bench.ok(&token, &next, "").await]
        .iter()
        .flat_map(|page| page["entries"].as_array().unwrap().clone())
        .map(|entry| entry["sequence"].as_i64().unwrap())
        .collect();
    assert!(sequences.windows(2).all(|pair| pair[0] == pair[1] + 1), "{sequences:?}");
    bench.stop().await;
}

#[tokio::test]
async fn statistics_settings_and_nodes_answer() {
    let bench = Bench::start().await;
    let token = bench.token().await;
    let overview = bench.ok(&token, "GET /api/v2/dashboard/overview", "").await;
    assert_eq!((overview["store"].as_str(), overview["keys"].as_i64()), (Some("embedded"), Some(0)));
    for line in [
        "GET /api/v2/stats/usage",
        "GET /api/v2/stats/cost?range.preset=total",
        "GET /api/v2/stats/usage?dimension=tag&id=x&range.preset=30d&range.step=day",
        "GET /api/v2/stats/top?dimension=key&order_by=tokens&limit=5",
        "GET /api/v2/stats/models",
        "GET /api/v2/requests?page_size=5",
        "GET /api/v2/nodes",
        "GET /api/v2/join-tokens",
        "GET /api/v2/platforms",
    ] {
        bench.ok(&token, line, "").await;
    }
    assert_eq!(bench.call(&token, "GET /api/v2/stats/usage?dimension=key", "").await.status, 400);
    assert_eq!(bench.call(&token, "GET /api/v2/requests/none", "").await.status, 404);
    assert_eq!(bench.call(&token, "POST /api/v2/nodes/none/drain", "").await.status, 404);
    let settings = bench.ok(&token, "PUT /api/v2/settings", r#"{"time_zone":"Europe/Berlin"}"#).await;
    assert_eq!(
        (settings["time_zone"].as_str(), settings["max_attempts"].as_i64()),
        (Some("Europe/Berlin"), Some(5))
    );
    assert!(!settings.to_string().contains("pepper"));
    bench.stop().await;
}

#[tokio::test]
async fn strangers_send_no_large_bodies_and_tokens_touch_no_sessions() {
    let bench = Bench::start().await;
    let large = json!({ "username": "x".repeat(70_000) }).to_string();
    assert_eq!(bench.call("", "POST /api/v2/auth/admin/login", &large).await.status, 413);
    assert_eq!(bench.call("", "POST /api/v2/keys", &large).await.status, 401);
    let admin = bench.token().await;
    assert_eq!(bench.call(&admin, "POST /api/v2/keys", &"x".repeat((1 << 20) + 1)).await.status, 413);
    let made = bench.ok(&admin, "POST /api/v2/auth/tokens", r#"{"name":"ci","role":"user"}"#).await;
    let token = text(&made["secret"]);
    assert_eq!(bench.call(&token, "GET /api/v2/auth/sessions", "").await.reason(), "NOT_A_SESSION");
    assert_eq!(bench.call(&token, "DELETE /api/v2/auth/sessions/x", "").await.reason(), "NOT_A_SESSION");
    bench.stop().await;
}

#[tokio::test]
async fn unknown_fields_and_wrong_types_are_named() {
    let bench = Bench::start().await;
    let token = bench.token().await;
    for (line, body, field) in [
        ("POST /api/v2/keys", r#"{"nmae":"x"}"#, "nmae"),
        ("POST /api/v2/keys", r#"{"limits":[{"window":{"minuets":1}}]}"#, "limits[0].window.minuets"),
        ("POST /api/v2/keys", r#"{"name":"x","limits":[{"amount":"many"}]}"#, "limits[0].amount"),
        (
            "POST /api/v2/keys",
            r#"{"name":"x","limits":[{"meter":"seconds","amount":5,"window":{"kind":"day"}}]}"#,
            "limits[0].meter",
        ),
        ("PATCH /api/v2/settings", r#"{"max_attempts":9}"#, "max_attempts"),
    ] {
        let answer = bench.call(&token, line, body).await;
        let seen = text(&answer.json()["error"]["details"][1]["field_violations"][0]["field"]);
        assert_eq!((answer.status.as_u16(), seen.as_str()), (400, field), "{}", answer.text);
    }
    let form = http::Request::post("/api/v2/keys")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(http_body_util::Full::from("{}"))
        .unwrap();
    assert_eq!(bench.send(form).await.status, 415);
    let answer = bench.call(&token, "DELETE /api/v2/keys", "").await;
    assert_eq!(
        (answer.status.as_u16(), answer.headers["allow"].to_str().unwrap()),
        (405, "GET, POST, HEAD, OPTIONS")
    );
    bench.stop().await;
}
