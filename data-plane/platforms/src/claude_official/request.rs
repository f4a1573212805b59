//! The request: a genuine Claude Code client's own, with the account's token. Nothing is made up for others: what does
//! not come from Claude Code is not served. Documented changes: headers by [`headers::forward`], the betas that a token
//! needs, `accept-encoding: identity`, the account's user agent if it has one, the model's name if the account maps it.

use dialects::{Operation, client};
use http::{HeaderMap, HeaderValue};

use super::account;
use crate::{
    anthropic_like, headers,
    platform::{AccountView, BodyPlan, Call, PrepareError, Prepared},
    request, url,
};

const BETA: &str = "anthropic-beta";

pub(super) fn prepare(account: &AccountView<'_>, call: &Call<'_>) -> Result<Prepared, PrepareError> {
    if !is_genuine(call) {
        return Err(PrepareError::OtherClient("Claude Code"));
    }
    let query = url::without_credentials(call.query, call.relay_secret);
    let uri = anthropic_like::uri(&account::INFO, account, call.operation, query.as_deref())?;
    let mut headers = headers::forward(call);
    anthropic_like::complete(&mut headers, account);
    account::authorise(&mut headers, account)?;
    name_betas(&mut headers, account)?;
    let model_sent = request::model_sent(account, call);
    let body = request::named_in_body(call, &model_sent);
    let method = anthropic_like::method(call.operation);
    Ok(Prepared { method, uri, headers, body, model_sent, to_sign: false })
}

/// A probe asks as this relay and not as a client; the upstream may well refuse it what it gives to Claude Code.
pub(super) fn probe(account: &AccountView<'_>, model: &str) -> Result<Prepared, PrepareError> {
    let uri = anthropic_like::uri(&account::INFO, account, Operation::Messages, None)?;
    let mut headers = request::of_our_own();
    anthropic_like::complete(&mut headers, account);
    account::authorise(&mut headers, account)?;
    name_betas(&mut headers, account)?;
    let model_sent = crate::mapping::apply(account.model_mapping, model).into_owned();
    let body = BodyPlan::Replace(anthropic_like::probe_body(&model_sent));
    let method = anthropic_like::method(Operation::Messages);
    Ok(Prepared { method, uri, headers, body, model_sent, to_sign: false })
}

/// Whether a request comes from Claude Code, by traits that hold over its releases: its user agent, its headers, and of
/// a turn of a conversation the device and session in its metadata, in either form that it was ever written.
fn is_genuine(call: &Call<'_>) -> bool {
    let named = client::kind(call.headers, Some(call.peek)) == Some("claude_code");
    if call.operation == Operation::Models {
        return named;
    }
    let has_betas = call.headers.contains_key(BETA);
    // Its counts of tokens carry no metadata.
    let told = call.operation != Operation::Messages || call.peek.user_id.as_deref().is_some_and(is_user_id);
    named && has_betas && told
}

/// `user_<64 hex>_account_<uuid or nothing>_session_<uuid>`, or JSON with `device_id` and `session_id`.
fn is_user_id(text: &str) -> bool {
    let hex = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let uuid = |text: &str| text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if let Some(rest) = text.strip_prefix("user_") {
        let parts = rest.split_once("_account_").and_then(|(device, rest)| {
            let (account, session) = rest.split_once("_session_")?;
            Some((device, account, session))
        });
        return parts.is_some_and(|(device, account, session)| {
            hex(device) && (account.is_empty() || uuid(account)) && uuid(session)
        });
    }
    let Ok(json) = serde_json::from_str::<serde_json::Value>(text) else { return false };
    let is = |field: &str, test: &dyn Fn(&str) -> bool| json[field].as_str().is_some_and(test);
    is("device_id", &hex) && is("session_id", &uuid)
}

/// Adds the betas that a token needs to the client's, which stay as they are.
fn name_betas(headers: &mut HeaderMap, account: &AccountView<'_>) -> Result<(), PrepareError> {
    let lines = headers.get_all(BETA).iter().filter_map(|value| value.to_str().ok());
    let own: Vec<String> = lines.map(str::to_owned).collect();
    let names = |beta: &str| own.iter().flat_map(|line| line.split(',')).any(|name| name.trim() == beta);
    let missing: Vec<&str> = account::betas(account).filter(|beta| !names(beta)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let all = own.iter().map(String::as_str).chain(missing).collect::<Vec<_>>().join(",");
    let value = HeaderValue::from_str(&all).map_err(|_| PrepareError::BadCredential("betas"))?;
    headers.insert(BETA, value);
    Ok(())
}
