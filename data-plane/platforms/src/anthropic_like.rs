//! What platforms that speak Anthropic's Messages API over a base address have in common. Small functions, each of
//! which a platform may leave out; no platform of its own.

use std::borrow::Cow;

use bytes::Bytes;
use dialects::Operation;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use secrecy::ExposeSecret;

use crate::{
    mapping,
    platform::{AccountView, BodyPlan, Call, Info, PrepareError},
    url,
};

pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The address for an operation.
pub(crate) fn uri(
    info: &Info,
    account: &AccountView<'_>,
    operation: Operation,
    query: Option<&str>,
) -> Result<Uri, PrepareError> {
    let path = match operation {
        Operation::Messages => "messages",
        Operation::CountTokens => "messages/count_tokens",
        Operation::Models => "models",
        _ => return Err(PrepareError::Unsupported(operation)),
    };
    let base = if account.base_url.is_empty() { info.default_base_url } else { account.base_url };
    url::under_v1(base, path, query).map_err(PrepareError::BadAddress)
}

/// The method that an operation has upstream, whatever a client used.
pub(crate) fn method(operation: Operation) -> Method {
    if operation == Operation::Models { Method::GET } else { Method::POST }
}

/// A credential field's value.
pub(crate) fn credential<'a>(account: &AccountView<'a>, name: &'static str) -> Result<&'a str, PrepareError> {
    let value = account.credentials.get(name).map(ExposeSecret::expose_secret);
    value.filter(|value| !value.is_empty()).ok_or(PrepareError::NoCredential(name))
}

/// A header's value that is kept out of logs.
pub(crate) fn sensitive(value: &str, field: &'static str) -> Result<HeaderValue, PrepareError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| PrepareError::BadCredential(field))?;
    value.set_sensitive(true);
    Ok(value)
}

/// `Bearer <secret>`.
pub(crate) fn bearer(secret: &str, field: &'static str) -> Result<HeaderValue, PrepareError> {
    sensitive(&format!("Bearer {secret}"), field)
}

/// What every request says, whoever the client is: an answer in plain bytes, the API's version where the client names
/// none, and the account's user agent where it has one.
pub(crate) fn complete(headers: &mut HeaderMap, account: &AccountView<'_>) {
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.entry(VERSION).or_insert(HeaderValue::from_static("2023-06-01"));
    if let Ok(agent) = HeaderValue::from_str(account.user_agent)
        && !agent.is_empty()
    {
        headers.insert(header::USER_AGENT, agent);
    }
}

/// The model to send, and what that makes of the body: nothing, unless a mapping changes the name; then a splice over
/// the name's own bytes and nothing else.
pub(crate) fn body(account: &AccountView<'_>, call: &Call<'_>) -> (BodyPlan, String) {
    let Some(model) = call.model else { return (BodyPlan::AsIs, String::new()) };
    match (mapping::apply(account.model_mapping, model), call.model_span) {
        (Cow::Owned(sent), Some(span)) if sent != model => {
            let with = Bytes::from(serde_json::Value::from(sent.as_str()).to_string());
            (BodyPlan::Splice { range: span.clone(), with }, sent)
        }
        _ => (BodyPlan::AsIs, model.to_owned()),
    }
}

/// The body of a probe: the smallest request that a model answers.
pub(crate) fn probe_body(model: &str) -> Bytes {
    serde_json::json!({
        "model": model,
        "max_tokens": 1,
        "messages": [{ "role": "user", "content": "hi" }],
    })
    .to_string()
    .into()
}
