use proptest::prelude::*;

use super::*;

#[test]
fn a_code_is_found_in_all_that_people_paste() {
    let found = |pasted: &str| code(pasted, "the-state").ok();
    assert_eq!(found("  abcdef-123_45 ").as_deref(), Some("abcdef-123_45"));
    assert_eq!(found("abcdef-12345#the-state").as_deref(), Some("abcdef-12345"));
    assert_eq!(found("abcdef-12345&state=x").as_deref(), Some("abcdef-12345"));
    let address = "http://localhost:1455/auth/callback?code=4%2F0Abcdefgh&scope=x&state=the-state";
    assert_eq!(found(address).as_deref(), Some("4/0Abcdefgh"));
    for bad in ["", "short", "abcdefgh ijk", "abcdef-12345#other", "https://x/?state=the-state", "a?code=1"] {
        assert_eq!(found(bad), None, "{bad}");
    }
    let other = "https://x/cb?code=abcdefghij&state=another";
    assert!(code(other, "the-state").unwrap_err().to_string().contains("another request"));
}

#[test]
fn the_challenge_of_the_standards_own_example() {
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let begin = Begin { verifier, state: "", long_lived: false };
    assert_eq!(begin.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

#[test]
fn answers_of_token_endpoints() {
    let read = |status: u16, body: &str| {
        tokens(StatusCode::from_u16(status).unwrap(), body.as_bytes(), 1_000).map(|(tokens, _)| tokens)
    };
    let body = r#"{"access_token":"at-1","refresh_token":"rt-1","expires_in":3600,"scope":"a b"}"#;
    let good = read(200, body).unwrap();
    assert_eq!(good.issued[ACCESS].expose_secret(), "at-1");
    assert_eq!(good.kept[REFRESH].expose_secret(), "rt-1");
    assert_eq!((good.expires_at_ms, good.facts["scopes"].as_str()), (Some(3_601_000), "a b"));
    assert!(!format!("{good:?}").contains("at-1"));
    let refused = |code: &str| Some(GrantError::Refused(code.into()));
    let unclear = |code: &str| Some(GrantError::Unclear(code.into()));
    assert_eq!(read(400, r#"{"error":"invalid_grant"}"#).err(), refused("invalid_grant"));
    let nested = r#"{"error":{"code":"refresh_token_reused","message":"rt-1"}}"#;
    assert_eq!(read(401, nested).err(), refused("refresh_token_reused"));
    assert_eq!(read(401, "").err(), refused("HTTP 401"));
    assert_eq!(read(503, "<html>").err(), unclear("HTTP 503"));
    assert_eq!(read(429, r#"{"error":{"type":"rate_limit_error"}}"#).err(), unclear("rate_limit_error"));
    assert_eq!(read(400, r#"{"error":"the token rt-1 is bad"}"#).err(), unclear("HTTP 400"));
    assert!(matches!(read(200, "{}"), Err(GrantError::Unclear(_))));
    assert_eq!(read(200, r#"{"access_token":"a","expires_in":"60"}"#).unwrap().expires_at_ms, Some(61_000));
}

proptest! {
    #[test]
    fn no_answer_panics(status in 100_u16..600, body in prop::collection::vec(any::<u8>(), 0..200), pasted in ".{0,60}") {
        let status = StatusCode::from_u16(status).unwrap();
        for platform in crate::registry::all() {
            let Some(grants) = platform.grants() else { continue };
            let _ = grants.read(status, &body, i64::MAX);
            let _ = grants.learn(&BTreeMap::new(), status, &body);
        }
        let _ = code(&pasted, "s");
        let _ = claims(&pasted);
    }
}
