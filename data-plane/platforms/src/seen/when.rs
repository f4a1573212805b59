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
    instant(text(headers, "anthropic-ratelimit-unified-reset")?)
}

/// Unix seconds, or a timestamp, in Unix milliseconds.
pub(super) fn instant(value: &str) -> Option<i64> {
    value.parse::<i64>().ok().map(|seconds| seconds.saturating_mul(1000)).or_else(|| timestamp(value))
}

/// A span such as `6m0s`, `1.5s` or `120ms`, in milliseconds; a number alone is seconds.
pub(super) fn span(text: &str) -> Option<i64> {
    let (mut total, mut rest) = (0.0, text.trim());
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        total += number
            * match &rest[..letters] {
                "ms" => 1.0,
                "s" | "" => 1_000.0,
                "m" => 60_000.0,
                "h" => 3_600_000.0,
                "d" => 86_400_000.0,
                _ => return None,
            };
        rest = &rest[letters..];
    }
    (!text.trim().is_empty() && total.is_finite()).then(|| total.min(1e15).ceil() as i64)
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

#[cfg(test)]
mod tests {
    #[test]
    fn spans_of_all_forms() {
        let read = super::span;
        assert_eq!((read("6m0s"), read("1.5s"), read("120ms")), (Some(360_000), Some(1_500), Some(120)));
        assert_eq!(
            (read("34"), read("1d2h"), read("34.07s")),
            (Some(34_000), Some(93_600_000), Some(34_070))
        );
        assert_eq!((read(""), read("s"), read("5 parsecs"), read("1é")), (None, None, None, None));
    }
}
