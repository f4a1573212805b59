//! Times in headers: how long to wait, and when a window starts anew.

use http::HeaderMap;
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};

use super::text;

/// `retry-after-ms`, else `retry-after` in seconds (fractions too) or as a date. Milliseconds from now, never negative.
pub(super) fn retry_after(headers: &HeaderMap, now_ms: i64) -> Option<i64> {
    let whole = |ms: f64| (ms.is_finite() && ms >= 0.0).then(|| ms.min(1e15).ceil() as i64);
    if let Some(ms) = text(headers, "retry-after-ms").and_then(|ms| ms.parse().ok()).and_then(whole) {
        return Some(ms);
    }
    let value = text(headers, "retry-after")?;
    if let Ok(seconds) = value.parse::<f64>() {
        return whole(seconds * 1000.0);
    }
    Some(http_date(value)?.saturating_sub(now_ms).max(0))
}

/// When the account's window starts anew: Unix seconds, or a timestamp.
pub(super) fn unified_reset(headers: &HeaderMap) -> Option<i64> {
    let value = text(headers, "anthropic-ratelimit-unified-reset")?;
    value.parse::<i64>().ok().map(|seconds| seconds.saturating_mul(1000)).or_else(|| timestamp(value))
}

/// Until when the emptiest of the per-minute buckets refills, where one is empty. Milliseconds from now.
pub(super) fn exhausted_bucket(headers: &HeaderMap, now_ms: i64) -> Option<i64> {
    ["requests", "tokens", "input-tokens", "output-tokens"]
        .iter()
        .filter(|bucket| text(headers, &format!("anthropic-ratelimit-{bucket}-remaining")) == Some("0"))
        .filter_map(|bucket| timestamp(text(headers, &format!("anthropic-ratelimit-{bucket}-reset"))?))
        .map(|at| at.saturating_sub(now_ms).max(0))
        .max()
}

/// RFC 3339, in Unix milliseconds.
fn timestamp(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// An HTTP date (RFC 9110, section 5.6.7; the form in use), in Unix milliseconds.
fn http_date(text: &str) -> Option<i64> {
    DateTimeParser::new().parse_timestamp(text).ok().map(Timestamp::as_millisecond)
}
