//! The JSON of problems, dialect by dialect.

use serde_json::{Value, json};

use super::{Kind, Problem};
use crate::Dialect;

pub(super) fn body(dialect: Dialect, problem: &Problem<'_>) -> String {
    match dialect {
        Dialect::AnthropicMessages => anthropic(problem),
        Dialect::OpenaiChat | Dialect::OpenaiResponses => openai(problem),
        Dialect::Gemini => gemini(problem),
    }
    .to_string()
}

fn anthropic(problem: &Problem<'_>) -> Value {
    let mut body = json!({
        "type": "error",
        "error": { "type": anthropic_type(problem.kind), "message": problem.message },
    });
    if let Some(code) = problem.code {
        body["error"]["code"] = code.into();
    }
    if !problem.request_id.is_empty() {
        body["request_id"] = problem.request_id.into();
    }
    body
}

/// Anthropic's word for a kind of problem.
pub(crate) const fn anthropic_type(kind: Kind) -> &'static str {
    match kind {
        Kind::InvalidRequest | Kind::MethodNotAllowed | Kind::RequestTimeout | Kind::UpgradeRequired => {
            "invalid_request_error"
        }
        Kind::Authentication => "authentication_error",
        Kind::Billing => "billing_error",
        Kind::Permission => "permission_error",
        Kind::NotFound | Kind::NotServed => "not_found_error",
        Kind::RequestTooLarge => "request_too_large",
        Kind::RateLimit => "rate_limit_error",
        Kind::Api | Kind::BadGateway | Kind::Unavailable => "api_error",
        Kind::Timeout => "timeout_error",
        Kind::Overloaded => "overloaded_error",
    }
}

fn openai(problem: &Problem<'_>) -> Value {
    let (kind, code) = openai_words(problem.kind);
    json!({ "error": {
        "message": problem.message,
        "type": kind,
        "param": null,
        "code": problem.code.unwrap_or(code),
    } })
}

/// OpenAI's `type` and `code`. `insufficient_quota` is what its clients give up on at once.
const fn openai_words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::InvalidRequest => ("invalid_request_error", "invalid_request"),
        Kind::Authentication => ("invalid_request_error", "invalid_api_key"),
        Kind::Billing => ("insufficient_quota", "insufficient_quota"),
        Kind::Permission => ("permission_denied", "permission_denied"),
        Kind::NotFound => ("invalid_request_error", "not_found"),
        Kind::NotServed => ("invalid_request_error", "not_available"),
        Kind::MethodNotAllowed => ("invalid_request_error", "method_not_allowed"),
        Kind::RequestTimeout => ("invalid_request_error", "request_timeout"),
        Kind::RequestTooLarge => ("invalid_request_error", "request_too_large"),
        Kind::UpgradeRequired => ("invalid_request_error", "upgrade_required"),
        Kind::RateLimit => ("rate_limit_error", "rate_limit_exceeded"),
        Kind::Api => ("server_error", "internal_error"),
        Kind::BadGateway => ("server_error", "bad_gateway"),
        Kind::Unavailable => ("server_error", "service_unavailable"),
        Kind::Timeout => ("server_error", "timeout"),
        Kind::Overloaded => ("server_error", "overloaded"),
    }
}

pub(super) fn responses_event(problem: &Problem<'_>) -> String {
    let (_, code) = openai_words(problem.kind);
    json!({
        "type": "error",
        "code": problem.code.unwrap_or(code),
        "message": problem.message,
        "param": null,
    })
    .to_string()
}

fn gemini(problem: &Problem<'_>) -> Value {
    let mut error = json!({
        "code": problem.status.as_u16(),
        "message": problem.message,
        "status": gemini_status(problem.kind),
    });
    if let Some(wait) = problem.retry_after_ms {
        error["details"] = json!([{
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", wait as f64 / 1000.0),
        }]);
    }
    json!({ "error": error })
}

const fn gemini_status(kind: Kind) -> &'static str {
    match kind {
        Kind::InvalidRequest | Kind::RequestTooLarge => "INVALID_ARGUMENT",
        Kind::Authentication => "UNAUTHENTICATED",
        Kind::Permission => "PERMISSION_DENIED",
        Kind::NotFound => "NOT_FOUND",
        Kind::NotServed | Kind::MethodNotAllowed | Kind::UpgradeRequired => "UNIMPLEMENTED",
        Kind::Billing | Kind::RateLimit => "RESOURCE_EXHAUSTED",
        Kind::Api | Kind::BadGateway => "INTERNAL",
        Kind::Unavailable | Kind::Overloaded => "UNAVAILABLE",
        Kind::RequestTimeout | Kind::Timeout => "DEADLINE_EXCEEDED",
    }
}
