//! What an answer says, read for the failure table: the one place where headers and bodies of errors are taken apart,
//! by kind of upstream. It judges nothing; `proto::rules::failure` does.

use dialects::anthropic::error;
use http::{HeaderMap, StatusCode};
use proto::rules::{
    failure, family,
    upstream_window::{Status, Window},
};

mod google;
mod openai;
#[cfg(test)]
mod tests;
mod when;
pub mod windows;

pub use google::google_like;
pub use openai::openai_like;

/// What was seen of an answer. Owned, since texts come out of escaped JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// HTTP status.
    pub status: u16,
    /// The error's type, as the body names it.
    pub error_type: Option<String>,
    /// The error's message, at most 1 KiB of it.
    pub error_message: Option<String>,
    /// Milliseconds to wait, as the answer asks.
    pub retry_after_ms: Option<i64>,
    /// Unix milliseconds at which the account's window starts anew.
    pub reset_at_ms: Option<i64>,
    /// The model family that the answer limits.
    pub family: Option<String>,
    /// How far the subscription's usage windows are used up, where the answer tells: of successes too.
    pub windows: Vec<Window>,
    /// Unix milliseconds at which it was seen.
    pub now_ms: i64,
}

impl Seen {
    /// Status, error and what the answer asks to wait, as all upstreams tell them.
    fn read(status: StatusCode, headers: &HeaderMap, body_head: &[u8], now_ms: i64) -> Self {
        let mut seen = Self { status: status.as_u16(), now_ms, ..Self::default() };
        if !status.is_success() {
            let found = error::read(body_head);
            seen.error_type = found.error_type;
            seen.error_message = found.message;
            seen.retry_after_ms = when::retry_after(headers, now_ms);
        }
        seen
    }

    /// The same, as the failure table reads it.
    pub fn view(&self) -> failure::Seen<'_> {
        failure::Seen {
            status: self.status,
            error_type: self.error_type.as_deref(),
            error_message: self.error_message.as_deref(),
            retry_after_ms: self.retry_after_ms,
            reset_at_ms: self.reset_at_ms,
            family: self.family.as_deref(),
            now_ms: self.now_ms,
        }
    }

    /// The same, with the error that the first event of the answer's stream was.
    #[must_use]
    pub fn with_error(mut self, error_type: String, message: String) -> Self {
        self.family = self.family.or_else(|| family_named(&message).map(str::to_owned));
        self.error_type = Some(error_type);
        self.error_message = Some(message);
        self
    }
}

/// Reads an answer of an upstream that speaks Anthropic's dialect, or nearly.
pub fn anthropic_like(status: StatusCode, headers: &HeaderMap, body_head: &[u8], now_ms: i64) -> Seen {
    let mut seen = Seen::read(status, headers, body_head, now_ms);
    let limited = status == StatusCode::TOO_MANY_REQUESTS;
    if limited {
        seen.retry_after_ms = seen.retry_after_ms.or_else(|| when::exhausted_bucket(headers, now_ms));
        seen.reset_at_ms = when::unified_reset(headers);
        let claim =
            text(headers, "anthropic-ratelimit-unified-representative-claim").and_then(claimed_family);
        seen.family =
            claim.or_else(|| seen.error_message.as_deref().and_then(family_named)).map(str::to_owned);
    }
    seen.windows = windows::unified(headers);
    if limited {
        refused_by_window(&mut seen);
    }
    seen
}

/// What the windows add to a 429: the end where the answer as a whole states none, and the family where only windows of
/// one family are used up.
fn refused_by_window(seen: &mut Seen) {
    let used_up = || seen.windows.iter().filter(|window| window.status == Status::Rejected);
    let Some(first) = used_up().next() else { return };
    let family = match &seen.family {
        None if used_up().all(|window| window.family == first.family) => first.family.clone(),
        family => family.clone(),
    };
    let speaks_of_it = |window: &&Window| window.family == family;
    let reset_at_ms = used_up().filter(speaks_of_it).map(|window| window.resets_at_ms).max();
    seen.reset_at_ms = seen.reset_at_ms.or(reset_at_ms);
    seen.family = family;
}

/// The family of a claim such as `seven_day_opus`.
fn claimed_family(claim: &str) -> Option<&'static str> {
    claim.split('_').map(family::of).find(|&found| family::is_claude_family(found))
}

/// The family of a model that a message names, where it names one at all.
fn family_named(message: &str) -> Option<&'static str> {
    message
        .split(|letter: char| !(letter.is_ascii_alphanumeric() || "-.".contains(letter)))
        .filter(|word| word.contains("claude-"))
        .map(family::of)
        .find(|&found| family::is_claude_family(found))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}
