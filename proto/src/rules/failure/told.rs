//! What a client is told when the last attempt failed too. An upstream's own status about *its account* is never passed
//! on: 401 would make the client throw away its relay key.

use super::Seen;
use crate::rules::verdict::Verdict;

/// What the client is told; the dialect puts it into its own shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// HTTP status.
    pub status: u16,
    /// Kind: `passed_on` (the upstream's answer is the client's own matter and goes through as it is), `rate_limited`,
    /// `overloaded`, `account_unavailable`, `upstream_unreachable`, `upstream_timeout` or `upstream_error`.
    pub kind: &'static str,
    /// When to come back, milliseconds from now.
    pub retry_after_ms: Option<i64>,
}

/// What to tell the client after a final failure; `None` where the verdict is no failure.
pub fn told(verdict: &Verdict, seen: &Seen<'_>) -> Option<Told> {
    let after = |until_ms: i64| Some(until_ms.saturating_sub(seen.now_ms).max(0));
    let (status, kind, retry_after_ms) = match *verdict {
        Verdict::Fine => return None,
        // A wrong request seen as the first event of a 200 stream has no status of its own: 400.
        Verdict::ClientFault => {
            (if (400..=599).contains(&seen.status) { seen.status } else { 400 }, "passed_on", None)
        }
        Verdict::Limited { until_ms } | Verdict::FamilyLimited { until_ms, .. } => {
            (429, "rate_limited", after(until_ms))
        }
        Verdict::Overloaded { until_ms } => (503, "overloaded", after(until_ms)),
        Verdict::Busy { retry_after_ms } => {
            let ms = retry_after_ms.and_then(|ms| i64::try_from(ms).ok());
            (503, "overloaded", Some(ms.unwrap_or(1000)))
        }
        // The time at which the account is tried again: for a client it is as far away as it sounds.
        Verdict::Unauthorized { until_ms }
        | Verdict::Forbidden { until_ms }
        | Verdict::PaymentRequired { until_ms } => (503, "account_unavailable", after(until_ms)),
        Verdict::Dead => (503, "account_unavailable", None),
        Verdict::Unreachable { .. } if is_timeout(seen) => (504, "upstream_timeout", None),
        Verdict::Unreachable { .. } => (502, "upstream_unreachable", None),
        Verdict::Broken { .. } => (502, "upstream_error", None),
    };
    Some(Told { status, kind, retry_after_ms })
}

fn is_timeout(seen: &Seen<'_>) -> bool {
    seen.status == 504 || seen.error_type == Some(super::NO_FIRST_EVENT) || (200..=299).contains(&seen.status)
}
