//! Claude subscriptions (Pro, Max) by OAuth, for genuine Claude Code clients. Off until an operator permits the pooling
//! of subscriptions; see `Info::notice`. How tokens are had is told in [`account`], what of a request changes in
//! [`request`].

mod account;
mod request;
#[cfg(test)]
mod tests;

use http::{HeaderMap, StatusCode};

use crate::{
    headers,
    oauth::Grants,
    platform::{AccountView, Call, Info, Platform, PrepareError, Prepared},
    seen::{self, Seen},
};

/// The platform.
pub(crate) struct ClaudeOfficial;

impl Platform for ClaudeOfficial {
    fn info(&self) -> &'static Info {
        &account::INFO
    }

    fn prepare(&self, account: &AccountView<'_>, call: &Call<'_>) -> Result<Prepared, PrepareError> {
        request::prepare(account, call)
    }

    fn probe(&self, account: &AccountView<'_>, model: &str, _now_ms: i64) -> Result<Prepared, PrepareError> {
        request::probe(account, model)
    }

    fn response_headers(&self, account: &AccountView<'_>, headers: &HeaderMap) -> HeaderMap {
        headers::answer(account, headers)
    }

    fn seen(&self, status: StatusCode, headers: &HeaderMap, body_head: &[u8], now_ms: i64) -> Seen {
        seen::anthropic_like(status, headers, body_head, now_ms)
    }

    fn grants(&self) -> Option<&'static dyn Grants> {
        Some(&account::Subscription)
    }

    fn is_subscription(&self, _account: &AccountView<'_>) -> bool {
        true
    }
}
