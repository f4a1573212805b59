//! Claude on Amazon Bedrock: Anthropic's Messages API behind AWS signatures, model ids of its own and a binary framing of
//! streams, which is taken off before anything else sees it. What of a request changes is named in [`request`].

mod account;
mod model;
mod request;
mod response;
mod sigv4;
#[cfg(test)]
mod tests;

use http::{HeaderMap, StatusCode};
use proto::rules::failure;

use crate::{
    credentials::{self, Violation},
    platform::{AccountView, Call, Credentials, Info, Platform, PrepareError, Prepared},
    seen::Seen,
    unwrap::Unwrap,
};

/// The platform.
pub(crate) struct Bedrock;

impl Platform for Bedrock {
    fn info(&self) -> &'static Info {
        &account::INFO
    }

    fn check(&self, given: &Credentials, base_url: &str) -> Result<(), Vec<Violation>> {
        let mut wrong = credentials::check(&account::INFO, given, base_url).err().unwrap_or_default();
        wrong.extend(account::lacks(given));
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn prepare(&self, account: &AccountView<'_>, call: &Call<'_>) -> Result<Prepared, PrepareError> {
        request::prepare(account, call)
    }

    fn sign(
        &self,
        account: &AccountView<'_>,
        prepared: &mut Prepared,
        body_sha256: &[u8; 32],
        now_ms: i64,
    ) -> Result<(), PrepareError> {
        request::sign(account, prepared, body_sha256, now_ms)
    }

    fn probe(&self, account: &AccountView<'_>, model: &str, _now_ms: i64) -> Result<Prepared, PrepareError> {
        request::probe(account, model)
    }

    fn unwrap(&self, status: StatusCode, headers: &HeaderMap) -> Option<Box<dyn Unwrap>> {
        response::unwrap(status, headers)
    }

    fn response_headers(&self, account: &AccountView<'_>, headers: &HeaderMap) -> HeaderMap {
        response::headers(account, headers)
    }

    fn seen(&self, status: StatusCode, headers: &HeaderMap, body_head: &[u8], now_ms: i64) -> Seen {
        response::seen(status, headers, body_head, now_ms)
    }

    fn failures(&self) -> failure::Table {
        response::failures()
    }

    fn model_sent(&self, account: &AccountView<'_>, model: &str) -> String {
        model::sent(account, model)
    }
}
