//! Azure OpenAI: OpenAI's API by deployments of one's own, in both styles of addresses. What of a request changes is
//! named in [`request`].

mod account;
mod request;
#[cfg(test)]
mod tests;

use dialects::Dialect;
use http::{HeaderMap, StatusCode};

use crate::{
    headers,
    platform::{AccountView, Call, Info, Platform, PrepareError, Prepared},
    seen::{self, Seen},
};

/// The platform.
pub(crate) struct AzureOpenai;

impl Platform for AzureOpenai {
    fn info(&self) -> &'static Info {
        &account::INFO
    }

    fn dialect(&self, _account: &AccountView<'_>, wanted: Dialect, _model: &str) -> Dialect {
        request::dialect(wanted)
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
        seen::openai_like(status, headers, body_head, now_ms)
    }
}
