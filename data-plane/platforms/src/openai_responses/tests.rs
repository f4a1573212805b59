use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::ExposeSecret;

use super::*;
use crate::{oauth::Begin, recorded};

#[test]
fn recorded_pairs() {
    recorded::check(&OpenaiResponses, "openai_responses");
}

fn with<T>(pairs: &[(&str, &str)], test: impl FnOnce(&AccountView<'_>) -> T) -> T {
    let credentials: Credentials =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let model_mapping = &BTreeMap::new();
    test(&AccountView { base_url: "", credentials: &credentials, user_agent: "", model_mapping })
}

#[test]
fn a_sign_in_from_the_page_to_the_token() {
    let grants = OpenaiResponses.grants().unwrap();
    let begin = Begin { verifier: "v", state: "st", long_lived: false };
    with(&[("refresh_token", "rt")], |view| {
        let page = grants.page(view, &begin).unwrap();
        assert!(
            page.starts_with("https://auth.openai.com/oauth/authorize?response_type=code&client_id=app_")
        );
        assert!(page.contains("&codex_cli_simplified_flow=true") && page.contains("&state=st&"));
        let request = grants.exchange(view, &begin, "co/de").unwrap();
        let body = String::from_utf8(recorded::sent(b"", &request.body)).unwrap();
        assert!(body.contains("&code=co%2Fde&") && body.ends_with("&code_verifier=v"), "{body}");
        let request = grants.refresh(view, 0).unwrap();
        assert_eq!(request.uri, "https://auth.openai.com/oauth/token");
        let body = String::from_utf8(recorded::sent(b"", &request.body)).unwrap();
        assert!(body.contains("grant_type=refresh_token&") && body.contains("&refresh_token=rt&"));
        assert!(OpenaiResponses.is_subscription(view));
    });
    let claims = serde_json::json!({
        "email": "a@b.c",
        "https://api.openai.com/auth": { "chatgpt_account_id": "acc-1", "chatgpt_plan_type": "pro" },
    });
    let id_token = format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let answer = serde_json::json!({ "access_token": "at", "refresh_token": "r2", "id_token": id_token });
    let tokens = grants.read(StatusCode::OK, answer.to_string().as_bytes(), 0).unwrap();
    assert_eq!(tokens.issued["chatgpt_account_id"].expose_secret(), "acc-1");
    assert_eq!((tokens.facts["plan"].as_str(), tokens.facts["email"].as_str()), ("pro", "a@b.c"));
    assert_eq!(tokens.expires_at_ms, Some(3_600_000));
}

#[test]
fn a_probe_of_the_back_end_streams() {
    with(&[("access_token", "at")], |view| {
        let probe = OpenaiResponses.probe(view, "gpt-5", 0).unwrap();
        assert_eq!(probe.uri, "https://chatgpt.com/backend-api/codex/responses");
        let body: serde_json::Value = serde_json::from_slice(&recorded::sent(b"", &probe.body)).unwrap();
        assert_eq!((&body["stream"], &body["store"]), (&true.into(), &false.into()));
    });
    with(&[("api_key", "k")], |view| {
        let probe = OpenaiResponses.probe(view, "gpt-5", 0).unwrap();
        assert_eq!(probe.uri, "https://api.openai.com/v1/responses");
        assert!(!OpenaiResponses.is_subscription(view));
    });
}

#[test]
fn windows_and_resets_of_codex() {
    let headers = HeaderMap::from_iter([
        ("x-codex-primary-used-percent".parse().unwrap(), "12".parse().unwrap()),
        ("x-codex-primary-window-minutes".parse().unwrap(), "300".parse().unwrap()),
        ("x-codex-primary-reset-after-seconds".parse().unwrap(), "60".parse().unwrap()),
    ]);
    let seen = OpenaiResponses.seen(StatusCode::OK, &headers, b"", 0);
    assert_eq!((seen.windows[0].name.as_str(), seen.windows[0].used_permille), ("5h", Some(120)));
    let body = br#"{"error":{"type":"usage_limit_reached","resets_at":1790000000}}"#;
    let seen = OpenaiResponses.seen(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), body, 0);
    assert_eq!(seen.reset_at_ms, Some(1_790_000_000_000));
}
