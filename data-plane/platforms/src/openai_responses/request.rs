//! The request: the client's own, to the API or, of accounts that signed in, to ChatGPT's back end. Documented changes
//! as in `openai_like::prepare`; the back end gets the headers that Codex has for it and no others.

use dialects::Operation;
use http::{Method, Uri};

use super::account;
use crate::{
    headers, openai_like,
    platform::{AccountView, BodyPlan, Call, PrepareError, Prepared},
    request, url,
};

/// Of the client's headers, what ChatGPT's back end gets.
const HEADERS: &[&str] = &[
    "accept",
    "content-type",
    "conversation_id",
    "openai-beta",
    "originator",
    "session-id",
    "session_id",
    "thread-id",
    "user-agent",
    "version",
    "x-client-request-id",
    "x-codex-beta-features",
    "x-codex-turn-metadata",
    "x-codex-window-id",
    "x-openai-internal-codex-responses-lite",
];

pub(super) fn prepare(account: &AccountView<'_>, call: &Call<'_>) -> Result<Prepared, PrepareError> {
    let signed_in = account::signed_in(account);
    if signed_in && call.operation != Operation::Responses {
        return Err(PrepareError::Unsupported(call.operation));
    }
    let path = openai_like::path(&account::INFO, call)?;
    let query = url::without_credentials(call.query, call.relay_secret);
    let uri = uri(account, path, query.as_deref())?;
    let mut headers =
        if signed_in { headers::forward_only(call, HEADERS) } else { openai_like::forward(call) };
    request::complete(&mut headers, account);
    account::authorise(&mut headers, account)?;
    let model_sent = request::model_sent(account, call);
    let body = request::named_in_body(call, &model_sent);
    let method = openai_like::method(call.operation);
    Ok(Prepared { method, uri, headers, body, model_sent, to_sign: false })
}

pub(super) fn probe(account: &AccountView<'_>, model: &str) -> Result<Prepared, PrepareError> {
    let model_sent = crate::mapping::apply(account.model_mapping, model).into_owned();
    let mut headers = request::of_our_own();
    request::complete(&mut headers, account);
    account::authorise(&mut headers, account)?;
    let mut body = openai_like::responses_probe(&model_sent);
    if account::signed_in(account) {
        // The back end streams only, takes a list only, and has caps of its own.
        body = serde_json::json!({
            "model": model_sent,
            "instructions": "",
            "input": [{ "role": "user", "content": [{ "type": "input_text", "text": "hi" }] }],
            "store": false,
            "stream": true,
        });
    }
    let body = BodyPlan::Replace(body.to_string().into());
    let uri = uri(account, "responses", None)?;
    Ok(Prepared { method: Method::POST, uri, headers, body, model_sent, to_sign: false })
}

fn uri(account: &AccountView<'_>, path: &str, query: Option<&str>) -> Result<Uri, PrepareError> {
    let base = account::base(account);
    if account::signed_in(account) {
        url::right_under(base, path, query).map_err(PrepareError::BadAddress)
    } else {
        url::under_version(base, path, query).map_err(PrepareError::BadAddress)
    }
}
