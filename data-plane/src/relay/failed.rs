//! A failed attempt, and what the client is told if no other account is left.

use std::{borrow::Cow, sync::Arc};

use dialects::error::Kind;
use http::StatusCode;
use platforms::Seen;
use proto::rules::{
    failure,
    verdict::{Retry, Verdict},
};

use snapshot::Account;

use super::error::Refusal;

/// An account whose token was refused, and what that says of it if no fresh one helps.
pub type Refused = (Arc<Account>, Verdict);

/// A failed attempt.
#[derive(Debug)]
pub struct Failure {
    /// What the client is told if it was the last.
    pub refusal: Refusal,
    /// Whether another account may do better.
    pub retry: bool,
    /// Whether only a kept connection died: the same account may be asked again, once.
    pub stale: bool,
    /// The account whose token was refused, which a fresh one may put right; nothing is held against it yet.
    pub refused: Option<Refused>,
}

/// By what was seen and what it says.
pub fn of(verdict: &Verdict, seen: &Seen) -> Failure {
    let told = failure::told(verdict, &seen.view());
    let kind = match told.map_or("upstream_error", |told| told.kind) {
        "rate_limited" => Kind::RateLimit,
        "overloaded" => Kind::Overloaded,
        "account_unavailable" => Kind::Unavailable,
        "upstream_timeout" => Kind::Timeout,
        "passed_on" => Kind::InvalidRequest,
        _ => Kind::BadGateway,
    };
    let status = told.and_then(|told| StatusCode::from_u16(told.status).ok()).unwrap_or(kind.status());
    let mut refusal = Refusal::upstream(kind, status, message(kind, seen));
    if let Some(wait) = told.and_then(|told| told.retry_after_ms) {
        refusal = refusal.later(wait.max(1) as u64);
    }
    Failure { refusal, retry: verdict.retry() == Retry::AnotherAccount, stale: false, refused: None }
}

/// The account could not even be asked.
pub fn unusable() -> Failure {
    let refusal = Refusal::upstream(
        Kind::Unavailable,
        StatusCode::SERVICE_UNAVAILABLE,
        "no account can serve this request right now",
    );
    Failure { refusal, retry: true, stale: false, refused: None }
}

/// What the upstream says of a wrong request is the client's to read; the rest may name accounts and is ours to say.
fn message(kind: Kind, seen: &Seen) -> Cow<'static, str> {
    match kind {
        Kind::InvalidRequest => {
            let said = seen.error_message.clone().map(Cow::Owned);
            said.unwrap_or(Cow::Borrowed("the upstream refuses this request"))
        }
        Kind::RateLimit => Cow::Borrowed("every account that could serve is at its upstream's limit"),
        Kind::Overloaded => Cow::Borrowed("the upstream is overloaded"),
        Kind::Unavailable => Cow::Borrowed("no account can serve this request right now"),
        Kind::Timeout => Cow::Borrowed("the upstream did not answer in time"),
        _ => Cow::Borrowed("the upstream failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(status: u16, error_type: &str) -> Failure {
        let seen = Seen { status, error_type: Some(error_type.into()), now_ms: 1_000, ..Seen::default() };
        of(&failure::Table::standard().judge(&seen.view()), &seen)
    }

    #[test]
    fn an_upstreams_401_is_never_passed_on() {
        let failure = failed(401, "authentication_error");
        assert_eq!(failure.refusal.status, 503);
        assert!(failure.retry);
    }

    #[test]
    fn upstream_failures_are_told_as_what_they_are() {
        assert_eq!(failed(529, "overloaded_error").refusal.kind, Kind::Overloaded);
        assert_eq!(failed(500, "api_error").refusal.status, 502);
        assert_eq!(failed(0, failure::NO_FIRST_EVENT).refusal.status, 504);
        assert_eq!(failed(429, "rate_limit_error").refusal.status, 429);
    }
}
