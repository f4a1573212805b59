//! Signing in over REST, against an embedded store and a platform that takes one code.

use serde_json::{Value, json};

use crate::testing::Bench;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

#[tokio::test]
async fn an_account_signs_in_once_an_operator_permits_it() {
    let bench = Bench::start().await;
    let token = bench.token().await;
    let (begin, end) = ("POST /api/v2/accounts/claude/auth-url", "POST /api/v2/accounts/claude/exchange");
    assert_eq!(bench.call(&token, begin, "{}").await.reason(), "SUBSCRIPTION_POOLING_OFF");
    let pasted = json!({ "name": "x", "credentials": { "access_token": "sk-ant-oat01-canary" } }).to_string();
    let refused = bench.call(&token, "POST /api/v2/accounts/claude", &pasted).await;
    assert_eq!(refused.reason(), "SUBSCRIPTION_POOLING_OFF");
    bench.ok(&token, "PATCH /api/v2/settings", r#"{"subscription_pooling":true}"#).await;
    let begun = bench.ok(&token, begin, "{}").await;
    assert!(text(&begun["auth_url"]).starts_with("https://claude.ai/oauth/authorize?"));
    let with =
        |begun: &Value, code: &str| json!({ "session_id": begun["session_id"], "code": code }).to_string();
    // A slip of the hand costs nothing; a code that is refused ends the sign-in.
    assert_eq!(bench.call(&token, end, &with(&begun, "x")).await.status, 400);
    assert_eq!(bench.call(&token, end, &with(&begun, "wrong-code")).await.reason(), "REAUTHORIZE");
    assert_eq!(bench.call(&token, end, &with(&begun, "good-code")).await.reason(), "NO_SUCH_SIGN_IN");
    let begun = bench.ok(&token, begin, "{}").await;
    let account = bench.ok(&token, end, &with(&begun, "good-code")).await;
    assert_eq!((text(&account["name"]), text(&account["status"])), ("a@b.c".into(), "active".into()));
    assert_eq!(account["token"]["renews"], true);
    assert!(!account.to_string().contains("canary"));
    let begun = bench.ok(&token, begin, &json!({ "account_id": account["id"] }).to_string()).await;
    let again = bench.ok(&token, end, &with(&begun, "good-code")).await;
    assert_eq!(again["id"], account["id"]);
    let id = text(&account["id"]);
    let refreshed = bench.call(&token, &format!("POST /api/v2/accounts/claude/{id}/refresh"), "{}").await;
    assert_eq!(refreshed.reason(), "NO_TOKEN_YET");
    assert_eq!(bench.call(&token, "POST /api/v2/accounts/ccr/auth-url", "{}").await.reason(), "NO_SIGN_IN");
    bench.stop().await;
}
