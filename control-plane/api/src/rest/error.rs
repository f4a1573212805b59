//! Errors as JSON: a gRPC status with its details, and the HTTP status that stands for its code.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use prost::Message as _;
use serde_json::{Value, json};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt as _;

/// The HTTP status that stands for a code (the table of `google.rpc.Code`).
pub fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A code's name, as `google.rpc.Code` spells it.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// A status as JSON.
pub fn to_json(status: &Status, http: StatusCode) -> Value {
    json!({ "error": {
        "code": http.as_u16(),
        "status": code_name(status.code()),
        "message": status.message(),
        "details": details(status),
    }})
}

/// A status as a response.
pub fn response(status: &Status) -> Response<Body> {
    response_with(status, http_status(status.code()))
}

/// A status as a response with an HTTP status of its own.
pub fn response_with(status: &Status, http: StatusCode) -> Response<Body> {
    let mut response = json_response(http, &to_json(status, http));
    if let Some(seconds) = retry_after(status) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if http == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// JSON as a response.
pub fn json_response(http: StatusCode, value: &Value) -> Response<Body> {
    let body = Body::new(http_body_util::Full::new(Bytes::from(value.to_string())));
    let mut response = Response::new(body);
    *response.status_mut() = http;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// Whole seconds after which the call may be tried again, if the status says.
pub fn retry_after(status: &Status) -> Option<u64> {
    let delay = status.get_details_retry_info()?.retry_delay?;
    Some(delay.as_secs() + u64::from(delay.subsec_nanos() > 0))
}

fn details(status: &Status) -> Vec<Value> {
    let known = status.get_error_details();
    let mut details = Vec::new();
    let kind = |name: &str| format!("type.googleapis.com/google.rpc.{name}");
    if let Some(info) = known.error_info() {
        details.push(json!({
            "@type": kind("ErrorInfo"), "reason": info.reason, "domain": info.domain, "metadata": info.metadata,
        }));
    }
    if let Some(bad) = known.bad_request() {
        let fields: Vec<_> = bad
            .field_violations
            .iter()
            .map(|one| json!({ "field": one.field, "description": one.description }))
            .collect();
        details.push(json!({ "@type": kind("BadRequest"), "field_violations": fields }));
    }
    if let Some(delay) = known.retry_info().and_then(|info| info.retry_delay) {
        details
            .push(json!({ "@type": kind("RetryInfo"), "retry_delay": format!("{}s", delay.as_secs_f64()) }));
    }
    if details.is_empty() {
        details.extend(unknown(status));
    }
    details
}

/// Details of types that this release does not know, as they came.
fn unknown(status: &Status) -> Vec<Value> {
    let Ok(whole) = tonic_types::pb::Status::decode(status.details()) else { return Vec::new() };
    let one = |any: prost_types::Any| json!({ "@type": any.type_url, "value": BASE64.encode(any.value) });
    whole.details.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_status_becomes_json_with_its_details() {
        let mut details = ErrorDetails::with_bad_request_violation("name", "must not be empty");
        details.set_error_info("INVALID", "crs", [("a".to_owned(), "b".to_owned())]);
        details.set_retry_info(Some(Duration::from_millis(1500)));
        let status = Status::with_error_details(Code::ResourceExhausted, "too much", details);
        let response = response(&status);
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "2");
        let json = to_json(&status, response.status());
        assert_eq!(json["error"]["status"], "RESOURCE_EXHAUSTED");
        assert_eq!(json["error"]["details"][0]["reason"], "INVALID");
        assert_eq!(json["error"]["details"][1]["field_violations"][0]["field"], "name");
        assert_eq!(json["error"]["details"][2]["retry_delay"], "1.5s");
    }
}
