//! Accounts that sign in: from the page to a served request, renewed ahead of their token's end and when it is refused,
//! once for all who ask (distribution, rule 23).

use std::time::Duration;

use e2e::{
    mock::OauthMock,
    sandbox::{Admin, Canaries, Setup, Standalone, eventually},
    wire::{self, Reply},
};
use serde_json::{Value, json};

use crate::bed::Test;

const BOUND: Duration = Duration::from_secs(20);

/// A turn as Claude Code writes it.
fn turn() -> String {
    let user = json!({
        "device_id": "ab".repeat(32), "account_uuid": "", "session_id": "0f6b5a1e-3c1d-4f8e-9a51-2f6b7f0c9d11",
    });
    json!({
        "model": "claude-sonnet-4-5-20250929", "max_tokens": 16, "metadata": {"user_id": user.to_string()},
        "messages": [{"role": "user", "content": "hi"}],
    })
    .to_string()
}

async fn ask(relay: std::net::SocketAddr, secret: &str, agent: &str) -> anyhow::Result<Reply> {
    let bearer = format!("Bearer {secret}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("user-agent", agent),
        ("x-app", "cli"),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "claude-code-20250219"),
        ("content-type", "application/json"),
    ];
    wire::call(relay, "POST", "/api/v1/messages", &headers, turn().as_bytes()).await
}

const CLAUDE_CODE: &str = "claude-cli/2.1.329 (external, cli)";

/// Signs an account in; its id.
async fn sign_in(admin: &Admin, mock: &OauthMock, canaries: &Canaries) -> anyhow::Result<String> {
    for number in 1..5 {
        canaries.add("an access token", &format!("sk-ant-oat01-canary-access-{number}"));
        canaries.add("a refresh token", &format!("sk-ant-ort01-canary-refresh-{number}"));
    }
    admin.call("PATCH", "/api/v2/settings", json!({"subscription_pooling": true})).await?;
    let draft =
        json!({"base_url": mock.url(), "credentials": {"token_url": format!("{}/token", mock.url())}});
    let path = "/api/v2/accounts/claude-official/auth-url";
    let begun = admin.call("POST", path, json!({"account": draft})).await?;
    let page = begun["auth_url"].as_str().unwrap().to_owned();
    assert!(page.starts_with("https://claude.ai/oauth/authorize?"), "{page}");
    let ended = json!({"session_id": begun["session_id"], "code": mock.agree(&page)});
    let account = admin.call("POST", "/api/v2/accounts/claude-official/exchange", ended.clone()).await?;
    assert_eq!(account["name"], "holder@example.com");
    assert_eq!(account["token"]["facts"]["plan"], "max");
    assert!(!account.to_string().contains("canary"), "{account}");
    // A sign-in ends once.
    let again = admin.raw("POST", "/api/v2/accounts/claude-official/exchange", &ended).await?;
    assert_eq!(again.status, 404);
    Ok(account["id"].as_str().unwrap().to_owned())
}

async fn account(admin: &Admin, id: &str) -> anyhow::Result<Value> {
    admin.get(&format!("/api/v2/accounts/claude-official/{id}")).await
}

#[tokio::test]
async fn a_subscription_signs_in_serves_its_client_and_is_renewed_when_its_token_is_refused() -> Test {
    let mock = OauthMock::start(3600).await?;
    let crs = Standalone::start(Setup::default()).await?;
    // Off until an operator turns it on, and the terms are told.
    let off = crs.admin.raw("POST", "/api/v2/accounts/claude-official/auth-url", &json!({})).await?;
    assert!(
        off.text().contains("SUBSCRIPTION_POOLING_OFF") && off.text().contains("Terms"),
        "{}",
        off.text()
    );
    let id = sign_in(&crs.admin, &mock, &crs.canaries).await?;
    let (_, secret) = crs.key("client", json!({})).await?;
    eventually("a genuine client is served", BOUND, || async {
        ask(crs.relay, &secret, CLAUDE_CODE).await.ok().filter(|reply| reply.status == 200)
    })
    .await?;
    // Nothing is made up for others.
    let other = ask(crs.relay, &secret, "Anthropic/Python 2.11.0").await?;
    assert_eq!(other.status, 503, "{}", other.text());
    // A token that is refused is renewed once, and the request goes on.
    mock.revoke();
    let reply = ask(crs.relay, &secret, CLAUDE_CODE).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!((mock.book().refreshes, mock.book().unauthorized), (1, 1));
    // By hand, too.
    crs.admin.call("POST", &format!("/api/v2/accounts/claude-official/{id}/refresh"), json!({})).await?;
    assert_eq!(mock.book().refreshes, 2);
    // What renews it is used up: a named state, and nobody hammers the platform.
    mock.revoke_all();
    assert_eq!(ask(crs.relay, &secret, CLAUDE_CODE).await?.status, 503);
    assert_eq!(account(&crs.admin, &id).await?["status"], "reauthorize");
    assert_eq!(ask(crs.relay, &secret, CLAUDE_CODE).await?.status, 503);
    assert_eq!(mock.book().refused, 1);
    // Authorised again, it serves again.
    let path = "/api/v2/accounts/claude-official/auth-url";
    let begun = crs.admin.call("POST", path, json!({"account_id": id})).await?;
    let code = mock.agree(begun["auth_url"].as_str().unwrap());
    let ended = json!({"session_id": begun["session_id"], "code": code});
    let again = crs.admin.call("POST", "/api/v2/accounts/claude-official/exchange", ended).await?;
    assert_eq!((&again["id"], &again["status"]), (&json!(id), &json!("active")));
    eventually("it serves again", BOUND, || async {
        ask(crs.relay, &secret, CLAUDE_CODE).await.ok().filter(|reply| reply.status == 200)
    })
    .await?;
    crs.close().await
}

#[tokio::test]
async fn a_token_is_renewed_ahead_of_its_end_and_no_request_meets_one_that_has_ended() -> Test {
    let mock = OauthMock::start(24).await?;
    let crs = Standalone::start(Setup::default()).await?;
    sign_in(&crs.admin, &mock, &crs.canaries).await?;
    let (_, secret) = crs.key("client", json!({})).await?;
    eventually("it is renewed by itself", Duration::from_secs(40), || async {
        let _ = ask(crs.relay, &secret, CLAUDE_CODE).await;
        (mock.book().refreshes >= 1).then_some(())
    })
    .await?;
    eventually("it serves with the new token", BOUND, || async {
        ask(crs.relay, &secret, CLAUDE_CODE).await.ok().filter(|reply| reply.status == 200)
    })
    .await?;
    assert!(mock.book().served > 0);
    crs.close().await
}
