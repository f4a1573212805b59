//! Why a request is refused or failed, in our own terms: who is to blame, whether waiting helps, what the client reads.
//! `respond` puts it into the client's dialect; nothing here knows one.

use std::borrow::Cow;

use dialects::error::Kind;
use http::StatusCode;
use proto::types::LimitConsulted;

use crate::metrics::Reason;

/// Waiting longer than this is no help to a client that sleeps through all of it.
const LONGEST_WAIT_MS: u64 = 60_000;

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The client's, or its key's.
    Client,
    /// An upstream's.
    Upstream,
    /// Ours.
    Us,
}

/// What repeating the request comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Nothing.
    Never,
    /// It may succeed after so many milliseconds.
    Later(u64),
}

/// A refusal or a final failure.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind it is; each dialect has its word for it.
    pub kind: Kind,
    /// HTTP status.
    pub status: StatusCode,
    /// For people, without secrets and without what the client wrote.
    pub message: Cow<'static, str>,
    /// A machine-readable reason.
    pub code: Option<&'static str>,
    /// When to come back.
    pub retry: Retry,
    /// As metrics count it; none: an upstream's failure, which is no refusal.
    pub reason: Option<Reason>,
    /// Whether the connection is of no more use.
    pub close: bool,
    /// The limit that refused, with its figures.
    pub limit: Option<Box<LimitConsulted>>,
    /// The limit that is used up, for the headers by which a dialect tells it.
    pub bounded: Option<Bounded>,
}

/// A limit that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounded {
    /// `requests` or `tokens`.
    pub what: &'static str,
    /// Its bound.
    pub limit: i64,
    /// When something of it is free again, milliseconds from now.
    pub resets_in_ms: u64,
}

impl Refusal {
    /// A refusal that repeating does not change.
    pub fn new(kind: Kind, reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            status: kind.status(),
            message: message.into(),
            code: None,
            retry: Retry::Never,
            reason: Some(reason),
            close: false,
            limit: None,
            bounded: None,
        }
    }

    /// A failure of the upstream, told when no account is left to try.
    pub fn upstream(kind: Kind, status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        let refusal = Self::new(kind, Reason::NoAccount, message);
        Self { status, reason: None, ..refusal }
    }

    /// The same, with a time after which it may be different.
    #[must_use]
    pub fn later(mut self, wait_ms: u64) -> Self {
        self.retry = Retry::Later(wait_ms);
        self
    }

    /// The same, with a machine-readable reason.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The same, with the limit that refused.
    #[must_use]
    pub fn by(mut self, limit: LimitConsulted) -> Self {
        self.limit = Some(Box::new(limit));
        self
    }

    /// The same, and the connection ends: what follows on it cannot be told from the refused.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// The same, told to come back when the first account does, if that is sooner or was not known.
    #[must_use]
    pub fn or_sooner(mut self, other: &Self) -> Self {
        if let Retry::Later(others) = other.retry {
            let sooner = match self.retry {
                Retry::Later(own) => own.min(others),
                Retry::Never => others,
            };
            self.retry = Retry::Later(sooner);
        }
        self
    }

    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self.reason {
            None => Blame::Upstream,
            Some(Reason::NoAccount) => Blame::Upstream,
            Some(Reason::Budget | Reason::Spool | Reason::NotReady) => Blame::Us,
            Some(_) => Blame::Client,
        }
    }

    /// Whether a client does well to repeat the request by itself.
    pub fn waiting_helps(&self) -> bool {
        match self.retry {
            Retry::Later(wait) => wait <= LONGEST_WAIT_MS,
            // An account that cannot be used, without a time at which it can: a person must help.
            Retry::Never => {
                self.reason.is_none() && self.kind.waiting_helps() && self.kind != Kind::Unavailable
            }
        }
    }
}

/// The body is longer than allowed.
pub fn too_large(longest: u64) -> Refusal {
    let message = format!("the request body is longer than {} MiB", longest >> 20);
    Refusal::new(Kind::RequestTooLarge, Reason::Malformed, message).closing()
}

/// The request is not what the API describes.
pub fn malformed(message: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(Kind::InvalidRequest, Reason::Malformed, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_to_blame_and_whether_to_come_back() {
        assert_eq!(malformed("x").blame(), Blame::Client);
        assert!(!malformed("x").waiting_helps());
        let limit = Refusal::new(Kind::RateLimit, Reason::Limit, "x");
        assert!(limit.clone().later(1_000).waiting_helps());
        assert!(!limit.later(3_600_000).waiting_helps());
        let failed = Refusal::upstream(Kind::BadGateway, StatusCode::BAD_GATEWAY, "x");
        assert_eq!(failed.blame(), Blame::Upstream);
        assert!(failed.waiting_helps());
        assert_eq!(Refusal::new(Kind::Unavailable, Reason::Budget, "x").blame(), Blame::Us);
    }
}
