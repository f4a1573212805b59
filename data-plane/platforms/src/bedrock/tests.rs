use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dialects::framing::aws_event_stream::encode;

use super::*;
use crate::recorded;

#[test]
fn recorded_pairs() {
    recorded::check(&Bedrock, "bedrock");
}

fn credentials(pairs: &[(&str, &str)]) -> Credentials {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
}

fn sent(pairs: &[(&str, &str)], model: &str) -> String {
    let (credentials, mapping) =
        (credentials(pairs), BTreeMap::from([("fast".to_owned(), "claude-haiku-4-5".to_owned())]));
    let view =
        AccountView { base_url: "", credentials: &credentials, user_agent: "", model_mapping: &mapping };
    Bedrock.model_sent(&view, model)
}

#[test]
fn models_have_ids_of_their_own() {
    for (model, id) in [
        ("claude-sonnet-4-5-20250929", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("claude-opus-4-5", "us.anthropic.claude-opus-4-5-20251101-v1:0"),
        ("claude-3-5-sonnet-20241022", "us.anthropic.claude-3-5-sonnet-20241022-v2:0"),
        ("claude-opus-4-6", "us.anthropic.claude-opus-4-6-v1"),
        ("claude-opus-5-5", "us.anthropic.claude-opus-5-5"),
        ("claude-sonnet-4-5[1m]", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("fast", "us.anthropic.claude-haiku-4-5-20251001-v1:0"),
        ("eu.anthropic.claude-x-v1:0", "eu.anthropic.claude-x-v1:0"),
        ("arn:aws:bedrock:eu:1:inference-profile/x", "arn:aws:bedrock:eu:1:inference-profile/x"),
    ] {
        assert_eq!(sent(&[], model), id);
    }
    let of_region = |region| sent(&[("region", region)], "claude-opus-5-5");
    assert_eq!(of_region("eu-west-3"), "eu.anthropic.claude-opus-5-5");
    assert_eq!(of_region("ap-northeast-1"), "apac.anthropic.claude-opus-5-5");
    assert_eq!(of_region("us-gov-west-1"), "us-gov.anthropic.claude-opus-5-5");
    let profile = |name| sent(&[("inference_profile", name)], "claude-opus-5-5");
    assert_eq!(profile("global"), "global.anthropic.claude-opus-5-5");
    assert_eq!(profile("none"), "anthropic.claude-opus-5-5");
}

#[test]
fn an_account_brings_one_kind_of_credential_whole() {
    let wrong = |pairs: &[(&str, &str)]| {
        let wrong = Bedrock.check(&credentials(pairs), "").err().unwrap_or_default();
        wrong.into_iter().map(|one| one.field).collect::<Vec<_>>()
    };
    assert!(wrong(&[("api_key", "k")]).is_empty());
    assert!(wrong(&[("access_key_id", "a"), ("secret_access_key", "s"), ("region", "eu-west-1")]).is_empty());
    assert_eq!(wrong(&[]), ["credentials.api_key"]);
    assert_eq!(wrong(&[("access_key_id", "a")]), ["credentials.secret_access_key"]);
    assert_eq!(wrong(&[("secret_access_key", "a")]), ["credentials.access_key_id"]);
    assert_eq!(wrong(&[("api_key", "k"), ("region", "evil.example/")]), ["credentials.region"]);
}

/// What a client gets of a stream, cut into pieces of a size.
fn unwrapped(bytes: &[u8], step: usize) -> Result<String, crate::NotWrapped> {
    let headers = HeaderMap::from_iter([(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/vnd.amazon.eventstream"),
    )]);
    let mut unwrap = Bedrock.unwrap(StatusCode::OK, &headers).unwrap();
    assert_eq!(unwrap.content_type(), "text/event-stream; charset=utf-8");
    let mut out = Vec::new();
    for piece in bytes.chunks(step) {
        unwrap.push(piece, &mut out)?;
    }
    unwrap.finish(&mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn chunk(event: &str) -> Vec<u8> {
    let payload = serde_json::json!({ "bytes": STANDARD.encode(event), "p": "abcdef" }).to_string();
    encode(&[(":event-type", "chunk"), (":message-type", "event")], payload.as_bytes())
}

#[test]
fn a_stream_becomes_the_events_that_it_holds() {
    let (start, stop) = (r#"{"type":"message_start","message":{}}"#, r#"{"type":"message_stop"}"#);
    let thrown = encode(
        &[(":exception-type", "throttlingException"), (":message-type", "exception")],
        br#"{"message":"Too many tokens"}"#,
    );
    let bytes = [chunk(start), chunk(stop), thrown].concat();
    let expected = format!(
        "event: message_start\ndata: {start}\n\nevent: message_stop\ndata: {stop}\n\nevent: error\ndata: {}\n\n",
        r#"{"error":{"message":"Too many tokens","type":"rate_limit_error"},"type":"error"}"#
    );
    for step in 1..=bytes.len() {
        assert_eq!(unwrapped(&bytes, step).unwrap(), expected);
    }
    assert!(unwrapped(&bytes[..bytes.len() - 1], 50).is_err());
    assert!(unwrapped(&chunk("{\"type\":\n\"x\"}"), 50).is_err());
    assert!(unwrapped(&chunk("no JSON"), 50).is_err());
}

#[test]
fn an_error_has_the_shape_that_clients_read() {
    let headers = HeaderMap::from_iter([(
        "x-amzn-errortype".parse().unwrap(),
        "ValidationException:http://internal.amazon.com/".parse().unwrap(),
    )]);
    let mut unwrap = Bedrock.unwrap(StatusCode::BAD_REQUEST, &headers).unwrap();
    let mut out = Vec::new();
    unwrap.push(br#"{"message":"max_tokens: "#, &mut out).unwrap();
    unwrap.push(br#"too large"}"#, &mut out).unwrap();
    unwrap.finish(&mut out).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(body["error"]["type"], "invalid_request_error");
    assert_eq!(body["error"]["message"], "max_tokens: too large");
    assert!(Bedrock.unwrap(StatusCode::OK, &HeaderMap::new()).is_none());
}

#[test]
fn a_probe_is_signed_too() {
    let credentials = credentials(&[("access_key_id", "AKID"), ("secret_access_key", "secret-key")]);
    let mapping = BTreeMap::new();
    let view =
        AccountView { base_url: "", credentials: &credentials, user_agent: "", model_mapping: &mapping };
    let mut probe = Bedrock.probe(&view, "claude-haiku-4-5", 0).unwrap();
    assert!(probe.to_sign);
    Bedrock.sign(&view, &mut probe, &[0; 32], 0).unwrap();
    let value = probe.headers["authorization"].to_str().unwrap();
    assert!(value.starts_with("AWS4-HMAC-SHA256 Credential=AKID/19700101/us-east-1/bedrock/aws4_request,"));
    assert!(probe.headers["authorization"].is_sensitive());
}
