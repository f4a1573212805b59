use std::collections::BTreeMap;

use dialects::{Dialect, Operation, peek};
use proptest::prelude::*;
use sha2::Digest as _;

use super::*;
use crate::{Credentials, FieldKind, Platform, recorded, registry};

const ACCOUNT_A: &str = "sk-ant-CANARY-of-account-A";
const ACCOUNT_B: &str = "sk-ant-CANARY-of-account-B";
const RELAY: &str = "cr_CANARY-of-the-relay-key";

/// A turn of a conversation, as Claude Code writes it.
const BODY: &str = r#"{"model":"m","messages":[],"metadata":{"user_id":"user_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef_account__session_0f6b5a1e-3c1d-4f8e-9a51-2f6b7f0c9d11"}}"#;

/// Credentials whose first secret is this one.
fn credentials(platform: &dyn Platform, secret: &str) -> Credentials {
    let held = platform.info().fields.iter().find(|field| field.kind == FieldKind::Secret && !field.withheld);
    let mut given: Credentials = [(held.unwrap().name.to_owned(), secret.into())].into();
    if platform.info().fields.iter().any(|field| field.name == "project_id") {
        given.insert("project_id".to_owned(), "some-project".into());
    }
    given
}

/// All that goes upstream of a request, as one text.
fn upstream(platform: &dyn Platform, secret: &str, query: Option<&str>, headers: &HeaderMap) -> String {
    let (dialect, credentials) = (platform.info().dialect, credentials(platform, secret));
    let (operation, body): (_, &[u8]) = match dialect {
        Dialect::AnthropicMessages => (Operation::Messages, BODY.as_bytes()),
        Dialect::OpenaiChat => (Operation::ChatCompletions, br#"{"model":"m","messages":[]}"#),
        Dialect::OpenaiResponses => (Operation::Responses, br#"{"model":"m","input":[]}"#),
        Dialect::Gemini => (Operation::GenerateContent, br#"{"contents":[]}"#),
    };
    let mapping = BTreeMap::from([("m".to_owned(), "mapped".to_owned())]);
    let account = AccountView {
        base_url: "https://upstream.example",
        credentials: &credentials,
        user_agent: "",
        model_mapping: &mapping,
    };
    let peek = peek::peek(dialect, body).unwrap();
    let mut headers = headers.clone();
    if platform.is_subscription(&account) && dialect == Dialect::AnthropicMessages {
        // It serves one client only.
        headers.insert("user-agent", HeaderValue::from_static("claude-cli/2.1.329 (external, cli)"));
        for (name, value) in [("x-app", "cli"), ("anthropic-version", "2023-06-01"), ("anthropic-beta", "b")]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.remove("connection");
    }
    let headers = &headers;
    let call = Call {
        dialect,
        query,
        relay_secret: Some(RELAY),
        model: Some("m"),
        ..recorded::call(operation, headers, &peek)
    };
    let mut prepared = platform.prepare(&account, &call).unwrap();
    let sent = recorded::sent(body, &prepared.body);
    if prepared.to_sign {
        platform.sign(&account, &mut prepared, &sha2::Sha256::digest(&sent).into(), 0).unwrap();
    }
    let mut text = format!("{} {}\n", prepared.method, prepared.uri);
    for (name, value) in &prepared.headers {
        text += &format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
    }
    text + &String::from_utf8(sent).unwrap()
}

/// Where clients and the proxies before them put keys, and any other name.
fn name() -> impl Strategy<Value = HeaderName> {
    prop_oneof![
        proptest::sample::select(vec![
            "authorization",
            "x-api-key",
            "x-goog-api-key",
            "api-key",
            "proxy-authorization",
            "cookie",
            "connection",
            "user-agent",
            "anthropic-beta",
            "accept",
            "content-type",
            "x-session-id",
            "x-forwarded-for",
            "accept-language",
            "anthropic-version",
            "host",
            "accept-encoding",
            "te",
            "x-amz-security-token",
        ])
        .prop_map(HeaderName::from_static),
        "[a-z][a-z0-9-]{0,20}".prop_map(|name| name.parse().unwrap()),
    ]
}

fn value() -> impl Strategy<Value = HeaderValue> {
    prop_oneof![
        Just(RELAY.to_owned()),
        Just(format!("Bearer {RELAY}")),
        Just(format!("a={RELAY}; b=c")),
        "[ -~]{0,20}",
    ]
    .prop_map(|value| HeaderValue::from_str(&value).unwrap())
}

proptest! {
    #[test]
    fn g2_a_request_carries_its_own_accounts_secret_and_no_other(
        given in proptest::collection::vec((name(), value()), 0..20),
        query in proptest::option::of(prop_oneof![
            Just(format!("key={RELAY}")), Just(format!("beta=true&x={RELAY}&y=1")), Just("beta=true".to_owned()),
            Just(format!("k%65y={RELAY}")), Just(RELAY.replace('-', "%2D")),
        ]),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(name, value);
        }
        for platform in registry::all() {
            let (a, b) = (upstream(*platform, ACCOUNT_A, query.as_deref(), &headers), upstream(*platform, ACCOUNT_B, query.as_deref(), &headers));
            prop_assert!(a.contains(ACCOUNT_A) && !a.contains(ACCOUNT_B), "{}", a);
            prop_assert!(b.contains(ACCOUNT_B) && !b.contains(ACCOUNT_A));
            prop_assert_eq!(a.matches("CANARY").count(), 1, "{}", a);
            prop_assert_eq!(a.matches("host:").count() + a.matches("content-length:").count(), 0);
            prop_assert!(a.contains("accept-encoding: identity\n"));
            prop_assert!(a.contains("mapped"), "{}", a);
        }
    }

    #[test]
    fn g2_an_answer_carries_no_accounts_secret(given in proptest::collection::vec((name(), value()), 0..20)) {
        let mut headers = HeaderMap::new();
        headers.insert("content-encoding", HeaderValue::from_static("br"));
        for (name, value) in given {
            let echo = String::from_utf8_lossy(value.as_bytes()).replace(RELAY, ACCOUNT_A);
            headers.append(name, HeaderValue::from_str(&echo).unwrap());
        }
        for platform in registry::all() {
            let credentials = credentials(*platform, ACCOUNT_A);
            let account = AccountView { base_url: "", credentials: &credentials, user_agent: "", model_mapping: &BTreeMap::new() };
            let passed = platform.response_headers(&account, &headers);
            prop_assert!(passed.values().all(|value| !String::from_utf8_lossy(value.as_bytes()).contains(ACCOUNT_A)));
            prop_assert!(!passed.contains_key("connection") && !passed.contains_key("set-cookie"));
            let named = headers.get_all("connection").iter().any(|value| value.as_bytes().windows(16).any(|w| w == b"content-encoding"));
            prop_assert!(named || passed.contains_key("content-encoding"));
        }
    }
}

#[test]
fn repeated_headers_stay_in_order() {
    let mut headers = HeaderMap::new();
    headers.append("anthropic-beta", HeaderValue::from_static("b"));
    headers.append("anthropic-beta", HeaderValue::from_static("a"));
    let text = upstream(registry::all()[0], ACCOUNT_A, None, &headers);
    assert!(text.find("anthropic-beta: b").unwrap() < text.find("anthropic-beta: a").unwrap());
}

#[test]
fn the_upstreams_id_is_found_under_both_names() {
    let mut headers = HeaderMap::new();
    assert_eq!(upstream_request_id(&headers), None);
    headers.insert("x-request-id", HeaderValue::from_static("b"));
    assert_eq!(upstream_request_id(&headers), Some("b"));
    headers.insert("request-id", HeaderValue::from_static("a"));
    assert_eq!(upstream_request_id(&headers), Some("a"));
}
