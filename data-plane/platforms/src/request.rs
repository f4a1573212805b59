//! What requests to platforms of all kinds have in common: the account's credential in a header, the plain encoding, the
//! mapped model. Small functions, each of which a platform may leave out.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use secrecy::ExposeSecret;

use crate::{
    mapping,
    platform::{AccountView, BodyPlan, Call, PrepareError},
};

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

/// What every request says, whoever the client is: an answer in plain bytes, and the account's user agent if it has one.
pub(crate) fn complete(headers: &mut HeaderMap, account: &AccountView<'_>) {
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Ok(agent) = HeaderValue::from_str(account.user_agent)
        && !agent.is_empty()
    {
        headers.insert(header::USER_AGENT, agent);
    }
}

/// Headers of a request with a JSON body that no client made.
pub(crate) fn of_our_own() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
}

/// The model to send; empty: the call names none.
pub(crate) fn model_sent(account: &AccountView<'_>, call: &Call<'_>) -> String {
    call.model.map(|model| mapping::apply(account.model_mapping, model).into_owned()).unwrap_or_default()
}

/// What a model to send makes of a body that names it: nothing, unless its name is another; then a splice over the
/// name's own bytes and nothing else.
pub(crate) fn named_in_body(call: &Call<'_>, sent: &str) -> BodyPlan {
    match (&call.peek.model_span, call.model) {
        (Some(span), Some(model)) if model != sent => BodyPlan::splice(span.clone(), json_text(sent)),
        _ => BodyPlan::AsIs,
    }
}

/// A text as JSON writes it.
pub(crate) fn json_text(text: &str) -> Bytes {
    serde_json::Value::from(text).to_string().into()
}
