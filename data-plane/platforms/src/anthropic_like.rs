//! What platforms that speak Anthropic's Messages API over a base address have in common. Small functions, each of
//! which a platform may leave out; no platform of its own.

use bytes::Bytes;
use dialects::Operation;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::{
    platform::{AccountView, Info, PrepareError},
    request, url,
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

/// What every request says, whoever the client is: an answer in plain bytes, the API's version where the client names
/// none, and the account's user agent where it has one.
pub(crate) fn complete(headers: &mut HeaderMap, account: &AccountView<'_>) {
    request::complete(headers, account);
    headers.entry(VERSION).or_insert(HeaderValue::from_static("2023-06-01"));
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
