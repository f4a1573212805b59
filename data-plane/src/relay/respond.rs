//! What a client is answered: our own answers and refusals in its dialect's shape, with the headers that every answer
//! carries. Bodies of our own exist nowhere else.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use dialects::{
    Dialect,
    error::{self, Problem, SHOULD_RETRY},
    framing::Framing,
    tap::Boundary,
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER},
};
use http_body::{Frame, SizeHint};

use super::{
    error::{Bounded, Refusal, Retry},
    stream::Relayed,
};

/// The header under which every answer tells its request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// The same under the name that OpenAI's clients know.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// `retry-after` in milliseconds, which Anthropic's and OpenAI's clients heed first.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// An answer's body.
pub enum Body {
    /// One piece of our own, or none.
    Own(Option<Bytes>),
    /// An upstream's.
    Relayed(Box<Relayed>),
}

/// The answer breaks off here: the connection is reset, so that the client sees it.
#[derive(Debug, thiserror::Error)]
#[error("the upstream broke off")]
pub struct BrokeOff;

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        match self.get_mut() {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Relayed(relayed) => relayed.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Relayed(relayed) => relayed.ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Relayed(relayed) => relayed.size_hint(),
        }
    }
}

/// A JSON answer of our own.
pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    typed(status, "application/json", body.into())
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Own(None));
    *response.status_mut() = status;
    response
}

fn typed(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::Own(Some(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A refusal or final failure in the client's dialect.
pub fn refusal(dialect: Dialect, refusal: &Refusal, request_id: &str) -> Response<Body> {
    let problem = problem(refusal, request_id);
    let (status, content_type, body) = error::body(dialect, &problem);
    let mut response = typed(status, content_type, body);
    let headers = response.headers_mut();
    if let Retry::Later(wait_ms) = refusal.retry {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1000)));
        headers.insert(RETRY_AFTER_MS, HeaderValue::from(wait_ms));
    }
    if let Some(bounded) = &refusal.bounded {
        tell_limit(headers, dialect, bounded, process::clock::unix_ms());
    }
    if !refusal.waiting_helps() {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    if refusal.close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The limit that is used up, in the headers of the dialect's own convention; Gemini has none.
fn tell_limit(headers: &mut HeaderMap, dialect: Dialect, bounded: &Bounded, now_ms: i64) {
    let Bounded { what, limit, resets_in_ms } = *bounded;
    let mut set = |name: String, value: String| {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    };
    match dialect {
        Dialect::AnthropicMessages => {
            let at_ms = now_ms.saturating_add_unsigned(resets_in_ms);
            set(format!("anthropic-ratelimit-{what}-limit"), limit.to_string());
            set(format!("anthropic-ratelimit-{what}-remaining"), "0".into());
            if let Ok(at) = jiff::Timestamp::from_second(at_ms.div_euclid(1000) + 1) {
                set(format!("anthropic-ratelimit-{what}-reset"), at.to_string());
            }
        }
        Dialect::OpenaiChat | Dialect::OpenaiResponses => {
            set(format!("x-ratelimit-limit-{what}"), limit.to_string());
            set(format!("x-ratelimit-remaining-{what}"), "0".into());
            set(format!("x-ratelimit-reset-{what}"), format!("{}s", resets_in_ms.div_ceil(1000)));
        }
        _ => {}
    }
}

/// The bytes of an answer of our own; none of an upstream's.
pub fn own_bytes(body: &Body) -> &[u8] {
    match body {
        Body::Own(Some(bytes)) => bytes,
        _ => &[],
    }
}

/// The same as the last event of a stream that has begun and come to this place; none where it cannot be told there.
pub fn last_event(
    dialect: Dialect,
    framing: Framing,
    place: Boundary,
    refusal: &Refusal,
    request_id: &str,
) -> Option<Bytes> {
    let problem = problem(refusal, request_id);
    match (framing, place) {
        (Framing::Document, _) | (Framing::JsonArray, Boundary::Within) => None,
        (Framing::JsonArray, place) => Some(error::array_element(&problem, place == Boundary::Start)),
        (Framing::Sse, _) => Some(error::stream_event(dialect, &problem)),
    }
}

fn problem<'a>(refusal: &'a Refusal, request_id: &'a str) -> Problem<'a> {
    let mut problem = Problem::new(refusal.kind, refusal.message.as_ref(), request_id).status(refusal.status);
    problem.code = refusal.code;
    if let Retry::Later(wait_ms) = refusal.retry {
        problem.retry_after_ms = Some(wait_ms);
    }
    problem
}

#[cfg(test)]
mod tests {
    use dialects::error::Kind;

    use super::*;
    use crate::metrics::Reason;

    #[test]
    fn a_refusal_says_whether_and_when_to_come_back() {
        let limit = Refusal::new(Kind::RateLimit, Reason::Limit, "enough").later(1_500);
        let response = refusal(Dialect::AnthropicMessages, &limit, "req_1");
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["retry-after-ms"], "1500");
        assert!(!response.headers().contains_key("x-should-retry"));
        let bounded = Bounded { what: "tokens", limit: 70, resets_in_ms: 1_500 };
        let limit = Refusal { bounded: Some(bounded), ..limit };
        let response = refusal(Dialect::AnthropicMessages, &limit, "req_1");
        assert_eq!(response.headers()["anthropic-ratelimit-tokens-limit"], "70");
        assert!(response.headers()["anthropic-ratelimit-tokens-reset"].to_str().unwrap().ends_with('Z'));
        let response = refusal(Dialect::OpenaiChat, &limit, "req_1");
        assert_eq!(response.headers()["x-ratelimit-reset-tokens"], "2s");
        let key = Refusal::new(Kind::Authentication, Reason::Key, "no").closing();
        let response = refusal(Dialect::AnthropicMessages, &key, "req_1");
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["x-should-retry"], "false");
        assert_eq!(response.headers()["connection"], "close");
        assert!(!response.headers().contains_key("retry-after"));
    }
}
