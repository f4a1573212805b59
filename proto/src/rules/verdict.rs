//! What an upstream's answer says about the account that got it: the one word between the failure table (which gives
//! it), the relay loop (which asks [`Verdict::retry`]) and account health (which asks [`Verdict::account_state`]).

/// Whether a request may go on with another account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The answer is the client's: another account would say the same.
    Never,
    /// The fault is this account's or its upstream's.
    AnotherAccount,
}

/// What an answer says of the account. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It served.
    Fine,
    /// It could not serve this one request; nothing lasting.
    Busy {
        /// When the upstream said that it makes sense to come back.
        retry_after_ms: Option<u64>,
    },
    /// Its rate or window is used up.
    Limited {
        /// Until when.
        until_ms: i64,
    },
    /// Its window for one model family is used up; the others go on.
    FamilyLimited {
        /// The family, as [`super::family::of`] names it.
        family: String,
        /// Until when.
        until_ms: i64,
    },
    /// The upstream is over capacity.
    Overloaded {
        /// Until when to leave it alone.
        until_ms: i64,
    },
    /// Its credential was not accepted.
    Unauthorized {
        /// When to try again.
        until_ms: i64,
    },
    /// It may not do this.
    Forbidden {
        /// When to try again.
        until_ms: i64,
    },
    /// It has no money left.
    PaymentRequired {
        /// When to try again.
        until_ms: i64,
    },
    /// The upstream has closed it: only a person can help.
    Dead,
    /// The request was wrong; the account is fine.
    ClientFault,
    /// No answer came: no connection, none in time, or none with content.
    Unreachable {
        /// Until when to leave it alone; `None`: nothing lasting.
        until_ms: Option<i64>,
    },
    /// The upstream failed.
    Broken {
        /// Until when to leave it alone; `None`: nothing lasting.
        until_ms: Option<i64>,
    },
}

impl Verdict {
    /// Whether to try another account (as long as nothing was sent to the client).
    pub fn retry(&self) -> Retry {
        match self {
            Self::Fine | Self::ClientFault => Retry::Never,
            _ => Retry::AnotherAccount,
        }
    }

    /// The account's state from now on, in the words of `Account.status`, with its end in Unix milliseconds (`None`:
    /// until a person or a success ends it). `None`: the state does not change. A family's limit is no state of the
    /// account: see [`Verdict::family_block`].
    pub fn account_state(&self) -> Option<(&'static str, Option<i64>)> {
        match *self {
            Self::Limited { until_ms } => Some(("rate_limited", Some(until_ms))),
            Self::Overloaded { until_ms } => Some(("overloaded", Some(until_ms))),
            Self::Unauthorized { until_ms } => Some(("unauthorized", Some(until_ms))),
            Self::Forbidden { until_ms } => Some(("forbidden", Some(until_ms))),
            Self::PaymentRequired { until_ms } => Some(("error", Some(until_ms))),
            Self::Dead => Some(("forbidden", None)),
            Self::Unreachable { until_ms: Some(until_ms) } | Self::Broken { until_ms: Some(until_ms) } => {
                Some(("error", Some(until_ms)))
            }
            _ => None,
        }
    }

    /// The model family that the account cannot serve, and until when.
    pub fn family_block(&self) -> Option<(&str, i64)> {
        match self {
            Self::FamilyLimited { family, until_ms } => Some((family, *until_ms)),
            _ => None,
        }
    }

    /// Whether the account served, so that a state it was in is over.
    pub fn is_recovery(&self) -> bool {
        matches!(self, Self::Fine)
    }

    /// The word in usage records, metrics and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Busy { .. } => "busy",
            Self::Limited { .. } => "limited",
            Self::FamilyLimited { .. } => "family_limited",
            Self::Overloaded { .. } => "overloaded",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::PaymentRequired { .. } => "payment_required",
            Self::Dead => "dead",
            Self::ClientFault => "client_fault",
            Self::Unreachable { .. } => "unreachable",
            Self::Broken { .. } => "broken",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_fault_is_neither_retried_nor_held_against_the_account() {
        assert_eq!(Verdict::ClientFault.retry(), Retry::Never);
        assert_eq!(Verdict::ClientFault.account_state(), None);
    }

    #[test]
    fn a_familys_limit_leaves_the_account_as_it_is() {
        let verdict = Verdict::FamilyLimited { family: "opus".into(), until_ms: 7 };
        assert_eq!(verdict.retry(), Retry::AnotherAccount);
        assert_eq!(verdict.account_state(), None);
        assert_eq!(verdict.family_block(), Some(("opus", 7)));
    }

    #[test]
    fn the_dead_stay_so_until_a_person_helps() {
        assert_eq!(Verdict::Dead.account_state(), Some(("forbidden", None)));
    }
}
