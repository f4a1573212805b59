//! Answers of upstreams that speak OpenAI's API, or nearly; Azure among them.

use http::{HeaderMap, StatusCode};

use super::{Seen, text, when};

/// Reads an answer.
pub fn openai_like(status: StatusCode, headers: &HeaderMap, body_head: &[u8], now_ms: i64) -> Seen {
    let mut seen = Seen::read(status, headers, body_head, now_ms);
    if status == StatusCode::TOO_MANY_REQUESTS {
        seen.retry_after_ms = seen.retry_after_ms.or_else(|| exhausted(headers));
    }
    seen
}

/// Until when the emptiest of the per-minute buckets refills, where one is empty. Milliseconds from now.
fn exhausted(headers: &HeaderMap) -> Option<i64> {
    ["requests", "tokens"]
        .iter()
        .filter(|bucket| text(headers, &format!("x-ratelimit-remaining-{bucket}")) == Some("0"))
        .filter_map(|bucket| when::span(text(headers, &format!("x-ratelimit-reset-{bucket}"))?))
        .max()
}
