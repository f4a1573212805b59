//! What platforms that speak OpenAI's API over a base address have in common. Small functions, each of which a platform
//! may leave out; a platform that leaves out none is its [`Info`] and [`OpenaiLike`].

use dialects::{Dialect, Operation};
use http::{HeaderMap, Method, StatusCode, Uri, header};

use crate::{
    headers,
    platform::{AccountView, BodyPlan, Call, Info, Platform, PrepareError, Prepared},
    request,
    seen::{self, Seen},
    url,
};

/// The credential field that holds the key.
pub(crate) const KEY: &str = "api_key";

/// A platform that is nothing but an address that speaks OpenAI's API with a bearer key.
pub(crate) struct OpenaiLike(pub(crate) &'static Info);

impl Platform for OpenaiLike {
    fn info(&self) -> &'static Info {
        self.0
    }

    fn prepare(&self, account: &AccountView<'_>, call: &Call<'_>) -> Result<Prepared, PrepareError> {
        prepare(self.0, account, call)
    }

    fn probe(&self, account: &AccountView<'_>, model: &str, _now_ms: i64) -> Result<Prepared, PrepareError> {
        probe(self.0, account, model)
    }

    fn response_headers(&self, account: &AccountView<'_>, headers: &HeaderMap) -> HeaderMap {
        headers::answer(account, headers)
    }

    fn seen(&self, status: StatusCode, headers: &HeaderMap, body_head: &[u8], now_ms: i64) -> Seen {
        seen::openai_like(status, headers, body_head, now_ms)
    }
}

/// The client's request with a key as bearer. Documented changes: headers by [`headers::forward`] without those of other
/// vendors' clients, `accept-encoding: identity`, the account's user agent if it has one, and the model's name if the
/// account maps it.
pub(crate) fn prepare(
    info: &Info,
    account: &AccountView<'_>,
    call: &Call<'_>,
) -> Result<Prepared, PrepareError> {
    let query = url::without_credentials(call.query, call.relay_secret);
    let uri = uri(info, account, path(info, call)?, query.as_deref())?;
    let mut headers = forward(call);
    request::complete(&mut headers, account);
    authorise(&mut headers, account)?;
    let model_sent = request::model_sent(account, call);
    let body = request::named_in_body(call, &model_sent);
    Ok(Prepared { method: method(call.operation), uri, headers, body, model_sent, to_sign: false })
}

/// The smallest request that a model answers.
pub(crate) fn probe(info: &Info, account: &AccountView<'_>, model: &str) -> Result<Prepared, PrepareError> {
    let mut headers = request::of_our_own();
    request::complete(&mut headers, account);
    authorise(&mut headers, account)?;
    let model_sent = crate::mapping::apply(account.model_mapping, model).into_owned();
    let (path, body) = if info.dialect == Dialect::OpenaiResponses {
        ("responses", responses_probe(&model_sent))
    } else {
        ("chat/completions", chat_probe(&model_sent))
    };
    let uri = uri(info, account, path, None)?;
    let body = BodyPlan::Replace(body.to_string().into());
    Ok(Prepared { method: Method::POST, uri, headers, body, model_sent, to_sign: false })
}

/// The body of a probe in the chat dialect. No cap on tokens: its name differs between models.
pub(crate) fn chat_probe(model: &str) -> serde_json::Value {
    serde_json::json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] })
}

/// The body of a probe in the Responses dialect.
pub(crate) fn responses_probe(model: &str) -> serde_json::Value {
    serde_json::json!({ "model": model, "input": "hi", "max_output_tokens": 16, "store": false })
}

/// The headers that go on to an upstream of this kind: no client of another vendor's API is to be told of there.
pub(crate) fn forward(call: &Call<'_>) -> HeaderMap {
    headers::forward_but(call, |name| {
        name.starts_with("anthropic-") || name.starts_with("x-goog-") || name == "x-app"
    })
}

/// The path under the API's version.
pub(crate) fn path(info: &Info, call: &Call<'_>) -> Result<&'static str, PrepareError> {
    let speaks = |dialect| info.dialect == dialect || info.also.contains(&dialect);
    Ok(match call.operation {
        Operation::ChatCompletions if speaks(Dialect::OpenaiChat) => "chat/completions",
        Operation::Responses if !speaks(Dialect::OpenaiResponses) => {
            return Err(PrepareError::Unsupported(call.operation));
        }
        Operation::Responses if call.verb == "compact" => "responses/compact",
        Operation::Responses => "responses",
        Operation::Embeddings => "embeddings",
        Operation::Models => "models",
        other => return Err(PrepareError::Unsupported(other)),
    })
}

/// The method that an operation has upstream, whatever a client used.
pub(crate) fn method(operation: Operation) -> Method {
    if operation == Operation::Models { Method::GET } else { Method::POST }
}

/// The address of a path.
pub(crate) fn uri(
    info: &Info,
    account: &AccountView<'_>,
    path: &str,
    query: Option<&str>,
) -> Result<Uri, PrepareError> {
    let base = if account.base_url.is_empty() { info.default_base_url } else { account.base_url };
    url::under_version(base, path, query).map_err(PrepareError::BadAddress)
}

/// Adds the account's key, the only credential that a request carries.
pub(crate) fn authorise(headers: &mut HeaderMap, account: &AccountView<'_>) -> Result<(), PrepareError> {
    let key = request::credential(account, KEY)?;
    headers.insert(header::AUTHORIZATION, request::bearer(key, KEY)?);
    Ok(())
}
