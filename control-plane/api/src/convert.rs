//! What goes wrong, as gRPC says it: the only place in this crate where errors get codes and details.

use std::time::Duration;

use domain::Violations;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// Domain of the reasons in `ErrorInfo`.
pub const DOMAIN: &str = "claude-relay-service";

/// A refusal with a reason that programs can compare.
pub fn refusal(code: Code, reason: &str, message: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, DOMAIN, []);
    Status::with_error_details(code, message, details)
}

/// Values that were refused, field by field.
pub fn invalid(wrong: &Violations) -> Status {
    let fields: Vec<_> =
        wrong.0.iter().map(|one| FieldViolation::new(one.field.as_str(), one.description.as_str())).collect();
    let mut details = ErrorDetails::with_bad_request(fields);
    details.set_error_info("INVALID", DOMAIN, []);
    Status::with_error_details(Code::InvalidArgument, wrong.to_string(), details)
}

/// One value that was refused.
pub fn invalid_field(field: &str, description: impl Into<String>) -> Status {
    invalid(&Violations::one(field, description))
}

/// Something is not there.
pub fn not_found(kind: &str, id: &str) -> Status {
    refusal(Code::NotFound, "NOT_FOUND", &format!("there is no {kind} `{id}`"))
}

/// The call may be tried again after a while.
pub fn exhausted(reason: &str, message: &str, retry_after: Duration) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, []);
    details.set_retry_info(Some(retry_after));
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// Not now; the call may be tried again after a while.
pub fn unavailable(reason: &str, message: &str, retry_after: Duration) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, []);
    details.set_retry_info(Some(retry_after));
    Status::with_error_details(Code::Unavailable, message, details)
}

/// Nobody, or nobody that we know.
pub fn unauthenticated(reason: &str, message: &str) -> Status {
    refusal(Code::Unauthenticated, reason, message)
}

/// What went wrong with the store. Its own words stay in the log.
pub fn store(error: store::Error) -> Status {
    use store::Error;
    match error {
        Error::Conflict { kind, found: 0, .. } => {
            refusal(Code::Aborted, "GONE", &format!("the {kind} was deleted meanwhile"))
        }
        Error::Conflict { kind, .. } => {
            let message = format!("the {kind} was changed meanwhile; read it again and repeat the change");
            refusal(Code::Aborted, "STALE", &message)
        }
        Error::Duplicate { kind, index, .. } => {
            let what = if index == "secret" { "secret".to_owned() } else { index };
            refusal(Code::AlreadyExists, "DUPLICATE", &format!("another {kind} has this {what}"))
        }
        error if error.is_transient() => {
            tracing::warn!(%error, "the store did not serve");
            let message = "the store is not available; try again";
            unavailable("STORE_UNAVAILABLE", message, Duration::from_secs(1))
        }
        error => internal(&error),
    }
}

/// A fault of ours. What it is stays in the log.
pub fn internal(error: &dyn std::error::Error) -> Status {
    tracing::error!(%error, "a call failed");
    refusal(Code::Internal, "INTERNAL", "an internal error; the log tells more")
}
