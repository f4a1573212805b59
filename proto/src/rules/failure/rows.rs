//! The rows of the failure table, and how one is matched.

use std::ops::RangeInclusive;

use super::{CONNECT, EMPTY_STREAM, NO_FIRST_EVENT, Seen};
use crate::rules::{family, verdict::Verdict};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Which statuses a row is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// One.
    Is(u16),
    /// Any of a range.
    In(RangeInclusive<u16>),
    /// No answer came.
    None,
    /// Any, or none.
    Any,
}

/// What else must hold for a row. Texts are compared without case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Nothing.
    Always,
    /// The error's type is one of these.
    Type(&'static [&'static str]),
    /// The error's type or message contains one of these.
    Text(&'static [&'static str]),
    /// An error type was found.
    AnyType,
    /// The answer names a model family that it limits.
    Family,
    /// The answer says when the window starts anew, at an instant still to come.
    Reset,
}

/// For how long an account is left alone: what the answer asks for, within bounds. Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Where the answer asks for nothing.
    pub default_ms: i64,
    /// The longest, whatever the answer asks for.
    pub longest_ms: i64,
}

impl Pause {
    /// A pause with a default and a bound, in milliseconds.
    pub const fn new(default_ms: i64, longest_ms: i64) -> Self {
        Self { default_ms, longest_ms }
    }

    /// Its end: the window's start if stated, else after `retry-after`, else after the default; never in the past.
    fn until(self, seen: &Seen<'_>, use_reset: bool) -> i64 {
        let stated = seen.reset_at_ms.filter(|&at| use_reset && at > seen.now_ms);
        let asked = stated.map(|at| at.saturating_sub(seen.now_ms)).or(seen.retry_after_ms);
        let pause = asked.unwrap_or(self.default_ms).clamp(0, self.longest_ms);
        seen.now_ms.saturating_add(pause)
    }
}

/// What a row says of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It served.
    Fine,
    /// The request was wrong: told as it is, never tried elsewhere, never held against the account.
    ClientFault,
    /// Another account, nothing lasting.
    Busy,
    /// Another account; this one is `rate_limited`.
    Limited(Pause),
    /// Another account; this one without the family that the answer names (or, if it names none, `rate_limited`).
    FamilyLimited(Pause),
    /// Another account; this one is `overloaded`.
    Overloaded(Pause),
    /// Another account; this one is `unauthorized`.
    Unauthorized(Pause),
    /// Another account; this one is `forbidden`.
    Forbidden(Pause),
    /// Another account; this one is in `error`: no money.
    PaymentRequired(Pause),
    /// Another account; this one is `forbidden` until a person helps.
    Dead,
    /// Another account; this one is in `error` for that time, or nothing lasting.
    Unreachable(Option<Pause>),
    /// The same, for an upstream that answered with a failure.
    Broken(Option<Pause>),
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name: in logs, and by which it is replaced.
    pub name: &'static str,
    /// Which statuses.
    pub status: Status,
    /// What else must hold.
    pub when: When,
    /// What it says.
    pub then: Then,
}

impl Row {
    /// A row.
    pub const fn new(name: &'static str, status: Status, when: When, then: Then) -> Self {
        Self { name, status, when, then }
    }

    pub(super) fn matches(&self, seen: &Seen<'_>) -> bool {
        let status = match &self.status {
            Status::Is(status) => *status == seen.status,
            Status::In(range) => range.contains(&seen.status),
            Status::None => seen.status == 0,
            Status::Any => true,
        };
        status && self.when.holds(seen)
    }

    pub(super) fn verdict(&self, seen: &Seen<'_>) -> Verdict {
        match self.then {
            Then::Fine => Verdict::Fine,
            Then::ClientFault => Verdict::ClientFault,
            Then::Busy => {
                Verdict::Busy { retry_after_ms: seen.retry_after_ms.and_then(|ms| u64::try_from(ms).ok()) }
            }
            Then::Limited(pause) => Verdict::Limited { until_ms: pause.until(seen, true) },
            Then::FamilyLimited(pause) => match seen.family {
                Some(name) => {
                    Verdict::FamilyLimited { family: name.to_owned(), until_ms: pause.until(seen, true) }
                }
                None => Verdict::Limited { until_ms: pause.until(seen, true) },
            },
            Then::Overloaded(pause) => Verdict::Overloaded { until_ms: pause.until(seen, false) },
            Then::Unauthorized(pause) => Verdict::Unauthorized { until_ms: pause.until(seen, false) },
            Then::Forbidden(pause) => Verdict::Forbidden { until_ms: pause.until(seen, false) },
            Then::PaymentRequired(pause) => Verdict::PaymentRequired { until_ms: pause.until(seen, false) },
            Then::Dead => Verdict::Dead,
            Then::Unreachable(pause) => {
                Verdict::Unreachable { until_ms: pause.map(|pause| pause.until(seen, false)) }
            }
            Then::Broken(pause) => Verdict::Broken { until_ms: pause.map(|pause| pause.until(seen, false)) },
        }
    }
}

impl When {
    fn holds(self, seen: &Seen<'_>) -> bool {
        match self {
            Self::Always => true,
            Self::Type(types) => {
                seen.error_type.is_some_and(|found| types.iter().any(|one| found.eq_ignore_ascii_case(one)))
            }
            Self::Text(texts) => [seen.error_type, seen.error_message]
                .into_iter()
                .flatten()
                .any(|text| texts.iter().any(|part| contains(text, part))),
            Self::AnyType => seen.error_type.is_some_and(|found| !found.is_empty()),
            Self::Family => seen.family.is_some_and(|name| name != family::OTHER && !name.is_empty()),
            Self::Reset => seen.reset_at_ms.is_some_and(|at| at > seen.now_ms),
        }
    }
}

/// Whether `text` contains `part`, which is in lower case, without regard to ASCII case.
fn contains(text: &str, part: &str) -> bool {
    text.as_bytes().windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}

/// Texts by which upstreams say that an account is closed, with 400 or 403.
const CLOSED: &[&str] = &[
    "organization has been disabled",
    "account has been disabled",
    "account is disabled",
    "account has been deactivated",
    "oauth authentication is currently not allowed",
];
/// Texts by which gateways of the Console kind say, with 400, that they cannot use the account behind them.
const UNUSABLE: &[&str] =
    &["no account supporting", "account not found", "invalid account", "too many active sessions"];
/// Types and texts of an account without money.
const NO_MONEY: &[&str] = &[
    "credit balance is too low",
    "insufficient_quota",
    "billing_error",
    "billing_hard_limit",
    "insufficient balance",
];
/// Texts of an upstream that has no room, whoever asks.
const NO_ROOM: &[&str] =
    &["overloaded", "over capacity", "at capacity", "capacity exceeded", "server is busy"];
/// Error types of wrong requests.
const WRONG_REQUEST: &[&str] = &[
    "invalid_request_error",
    "invalid_request",
    "invalid_argument",
    "failed_precondition",
    "out_of_range",
    "not_found_error",
    "not_found",
    "model_not_found",
    "request_too_large",
    "context_length_exceeded",
    "content_policy_violation",
    "validationexception",
    "invalid_prompt",
];
const AUTH_TYPES: &[&str] =
    &["authentication_error", "unauthenticated", "invalid_api_key", "unrecognizedclientexception"];
const PERMISSION_TYPES: &[&str] = &["permission_error", "permission_denied", "accessdeniedexception"];
const RATE_TYPES: &[&str] = &[
    "rate_limit_error",
    "rate_limit_exceeded",
    "resource_exhausted",
    "throttlingexception",
    "too_many_requests",
];
const ROOM_TYPES: &[&str] = &["overloaded_error", "overloaded", "unavailable", "serviceunavailableexception"];
const TIME_TYPES: &[&str] = &["timeout_error", "deadline_exceeded", "modeltimeoutexception"];

/// A rate per minute: what it asks for, a minute if it does not say, half an hour at most.
const PER_MINUTE: Pause = Pause::new(MINUTE, 30 * MINUTE);
/// A window of hours or days: until it starts anew; eight days are longer than any window that is sold.
const WINDOW: Pause = Pause::new(5 * MINUTE, 8 * DAY);
/// A rate or a window, where an event within a stream does not tell which.
const RATE_EVENT: Pause = Pause::new(MINUTE, 8 * DAY);
/// No room upstream: short, since it is rarely about the account and other accounts are likely to see the same.
const ROOM: Pause = Pause::new(30 * SECOND, 10 * MINUTE);
/// A credential that is not accepted may be put right by a refresh or by hand; half an hour, then it is tried again.
const CREDENTIAL: Pause = Pause::new(30 * MINUTE, 30 * MINUTE);
/// Not allowed: it may have been this one request, so shorter.
const FORBIDDEN: Pause = Pause::new(5 * MINUTE, 30 * MINUTE);
/// No money: tried again in half an hour, in case it was topped up.
const MONEY: Pause = Pause::new(30 * MINUTE, HOUR);
/// A gateway or connection that failed: long enough that the next request goes elsewhere.
const BLIP: Pause = Pause::new(10 * SECOND, 5 * MINUTE);
/// An upstream that says that it is away.
const AWAY: Pause = Pause::new(30 * SECOND, 10 * MINUTE);

use Status::{Any, In, Is, None as NoAnswer};
use Then::{
    Broken, Busy, ClientFault, Dead, FamilyLimited, Fine, Forbidden, Limited, Overloaded, PaymentRequired,
    Unauthorized, Unreachable,
};
use When::{Always, AnyType, Family, Reset, Text, Type};

/// The row that holds where no other does.
pub(super) const LAST: Row = Row::new("other", Any, Always, Broken(Option::None));

/// The rows of every platform. Order matters only among rows for the same status.
pub(super) static STANDARD: &[Row] = &[
    // No answer. A first event that is late may be the model thinking: no pause.
    Row::new("no_first_event", Any, Type(&[NO_FIRST_EVENT]), Unreachable(Option::None)),
    Row::new("empty_stream", Any, Type(&[EMPTY_STREAM]), Broken(Option::None)),
    Row::new("connect", NoAnswer, Type(&[CONNECT]), Unreachable(Some(BLIP))),
    Row::new("no_answer", NoAnswer, Always, Unreachable(Some(BLIP))),
    // 2xx whose first event is an error: judged by its type, as the status that it stands for.
    Row::new("first_event_dead", In(200..=299), Text(CLOSED), Dead),
    Row::new("first_event_money", In(200..=299), Text(NO_MONEY), PaymentRequired(MONEY)),
    Row::new("first_event_room", In(200..=299), Type(ROOM_TYPES), Overloaded(ROOM)),
    Row::new("first_event_auth", In(200..=299), Type(AUTH_TYPES), Unauthorized(CREDENTIAL)),
    Row::new("first_event_permission", In(200..=299), Type(PERMISSION_TYPES), Forbidden(FORBIDDEN)),
    Row::new("first_event_rate", In(200..=299), Type(RATE_TYPES), FamilyLimited(RATE_EVENT)),
    Row::new("first_event_time", In(200..=299), Type(TIME_TYPES), Unreachable(Option::None)),
    Row::new("first_event_request", In(200..=299), Type(WRONG_REQUEST), ClientFault),
    Row::new("first_event_other", In(200..=299), AnyType, Broken(Option::None)),
    Row::new("fine", In(200..=299), Always, Fine),
    // An upstream never redirects an API call: its address is wrong or a portal stands before it.
    Row::new("redirect", In(300..=399), Always, Broken(Some(BLIP))),
    // 400: the client's, but for the few texts that speak of the account.
    Row::new("closed_400", Is(400), Text(CLOSED), Dead),
    Row::new("unusable_400", Is(400), Text(UNUSABLE), Forbidden(FORBIDDEN)),
    Row::new("money_400", Is(400), Text(NO_MONEY), PaymentRequired(MONEY)),
    Row::new(
        "invalid_key_400",
        Is(400),
        Text(&["api key not valid", "api_key_invalid", "api key expired"]),
        Unauthorized(CREDENTIAL),
    ),
    Row::new("invalid_request", Is(400), Always, ClientFault),
    Row::new("closed_401", Is(401), Text(CLOSED), Dead),
    Row::new("unauthorized", Is(401), Always, Unauthorized(CREDENTIAL)),
    Row::new("payment_required", Is(402), Always, PaymentRequired(MONEY)),
    // 403: a request for a model that this account may not use says nothing about its other models.
    Row::new("closed_403", Is(403), Text(CLOSED), Dead),
    Row::new("money_403", Is(403), Text(NO_MONEY), PaymentRequired(MONEY)),
    Row::new("model_403", Is(403), Text(&["model"]), Busy),
    Row::new("forbidden", Is(403), Always, Forbidden(FORBIDDEN)),
    // 404: a model that does not exist, or a path. Neither is worth another account.
    Row::new("model_not_found", Is(404), Text(&["model", "not_found_error"]), ClientFault),
    Row::new("path_not_found", Is(404), Always, ClientFault),
    Row::new("method_not_allowed", Is(405), Always, ClientFault),
    Row::new("proxy_authentication", Is(407), Always, Unreachable(Some(AWAY))),
    Row::new("request_timeout", Is(408), Always, Busy),
    Row::new("conflict", Is(409), Always, Busy),
    Row::new("too_large", Is(413), Always, ClientFault),
    Row::new("unprocessable", Is(422), Always, ClientFault),
    Row::new("locked", Is(423), Always, Busy),
    Row::new("too_early", Is(425), Always, Busy),
    // 429, of four kinds and two that only look like it.
    Row::new("extra_usage_429", Is(429), Text(&["extra usage"]), ClientFault),
    Row::new("money_429", Is(429), Text(NO_MONEY), PaymentRequired(MONEY)),
    Row::new("concurrency_429", Is(429), Text(&["concurren"]), Busy),
    Row::new("over_capacity_429", Is(429), Text(NO_ROOM), Overloaded(ROOM)),
    Row::new("family_429", Is(429), Family, FamilyLimited(WINDOW)),
    Row::new("window_429", Is(429), Reset, Limited(WINDOW)),
    Row::new("per_minute_429", Is(429), Always, Limited(PER_MINUTE)),
    // 499 and its neighbours from proxies between us: the upstream gave up on us.
    Row::new("closed_request", Is(499), Always, Busy),
    Row::new("other_4xx", In(400..=499), Always, ClientFault),
    // 5xx. A plain 500 is one failed request, not a failed account.
    Row::new("overloaded_5xx", In(500..=599), Type(ROOM_TYPES), Overloaded(ROOM)),
    Row::new("internal", Is(500), Always, Broken(Option::None)),
    Row::new("not_implemented", Is(501), Always, ClientFault),
    Row::new("bad_gateway", Is(502), Always, Broken(Some(BLIP))),
    Row::new("unavailable", Is(503), Always, Broken(Some(AWAY))),
    Row::new("gateway_timeout", Is(504), Always, Unreachable(Some(BLIP))),
    Row::new("overloaded", Is(529), Always, Overloaded(ROOM)),
    Row::new("other_5xx", In(500..=599), Always, Broken(Some(BLIP))),
    LAST,
];
