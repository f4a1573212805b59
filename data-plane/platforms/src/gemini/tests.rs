use std::collections::BTreeMap;

use secrecy::ExposeSecret;

use super::*;
use crate::{Credentials, oauth::Begin, recorded};

#[test]
fn recorded_pairs() {
    recorded::check(&Gemini, "gemini");
}

fn with<T>(pairs: &[(&str, &str)], test: impl FnOnce(&AccountView<'_>) -> T) -> T {
    let credentials: Credentials =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let model_mapping = &BTreeMap::new();
    test(&AccountView { base_url: "", credentials: &credentials, user_agent: "", model_mapping })
}

fn unwrapped(kind: &'static str, body: &[u8], step: usize) -> String {
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);
    let mut unwrap = Gemini.unwrap(StatusCode::OK, &headers).unwrap();
    let mut out = Vec::new();
    body.chunks(step).for_each(|piece| unwrap.push(piece, &mut out).unwrap());
    unwrap.finish(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn answers_come_out_of_their_envelope() {
    let stream = "data: {\"response\" : {\"candidates\":[1.50]},\"traceId\":\"t\"}\r\n\r\n\
                  data: {\"response\":\ndata: {\"usageMetadata\":{}}}\n\n: a comment\n\n\
                  data: {\"error\":{\"code\":429}}\n\n";
    let expected = "data: {\"candidates\":[1.50]}\n\ndata: {\"usageMetadata\":{}}\n\n: a comment\n\n\
                    data: {\"error\":{\"code\":429}}\n\n";
    for step in 1..stream.len() {
        assert_eq!(unwrapped("text/event-stream", stream.as_bytes(), step), expected, "{step}");
    }
    let whole = br#"{"response":{"candidates":[ ]},"traceId":"t"}"#;
    assert_eq!(unwrapped("application/json", whole, 7), r#"{"candidates":[ ]}"#);
    assert_eq!(unwrapped("application/json", br#"{"totalTokens":3}"#, 7), r#"{"totalTokens":3}"#);
    assert!(Gemini.unwrap(StatusCode::FORBIDDEN, &HeaderMap::new()).is_none());
}

#[test]
fn a_sign_in_needs_the_clients_secret_and_finds_its_project() {
    let grants = Gemini.grants().unwrap();
    let begin = Begin { verifier: "v", state: "st", long_lived: false };
    with(&[("refresh_token", "rt")], |view| {
        assert!(grants.page(view, &begin).unwrap().contains("&access_type=offline&"));
        assert!(grants.exchange(view, &begin, "code").is_err());
    });
    with(&[("client_secret", "cs"), ("refresh_token", "rt"), ("access_token", "at")], |view| {
        let request = grants.refresh(view, 0).unwrap();
        let body = String::from_utf8(recorded::sent(b"", &request.body)).unwrap();
        assert!(body.contains("&client_secret=cs&refresh_token=rt"), "{body}");
        let mut known = BTreeMap::new();
        let load = grants.errand(view, &known).unwrap().unwrap();
        assert_eq!(load.uri, "https://cloudcode-pa.googleapis.com/v1internal:loadCodeAssist");
        let told = br#"{"allowedTiers":[{"id":"legacy"},{"id":"free-tier","isDefault":true}]}"#;
        known.extend(grants.learn(&known, StatusCode::OK, told).unwrap().facts);
        let onboard = grants.errand(view, &known).unwrap().unwrap();
        assert_eq!(onboard.uri, "https://cloudcode-pa.googleapis.com/v1internal:onboardUser");
        known.extend(grants.learn(&known, StatusCode::OK, br#"{"name":"op","done":false}"#).unwrap().facts);
        assert!(grants.errand(view, &known).unwrap().is_some());
        let done = br#"{"done":true,"response":{"cloudaicompanionProject":{"id":"made-1"}}}"#;
        let told = grants.learn(&known, StatusCode::OK, done).unwrap();
        assert_eq!(told.issued["project_id"].expose_secret(), "made-1");
        known.extend(told.facts);
        assert!(grants.errand(view, &known).unwrap().is_none());
    });
}
