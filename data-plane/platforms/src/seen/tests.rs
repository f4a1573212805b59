use http::{HeaderName, HeaderValue};

use super::*;

const NOW: i64 = 1_790_000_000_000;

fn seen(status: u16, headers: &[(&'static str, &str)], body: &str) -> Seen {
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    anthropic_like(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), NOW)
}

#[test]
fn bodies_of_all_kinds() {
    for (body, kind, message) in [
        (
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            Some("overloaded_error"),
            Some("Overloaded"),
        ),
        (
            r#"{"error":{"message":"m","type":null,"code":"insufficient_quota"}}"#,
            Some("insufficient_quota"),
            Some("m"),
        ),
        (
            r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}"#,
            Some("RESOURCE_EXHAUSTED"),
            Some("m"),
        ),
        (r#"{"error":"invalid token","message":"other"}"#, None, Some("invalid token")),
        (r#"{"code":"E001","message":"m"}"#, Some("E001"), Some("m")),
        (r#"{"detail":"m"}"#, None, Some("m")),
        (r#"{"error":{"type":"api_error","message":"m"},"more":"cut o"#, Some("api_error"), Some("m")),
        ("\n<html>\n<h1>502</h1>", None, Some("<html>")),
        ("upstream connect error", None, Some("upstream connect error")),
        ("", None, None),
        ("{}", None, None),
    ] {
        let seen = seen(500, &[], body);
        assert_eq!((seen.error_type.as_deref(), seen.error_message.as_deref()), (kind, message), "{body}");
    }
    assert_eq!(seen(200, &[], r#"{"error":"x"}"#).error_message, None, "a success has no error body");
    let long = seen(500, &[], &"é".repeat(2000)).error_message.unwrap();
    assert!(long.len() <= 1024);
}

#[test]
fn times_to_wait() {
    for (headers, wait) in [
        (&[("retry-after", "7")][..], Some(7000)),
        (&[("retry-after", "0.5")], Some(500)),
        (&[("retry-after", "7"), ("retry-after-ms", "1500")], Some(1500)),
        (&[("retry-after", "Mon, 21 Sep 2026 14:13:30 GMT")], Some(10_000)),
        (&[("retry-after", "Mon, 21 Sep 2020 14:13:30 GMT")], Some(0)),
        (&[("retry-after", "soon")], None),
        (&[("retry-after", "-3")], None),
        (
            &[
                ("anthropic-ratelimit-requests-remaining", "3"),
                ("anthropic-ratelimit-requests-reset", "2026-09-21T14:15:00Z"),
                ("anthropic-ratelimit-input-tokens-remaining", "0"),
                ("anthropic-ratelimit-input-tokens-reset", "2026-09-21T14:13:50Z"),
            ],
            Some(30_000),
        ),
    ] {
        assert_eq!(seen(429, headers, "").retry_after_ms, wait, "{headers:?}");
    }
}

#[test]
fn the_windows_start_is_in_epoch_seconds_and_counts_with_429_only() {
    let reset = [("anthropic-ratelimit-unified-reset", "1790003600")];
    assert_eq!(seen(429, &reset, "").reset_at_ms, Some(NOW + 3_600_000));
    assert_eq!(seen(200, &reset, "").reset_at_ms, None);
    let stamp = [("anthropic-ratelimit-unified-reset", "2026-09-21T15:13:20Z")];
    assert_eq!(seen(429, &stamp, "").reset_at_ms, Some(NOW + 3_600_000));
}

#[test]
fn a_family_is_named_by_the_claim_or_the_message() {
    let claim = [("anthropic-ratelimit-unified-representative-claim", "seven_day_opus")];
    assert_eq!(seen(429, &claim, "").family.as_deref(), Some("opus"));
    let plain = [("anthropic-ratelimit-unified-representative-claim", "five_hour")];
    assert_eq!(seen(429, &plain, "").family, None);
    let body = r#"{"error":{"type":"rate_limit_error","message":"limit of 8,000 output tokens (model: claude-sonnet-5-5)."}}"#;
    assert_eq!(seen(429, &[], body).family.as_deref(), Some("sonnet"));
    let first = Seen::default().with_error("rate_limit_error".into(), "for claude-opus-5-5: wait".into());
    assert_eq!(first.family.as_deref(), Some("opus"));
}
