//! OpenAI's Responses API: with an API key at any address that speaks it, or with a ChatGPT account that signs in, for
//! Codex. How tokens are had is told in [`account`], what of a request changes in [`request`].

mod account;
mod request;
#[cfg(test)]
mod tests;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::{
    credentials::{self, Violation},
    headers,
    oauth::Grants,
    platform::{AccountView, Call, Credentials, Info, Platform, PrepareError, Prepared},
    seen::{self, Seen, windows},
};

/// The platform.
pub(crate) struct OpenaiResponses;

impl Platform for OpenaiResponses {
    fn info(&self) -> &'static Info {
        &account::INFO
    }

    fn check(&self, given: &Credentials, base_url: &str) -> Result<(), Vec<Violation>> {
        credentials::check(&account::INFO, given, base_url)
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
        let mut seen = seen::openai_like(status, headers, body_head, now_ms);
        seen.windows = windows::codex(headers, now_ms);
        if status == StatusCode::TOO_MANY_REQUESTS {
            seen.reset_at_ms = resets(body_head, now_ms);
        }
        seen
    }

    fn grants(&self) -> Option<&'static dyn Grants> {
        Some(&account::ChatGpt)
    }

    fn is_subscription(&self, account: &AccountView<'_>) -> bool {
        account::signed_in(account)
    }
}

/// When a used-up window starts anew: `error.resets_at` in Unix seconds, or `error.resets_in_seconds`.
fn resets(body: &[u8], now_ms: i64) -> Option<i64> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let error = &body["error"];
    let at = error["resets_at"].as_i64().map(|seconds| seconds.saturating_mul(1000));
    let after = error["resets_in_seconds"].as_f64().filter(|seconds| (0.0..1e9).contains(seconds));
    at.or_else(|| after.map(|seconds| now_ms.saturating_add((seconds * 1000.0).ceil() as i64)))
}
