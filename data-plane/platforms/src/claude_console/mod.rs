//! Claude Console: Anthropic's API, or any gateway that speaks it, with an API key or a session key. The client's
//! request goes on as it came; what changes is named in [`request`].

mod account;
mod request;
mod response;
#[cfg(test)]
mod tests;

use http::{HeaderMap, StatusCode};

use crate::{
    platform::{AccountView, Call, Info, Platform, PrepareError, Prepared},
    seen::Seen,
};

/// The platform.
pub(crate) struct ClaudeConsole;

impl Platform for ClaudeConsole {
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
        response::headers(account, headers)
    }

    fn seen(&self, status: StatusCode, headers: &HeaderMap, body_head: &[u8], now_ms: i64) -> Seen {
        response::seen(status, headers, body_head, now_ms)
    }
}
