//! Gemini Code Assist with a Google account, as Gemini CLI uses it: Gemini's dialect within the envelope of `v1internal`,
//! for one project. How tokens and project are had is told in [`account`]; every byte of the client's body stays.

mod account;
mod envelope;
#[cfg(test)]
mod tests;

use dialects::Operation;
use http::{HeaderMap, Method, StatusCode, header};

use crate::{
    gemini_like, headers,
    oauth::Grants,
    platform::{AccountView, BodyPlan, Call, Info, Platform, PrepareError, Prepared},
    request,
    seen::{self, Seen},
    unwrap::Unwrap,
    url,
};

/// The platform.
pub(crate) struct Gemini;

/// Of the client's headers, what goes on.
const HEADERS: &[&str] = &["accept", "accept-language", "content-type", "user-agent", "x-goog-api-client"];

impl Platform for Gemini {
    fn info(&self) -> &'static Info {
        &account::INFO
    }

    fn prepare(&self, account: &AccountView<'_>, call: &Call<'_>) -> Result<Prepared, PrepareError> {
        if !matches!(call.operation, Operation::GenerateContent | Operation::CountTokens) {
            return Err(PrepareError::Unsupported(call.operation));
        }
        let model_sent = request::model_sent(account, call);
        let client = url::without_credentials(call.query, call.relay_secret);
        let query = gemini_like::query(client, call.stream);
        let uri = account::uri(account, gemini_like::verb(call)?, query.as_deref())?;
        let mut headers = headers::forward_only(call, HEADERS);
        request::complete(&mut headers, account);
        account::authorise(&mut headers, account)?;
        let project = request::credential(account, account::PROJECT)?;
        let body = envelope::wrap(call, &model_sent, project);
        Ok(Prepared { method: Method::POST, uri, headers, body, model_sent, to_sign: false })
    }

    fn probe(&self, account: &AccountView<'_>, model: &str, _now_ms: i64) -> Result<Prepared, PrepareError> {
        let model_sent = crate::mapping::apply(account.model_mapping, model).into_owned();
        let mut headers = request::of_our_own();
        request::complete(&mut headers, account);
        account::authorise(&mut headers, account)?;
        let project = request::credential(account, account::PROJECT)?;
        let body = serde_json::json!({
            "model": model_sent, "project": project, "request": gemini_like::probe_body(),
        });
        let body = BodyPlan::Replace(body.to_string().into());
        let uri = account::uri(account, "generateContent", None)?;
        Ok(Prepared { method: Method::POST, uri, headers, body, model_sent, to_sign: false })
    }

    fn unwrap(&self, status: StatusCode, headers: &HeaderMap) -> Option<Box<dyn Unwrap>> {
        if !status.is_success() {
            return None;
        }
        let kind =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if kind.starts_with("text/event-stream") {
            Some(Box::new(envelope::Events::new()))
        } else {
            Some(Box::new(envelope::Whole::default()))
        }
    }

    fn response_headers(&self, account: &AccountView<'_>, headers: &HeaderMap) -> HeaderMap {
        headers::answer(account, headers)
    }

    fn seen(&self, status: StatusCode, headers: &HeaderMap, body_head: &[u8], now_ms: i64) -> Seen {
        seen::google_like(status, headers, body_head, now_ms)
    }

    fn grants(&self) -> Option<&'static dyn Grants> {
        Some(&account::CodeAssist)
    }

    fn is_subscription(&self, _account: &AccountView<'_>) -> bool {
        true
    }
}
