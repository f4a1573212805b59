//! The first two are of AWS's own test suite (`get-vanilla`, `get-vanilla-query-order-key-case`); the others were made
//! with botocore.

use http::{HeaderName, HeaderValue};

use super::*;

fn signature(
    (method, uri): (&str, &str),
    (service, at): (&str, &str),
    headers: &[(&'static str, &str)],
    body: &[u8],
) -> String {
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let key = Key { id: "AKIDEXAMPLE", secret, region: "us-east-1", service };
    let time = Time::of(at.parse::<Timestamp>().unwrap().as_millisecond());
    let mut all: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    all.insert("x-amz-date", time.full.parse().unwrap());
    all.insert("user-agent", HeaderValue::from_static("not signed"));
    let (method, uri) = (method.parse().unwrap(), uri.parse().unwrap());
    let value = authorization(&key, &time, &method, &uri, &all, &Sha256::digest(body).into());
    value.rsplit('=').next().unwrap().to_owned()
}

const SUITE: (&str, &str) = ("service", "2015-08-30T12:36:00Z");
const BEDROCK: (&str, &str) = ("bedrock", "2026-11-28T12:00:00Z");
const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn of_the_published_suite() {
    assert_eq!(
        signature(("GET", "https://example.amazonaws.com/"), SUITE, &[], b""),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    );
    let ordered = ("GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1");
    assert_eq!(
        signature(ordered, SUITE, &[], b""),
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
    );
}

#[test]
fn a_models_path_is_escaped_once_more() {
    let at = |action: &str| {
        let model = escaped("us.anthropic.claude-sonnet-4-20250514-v1:0");
        format!("https://bedrock-runtime.us-east-1.amazonaws.com/model/{model}/{action}")
    };
    let (whole, stream) = (at("invoke"), at("invoke-with-response-stream"));
    let token = ("x-amz-security-token", "TOKEN/x==");
    for (uri, headers, expected) in [
        (&whole, &[JSON][..], "e94434a8a54776eb863e181cacd833c4a7d562c43a9f5acecf580b231892c07a"),
        (&whole, &[JSON, token], "0a4b063457362aabb23a60f11b485b30dcb0c5dba7e41dbc377887f43304805e"),
        (&stream, &[JSON], "25cb0274a3ef87a644b1f0f89f7de812f6c1227f75635bce02932744b5dcb6c9"),
        (&stream, &[JSON, token], "f1a5c08caaea90794bc84fdeed3e864ee8f9396de8d83106709f94d7bc5d6c7a"),
    ] {
        assert_eq!(signature(("POST", uri), BEDROCK, headers, br#"{"a":1}"#), expected);
    }
}
