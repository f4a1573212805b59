//! Our own refusals and failures, in the shape that each dialect's clients read. The relay's `respond` step calls it;
//! which status a failure gets is decided there and in `proto::rules::failure`, not here.

mod shape;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;

use crate::Dialect;

/// What kind of problem it is. Each dialect has its own words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is malformed or asks for what cannot be.
    InvalidRequest,
    /// The relay key is missing, unknown, disabled or expired.
    Authentication,
    /// The key's budget is used up.
    Billing,
    /// The key may not do this.
    Permission,
    /// There is no such path or thing.
    NotFound,
    /// The path is part of the surface, but not of this release.
    NotServed,
    /// The path knows another method.
    MethodNotAllowed,
    /// The client took too long to send its request.
    RequestTimeout,
    /// The body is larger than allowed.
    RequestTooLarge,
    /// A WebSocket upgrade, which is not relayed.
    UpgradeRequired,
    /// A limit on requests, tokens or concurrency is reached; or every account is at the upstream's.
    RateLimit,
    /// A fault of ours or of the upstream.
    Api,
    /// The upstream broke off or sent what it should not.
    BadGateway,
    /// There is no account, or the node cannot take more now.
    Unavailable,
    /// The upstream took too long.
    Timeout,
    /// The upstream is over capacity.
    Overloaded,
}

impl Kind {
    /// The status that goes with it when nothing else is decided.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Authentication => StatusCode::UNAUTHORIZED,
            Self::Billing => StatusCode::PAYMENT_REQUIRED,
            Self::Permission => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotServed => StatusCode::NOT_IMPLEMENTED,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            Self::RateLimit => StatusCode::TOO_MANY_REQUESTS,
            Self::Api => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Overloaded => match StatusCode::from_u16(529) {
                Ok(status) => status,
                Err(_) => StatusCode::SERVICE_UNAVAILABLE,
            },
        }
    }

    /// Whether the same request can succeed by waiting. Where it cannot, clients are told so in
    /// [`SHOULD_RETRY`]: otherwise some repeat a 401 eleven times.
    pub const fn waiting_helps(self) -> bool {
        matches!(
            self,
            Self::RequestTimeout
                | Self::RateLimit
                | Self::Api
                | Self::BadGateway
                | Self::Unavailable
                | Self::Timeout
                | Self::Overloaded
        )
    }
}

/// No message is kept longer than this.
pub(crate) const MAX_MESSAGE: usize = 1024;

/// What an upstream's error body or event says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its type, status or code in words, whichever its dialect has.
    pub error_type: Option<String>,
    /// Its message, or what stands in its place; at most 1 KiB.
    pub message: Option<String>,
}

/// A text that is not too long to be kept.
pub(crate) fn bounded(mut text: String) -> String {
    if text.len() > MAX_MESSAGE {
        let end = (0..=MAX_MESSAGE).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// The header that Anthropic's and OpenAI's clients heed before their own rules; its value is `true` or `false`.
pub const SHOULD_RETRY: &str = "x-should-retry";

/// A refusal or failure to tell the client of.
#[derive(Clone, Debug)]
pub struct Problem<'a> {
    /// HTTP status; [`Kind::status`] when nothing else is decided.
    pub status: StatusCode,
    /// What kind it is.
    pub kind: Kind,
    /// For people. Without secrets and without what the client wrote.
    pub message: Cow<'a, str>,
    /// The id under which the request is recorded; empty: none yet.
    pub request_id: &'a str,
    /// A machine-readable reason, such as `daily_cost_limit_exceeded`, where a dialect has a place for it.
    pub code: Option<&'a str>,
    /// How long to wait, where waiting helps: Gemini's clients read it from the body. Milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl<'a> Problem<'a> {
    /// A problem with its kind's own status.
    pub fn new(kind: Kind, message: impl Into<Cow<'a, str>>, request_id: &'a str) -> Self {
        let (message, status) = (message.into(), kind.status());
        Self { status, kind, message, request_id, code: None, retry_after_ms: None }
    }

    /// The same with another status.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with a machine-readable reason.
    #[must_use]
    pub fn code(mut self, code: &'a str) -> Self {
        self.code = Some(code);
        self
    }

    /// The same with a time to wait.
    #[must_use]
    pub fn retry_after_ms(mut self, wait: u64) -> Self {
        self.retry_after_ms = Some(wait);
        self
    }
}

/// Status, content type and body of an answer that tells of the problem.
pub fn body(dialect: Dialect, problem: &Problem<'_>) -> (StatusCode, &'static str, Bytes) {
    (problem.status, "application/json", shape::body(dialect, problem).into())
}

/// The last event of a stream that broke off: what makes a client see that it did. Nothing may follow it.
pub fn stream_event(dialect: Dialect, problem: &Problem<'_>) -> Bytes {
    let json = match dialect {
        Dialect::OpenaiResponses => shape::responses_event(problem),
        _ => shape::body(dialect, problem),
    };
    match dialect {
        Dialect::AnthropicMessages | Dialect::OpenaiResponses => {
            format!("event: error\ndata: {json}\n\n").into()
        }
        Dialect::OpenaiChat | Dialect::Gemini => format!("data: {json}\n\n").into(),
    }
}

/// The last element of a stream that is a JSON array: Gemini's, where no server-sent events were asked for.
pub fn array_element(problem: &Problem<'_>, is_first: bool) -> Bytes {
    let json = shape::body(Dialect::Gemini, problem);
    if is_first { format!("{json}]") } else { format!(",{json}]") }.into()
}
