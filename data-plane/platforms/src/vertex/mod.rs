//! Google Vertex AI with a service account: Claude by `rawPredict`, Gemini by its own methods, each in its own dialect.
//! How tokens are had is told in [`account`], what of a request changes in [`request`].

mod account;
mod request;
#[cfg(test)]
mod tests;

use dialects::Dialect;
use http::{HeaderMap, StatusCode};
use proto::rules::family;

use crate::{
    headers,
    oauth::Grants,
    platform::{AccountView, Call, Info, Platform, PrepareError, Prepared},
    seen::{self, Seen},
};

/// The platform.
pub(crate) struct Vertex;

impl Platform for Vertex {
    fn info(&self) -> &'static Info {
        &account::INFO
    }

    /// The model decides: each is spoken to in one dialect alone.
    fn dialect(&self, account: &AccountView<'_>, _wanted: Dialect, model: &str) -> Dialect {
        let sent = self.model_sent(account, model);
        if family::is_claude(&sent) { Dialect::AnthropicMessages } else { Dialect::Gemini }
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
        seen::google_like(status, headers, body_head, now_ms)
    }

    fn grants(&self) -> Option<&'static dyn Grants> {
        Some(&account::ServiceAccount)
    }

    fn model_sent(&self, account: &AccountView<'_>, model: &str) -> String {
        request::model_sent(account, model)
    }
}
