//! Answers of Google's APIs: an error's status is a word, and what to wait stands in its details.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{Seen, when};

/// Reads an answer.
pub fn google_like(status: StatusCode, headers: &HeaderMap, body_head: &[u8], now_ms: i64) -> Seen {
    let mut seen = Seen::read(status, headers, body_head, now_ms);
    if !status.is_success() {
        seen.retry_after_ms = seen.retry_after_ms.or_else(|| retry_delay(body_head));
    }
    seen
}

/// `error.details[].retryDelay` of a `google.rpc.RetryInfo`, milliseconds. Streams put the error into an array.
fn retry_delay(body: &[u8]) -> Option<i64> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let error = body.get(0).unwrap_or(&body).get("error")?;
    let details = error.get("details")?.as_array()?;
    details.iter().find_map(|detail| when::span(detail.get("retryDelay")?.as_str()?))
}
