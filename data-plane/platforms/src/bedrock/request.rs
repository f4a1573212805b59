//! The request: the client's body with these splices, to the model's own address. `model` and `stream` go, since the
//! address says both; `anthropic_version` comes where the body has none; the client's betas, as far as Bedrock knows
//! them, move from their header into `anthropic_beta`. Then the account's signature or key.

use dialects::Operation;
use http::{HeaderName, HeaderValue, Method, Uri, header};

use super::{account, model, sigv4};
use crate::{
    anthropic_cloud, headers,
    platform::{AccountView, BodyPlan, Call, PrepareError, Prepared},
    request, url,
};

/// The API's version in the body.
const VERSION: &str = "bedrock-2023-05-31";

/// Of the client's headers, what goes on: Bedrock knows none of Anthropic's.
const HEADERS: &[&str] = &["accept-language", "content-type", "user-agent"];

/// Betas that Bedrock takes; any other one makes it refuse the request. To be updated as it learns more.
const BETAS: &[&str] = &[
    "computer-use-2025-01-24",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "dev-full-thinking-2025-05-14",
    "effort-2025-11-24",
    "fine-grained-tool-streaming-2025-05-14",
    "interleaved-thinking-2025-05-14",
    "output-128k-2025-02-19",
    "token-efficient-tools-2025-02-19",
    "tool-examples-2025-10-29",
    "tool-search-tool-2025-10-19",
];

pub(super) fn prepare(account: &AccountView<'_>, call: &Call<'_>) -> Result<Prepared, PrepareError> {
    if call.operation != Operation::Messages {
        return Err(PrepareError::Unsupported(call.operation));
    }
    let model_sent = model::sent(account, call.model.unwrap_or_default());
    let action = if call.stream { "invoke-with-response-stream" } else { "invoke" };
    let uri = uri(account, &model_sent, action)?;
    let mut headers = headers::forward_only(call, HEADERS);
    request::complete(&mut headers, account);
    let to_sign = authorise(&mut headers, account)?;
    let plan = anthropic_cloud::Plan { version: VERSION, betas: Some(BETAS), keeps_stream: false };
    Ok(Prepared { method: Method::POST, uri, headers, body: plan.of(call), model_sent, to_sign })
}

pub(super) fn probe(account: &AccountView<'_>, model: &str) -> Result<Prepared, PrepareError> {
    let model_sent = model::sent(account, model);
    let uri = uri(account, &model_sent, "invoke")?;
    let mut headers = request::of_our_own();
    request::complete(&mut headers, account);
    let to_sign = authorise(&mut headers, account)?;
    let body = BodyPlan::Replace(anthropic_cloud::probe_body(VERSION));
    Ok(Prepared { method: Method::POST, uri, headers, body, model_sent, to_sign })
}

fn uri(account: &AccountView<'_>, model: &str, action: &str) -> Result<Uri, PrepareError> {
    if model.is_empty() {
        return Err(PrepareError::BadModel);
    }
    let base = account::base(account);
    let base = url::base(&base).map_err(PrepareError::BadAddress)?;
    let text = format!("{base}/model/{}/{action}", sigv4::escaped(model));
    text.parse().map_err(|_| PrepareError::BadAddress("does not make a valid address"))
}

/// Adds the account's key; whether the request must be signed instead.
fn authorise(headers: &mut http::HeaderMap, account: &AccountView<'_>) -> Result<bool, PrepareError> {
    let Ok(key) = request::credential(account, account::API_KEY) else {
        request::credential(account, account::SECRET)?;
        return Ok(true);
    };
    headers.insert(header::AUTHORIZATION, request::bearer(key, account::API_KEY)?);
    Ok(false)
}

pub(super) fn sign(
    account: &AccountView<'_>,
    prepared: &mut Prepared,
    body_sha256: &[u8; 32],
    now_ms: i64,
) -> Result<(), PrepareError> {
    let key = sigv4::Key {
        id: request::credential(account, account::KEY_ID)?,
        secret: request::credential(account, account::SECRET)?,
        region: account::region(account),
        service: "bedrock",
    };
    let time = sigv4::Time::of(now_ms);
    let headers = &mut prepared.headers;
    let date = HeaderValue::from_str(&time.full).map_err(|_| PrepareError::BadCredential("region"))?;
    headers.insert(HeaderName::from_static("x-amz-date"), date);
    if let Ok(token) = request::credential(account, account::TOKEN) {
        let token = request::sensitive(token, account::TOKEN)?;
        headers.insert(HeaderName::from_static("x-amz-security-token"), token);
    }
    let signature = sigv4::authorization(&key, &time, &prepared.method, &prepared.uri, headers, body_sha256);
    headers.insert(header::AUTHORIZATION, request::sensitive(&signature, account::KEY_ID)?);
    Ok(())
}
