//! What can go wrong, in the caller's terms.

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is no `http://` or `https://` address with a host.
    #[error("{0:?} is no address; write it as http://host:4000")]
    Address(String),
    /// The token has characters that no token has.
    #[error("the token is malformed")]
    Token,
    /// Nobody answers there.
    #[error("the control plane cannot be reached: {0}")]
    Unreachable(String),
    /// It answers, but cannot serve for now: its store is away, say.
    #[error("{0}")]
    Unavailable(String),
    /// Not logged in, or the login has ended.
    #[error("not logged in: {0}")]
    Unauthenticated(String),
    /// Logged in, but not allowed.
    #[error("not allowed: {0}")]
    Refused(String),
    /// There is no such thing.
    #[error("not found: {0}")]
    NotFound(String),
    /// Someone else changed it in between, or it exists already.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The request is wrong.
    #[error("{message}")]
    Invalid {
        /// In one sentence.
        message: String,
        /// Field by field.
        violations: Vec<Violation>,
    },
    /// Not as things stand: something else has to be done first.
    #[error("{0}")]
    Precondition(String),
    /// Too much of it, such as failed logins.
    #[error("{message}")]
    Throttled {
        /// In one sentence.
        message: String,
        /// Seconds after which it may be tried again, where the server says.
        retry_after_s: Option<u64>,
    },
    /// Anything else.
    #[error("{message} ({code:?})")]
    Other {
        /// gRPC's code.
        code: Code,
        /// In one sentence.
        message: String,
    },
}

/// One field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its path.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        // What tonic says of an answer that is not gRPC at all; it has no code of its own for it.
        if message.contains("while receiving response with status:") {
            return Self::Unreachable("what answers there is no control plane".into());
        }
        match status.code() {
            // Only the service itself gives a reason with it; the transport has none.
            Code::Unavailable if status.get_details_error_info().is_some() => Self::Unavailable(message),
            Code::Unavailable | Code::DeadlineExceeded => Self::Unreachable(message),
            // The transport's own failures come as `Unknown` with a source; the server's never do.
            Code::Unknown if std::error::Error::source(&status).is_some() => Self::Unreachable(message),
            Code::Unauthenticated => Self::Unauthenticated(message),
            Code::PermissionDenied => Self::Refused(message),
            Code::NotFound => Self::NotFound(message),
            Code::Aborted | Code::AlreadyExists => Self::Conflict(message),
            Code::InvalidArgument => {
                let violations = status.get_details_bad_request().map_or_else(Vec::new, |details| {
                    let violation = |v: tonic_types::FieldViolation| Violation {
                        field: v.field,
                        description: v.description,
                    };
                    details.field_violations.into_iter().map(violation).collect()
                });
                Self::Invalid { message, violations }
            }
            Code::FailedPrecondition => Self::Precondition(message),
            Code::ResourceExhausted => {
                let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
                let retry_after_s = delay.map(|delay| delay.as_millis().div_ceil(1000) as u64);
                Self::Throttled { message, retry_after_s }
            }
            code => Self::Other { code, message },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_kinds() {
        assert!(matches!(Error::from(Status::unavailable("x")), Error::Unreachable(_)));
        let reason = tonic_types::ErrorDetails::with_error_info("STORE", "x", []);
        let answered = Status::with_error_details(Code::Unavailable, "x", reason);
        assert!(matches!(Error::from(answered), Error::Unavailable(_)));
        assert!(matches!(Error::from(Status::permission_denied("x")), Error::Refused(_)));
        assert!(matches!(Error::from(Status::aborted("x")), Error::Conflict(_)));
        assert!(matches!(Error::from(Status::unknown("x")), Error::Other { code: Code::Unknown, .. }));
        assert!(matches!(Error::from(Status::failed_precondition("x")), Error::Precondition(_)));
    }

    #[test]
    fn how_long_to_wait_is_told() {
        let delay = Some(std::time::Duration::from_millis(1_200));
        let details = tonic_types::ErrorDetails::with_retry_info(delay);
        let status = Status::with_error_details(Code::ResourceExhausted, "x", details);
        assert!(matches!(Error::from(status), Error::Throttled { retry_after_s: Some(2), .. }));
        let bare = Error::from(Status::resource_exhausted("x"));
        assert!(matches!(bare, Error::Throttled { retry_after_s: None, .. }));
    }
}
