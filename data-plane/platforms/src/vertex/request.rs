//! The request, to the publisher of the model. Of Claude's the body changes by splices: `model` goes, since the address
//! names it, and `anthropic_version` comes where the body has none. Gemini's body stays as it came.

use dialects::{Dialect, Operation};
use http::{Method, Uri};

use super::account;
use crate::{
    anthropic_cloud, gemini_like, headers, mapping,
    platform::{AccountView, BodyPlan, Call, PrepareError, Prepared},
    request, url,
};

/// The API's version in the body.
const VERSION: &str = "vertex-2023-10-16";

/// Of the client's headers, what goes on.
const HEADERS: &[&str] =
    &["accept", "accept-language", "anthropic-beta", "content-type", "user-agent", "x-goog-api-client"];

pub(super) fn prepare(account: &AccountView<'_>, call: &Call<'_>) -> Result<Prepared, PrepareError> {
    let sent = model_sent(account, call.model.unwrap_or_default());
    let mut headers = headers::forward_only(call, HEADERS);
    request::complete(&mut headers, account);
    account::authorise(&mut headers, account)?;
    let (uri, body) = if call.dialect == Dialect::AnthropicMessages {
        claude(account, call, &sent)?
    } else {
        gemini(account, call, &sent)?
    };
    Ok(Prepared { method: Method::POST, uri, headers, body, model_sent: sent, to_sign: false })
}

fn claude(account: &AccountView<'_>, call: &Call<'_>, model: &str) -> Result<(Uri, BodyPlan), PrepareError> {
    let plan = anthropic_cloud::Plan { version: VERSION, betas: None, keeps_stream: true };
    match call.operation {
        Operation::Messages => {
            let verb = if call.stream { "streamRawPredict" } else { "rawPredict" };
            Ok((uri(account, "anthropic", model, verb, None)?, plan.of(call)))
        }
        // The one method whose body names the model.
        Operation::CountTokens => {
            let uri = uri(account, "anthropic", "count-tokens", "rawPredict", None)?;
            Ok((uri, request::named_in_body(call, model)))
        }
        other => Err(PrepareError::Unsupported(other)),
    }
}

fn gemini(account: &AccountView<'_>, call: &Call<'_>, model: &str) -> Result<(Uri, BodyPlan), PrepareError> {
    if !matches!(call.operation, Operation::GenerateContent | Operation::CountTokens) {
        return Err(PrepareError::Unsupported(call.operation));
    }
    let client = url::without_credentials(call.query, call.relay_secret);
    let query = gemini_like::query(client, call.stream);
    let uri = uri(account, "google", model, gemini_like::verb(call)?, query.as_deref())?;
    Ok((uri, BodyPlan::AsIs))
}

pub(super) fn probe(account: &AccountView<'_>, model: &str) -> Result<Prepared, PrepareError> {
    let sent = model_sent(account, model);
    let mut headers = request::of_our_own();
    request::complete(&mut headers, account);
    account::authorise(&mut headers, account)?;
    let (uri, body) = if proto::rules::family::is_claude(&sent) {
        (uri(account, "anthropic", &sent, "rawPredict", None)?, anthropic_cloud::probe_body(VERSION))
    } else {
        let body = gemini_like::probe_body().to_string().into();
        (uri(account, "google", &sent, "generateContent", None)?, body)
    };
    let body = BodyPlan::Replace(body);
    Ok(Prepared { method: Method::POST, uri, headers, body, model_sent: sent, to_sign: false })
}

fn uri(
    account: &AccountView<'_>,
    publisher: &str,
    model: &str,
    verb: &str,
    query: Option<&str>,
) -> Result<Uri, PrepareError> {
    let place = |text: &str| gemini_like::model_in_path(text);
    let path = format!(
        "projects/{}/locations/{}/publishers/{publisher}/models/{}:{verb}",
        place(account::project(account)?)?,
        place(account::location(account))?,
        place(model)?,
    );
    url::under(&account::base(account), "v1", &path, query).map_err(PrepareError::BadAddress)
}

/// The name to send for a model that is asked for: the account's mapping, then of Claude's dated names Vertex's form.
pub(super) fn model_sent(account: &AccountView<'_>, model: &str) -> String {
    let model = mapping::apply(account.model_mapping, model);
    let model = model.strip_suffix("[1m]").unwrap_or(&model);
    match model.rsplit_once('-') {
        Some((name, date))
            if model.starts_with("claude-")
                && date.len() == 8
                && date.bytes().all(|b| b.is_ascii_digit()) =>
        {
            format!("{name}@{date}")
        }
        _ => model.to_owned(),
    }
}
