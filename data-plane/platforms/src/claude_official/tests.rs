use std::collections::BTreeMap;

use dialects::{Dialect, Operation, peek};
use secrecy::ExposeSecret;

use super::*;
use crate::{Credentials, GrantError, oauth::Begin, recorded};

#[test]
fn recorded_pairs() {
    recorded::check(&ClaudeOfficial, "claude_official");
}

fn with<T>(pairs: &[(&str, &str)], test: impl FnOnce(&AccountView<'_>) -> T) -> T {
    let credentials: Credentials =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let model_mapping = &BTreeMap::new();
    test(&AccountView { base_url: "", credentials: &credentials, user_agent: "", model_mapping })
}

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const UUID: &str = "0f6b5a1e-3c1d-4f8e-9a51-2f6b7f0c9d11";

fn serves(agent: &str, betas: bool, user_id: &str, operation: Operation) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", agent.parse().unwrap());
    headers.insert("x-app", "cli".parse().unwrap());
    headers.insert("anthropic-version", "2023-06-01".parse().unwrap());
    if betas {
        headers.insert("anthropic-beta", "claude-code-20250219".parse().unwrap());
    }
    let body = serde_json::json!({ "model": "m", "messages": [], "metadata": { "user_id": user_id } });
    let peek = peek::peek(Dialect::AnthropicMessages, body.to_string().as_bytes()).unwrap();
    with(&[("access_token", "sk-ant-oat01-x")], |view| {
        match ClaudeOfficial.prepare(view, &recorded::call(operation, &headers, &peek)) {
            Ok(_) => true,
            Err(PrepareError::OtherClient(_)) => false,
            Err(other) => panic!("{other}"),
        }
    })
}

#[test]
fn genuine_claude_code_is_served_and_nothing_is_made_up_for_others() {
    let code = "claude-cli/2.1.329 (external, cli)";
    let old = format!("user_{HEX}_account__session_{UUID}");
    let older = format!("user_{HEX}_account_{UUID}_session_{UUID}");
    let new = format!(r#"{{"device_id":"{HEX}","account_uuid":"","session_id":"{UUID}"}}"#);
    for user_id in [&old, &older, &new] {
        assert!(serves(code, true, user_id, Operation::Messages), "{user_id}");
    }
    assert!(serves(code, true, "", Operation::CountTokens));
    assert!(!serves(code, false, &new, Operation::Messages));
    assert!(!serves("Anthropic/Python 2.11.0", true, &new, Operation::Messages));
    for user_id in ["", "somebody", r#"{"device_id":"x","session_id":"y"}"#, "user_1_account__session_2"] {
        assert!(!serves(code, true, user_id, Operation::Messages), "{user_id}");
    }
}

const BEGIN: Begin<'_> = Begin { verifier: "v", state: "st", long_lived: false };

#[test]
fn a_sign_in_from_the_page_to_the_token() {
    let grants = ClaudeOfficial.grants().unwrap();
    with(&[("token_url", "https://mock.example/token")], |view| {
        let page = grants.page(view, &BEGIN).unwrap();
        assert!(
            page.starts_with("https://claude.ai/oauth/authorize?code=true&client_id=9d1c250a-"),
            "{page}"
        );
        assert!(
            page.contains("scope=org%3Acreate_api_key%20user%3Aprofile%20") && page.ends_with("&state=st")
        );
        assert!(page.contains("&code_challenge_method=S256&"));
        let long = grants.page(view, &Begin { long_lived: true, ..BEGIN }).unwrap();
        assert!(long.contains("&scope=user%3Ainference&"));
        let request = grants.exchange(view, &BEGIN, "the-code").unwrap();
        assert_eq!(request.uri, "https://mock.example/token");
        let body: serde_json::Value = serde_json::from_slice(&recorded::sent(b"", &request.body)).unwrap();
        assert_eq!(body["grant_type"], "authorization_code");
        assert_eq!((&body["code_verifier"], &body["code"]), (&"v".into(), &"the-code".into()));
        let long = grants.exchange(view, &Begin { long_lived: true, ..BEGIN }, "c").unwrap();
        assert!(recorded::sent(b"", &long.body).windows(8).any(|window| window == b"31536000"));
        let none = grants.refresh(view, 0).err();
        assert_eq!(none, Some(GrantError::Account(PrepareError::NoCredential("refresh_token"))));
    });
    let answer = br#"{"access_token":"at","refresh_token":"rt","expires_in":28800,"scope":"user:profile",
        "account":{"email_address":"a@b.c"},"organization":{"name":"Org"}}"#;
    let tokens = grants.read(StatusCode::OK, answer, 0).unwrap();
    assert_eq!(tokens.issued["access_token"].expose_secret(), "at");
    assert_eq!((tokens.facts["email"].as_str(), tokens.facts["organization"].as_str()), ("a@b.c", "Org"));
    with(&[("access_token", "at")], |view| {
        let errand = grants.errand(view, &tokens.facts).unwrap().unwrap();
        assert_eq!(errand.uri, "https://api.anthropic.com/api/oauth/profile");
        assert_eq!(errand.headers["authorization"], "Bearer at");
        assert!(grants.errand(view, &BTreeMap::new()).unwrap().is_none());
    });
}

#[test]
fn the_subscription_is_read_from_the_profile() {
    let grants = ClaudeOfficial.grants().unwrap();
    let plan = |body: &str| {
        let told = grants.learn(&BTreeMap::new(), StatusCode::OK, body.as_bytes()).unwrap();
        told.facts["plan"].clone()
    };
    assert_eq!(plan(r#"{"account":{"has_claude_max":true,"has_claude_pro":true}}"#), "max");
    assert_eq!(plan(r#"{"account":{},"organization":{"organization_type":"claude_enterprise"}}"#), "max");
    assert_eq!(plan(r#"{"account":{"has_claude_pro":true}}"#), "pro");
    assert_eq!(plan("{}"), "free");
    assert!(grants.learn(&BTreeMap::new(), StatusCode::FORBIDDEN, b"").is_err());
}

#[test]
fn windows_are_told_with_every_answer() {
    let headers = HeaderMap::from_iter([
        ("anthropic-ratelimit-unified-5h-utilization".parse().unwrap(), "0.5".parse().unwrap()),
        ("anthropic-ratelimit-unified-5h-reset".parse().unwrap(), "1790000000".parse().unwrap()),
    ]);
    let seen = ClaudeOfficial.seen(StatusCode::OK, &headers, b"", 0);
    assert_eq!((seen.windows[0].name.as_str(), seen.windows[0].used_permille), ("5h", Some(500)));
}
