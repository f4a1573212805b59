//! The request: the client's own, to the resource's address in the style that the account names. In both styles the
//! deployment stands where Azure looks for it: in the path, or as the body's model by a splice over its name.

use dialects::{Dialect, Operation};
use http::{Method, Uri};

use super::account;
use crate::{
    gemini_like::model_in_path,
    openai_like,
    platform::{AccountView, BodyPlan, Call, PrepareError, Prepared},
    request, url,
};

pub(super) fn prepare(account: &AccountView<'_>, call: &Call<'_>) -> Result<Prepared, PrepareError> {
    let model = request::model_sent(account, call);
    let deployment = account::deployment(account, &model).to_owned();
    let path = openai_like::path(&account::INFO, call)?;
    let query = url::without_credentials(call.query, call.relay_secret);
    let uri = uri(account, call.operation, path, &deployment, query.as_deref())?;
    let mut headers = openai_like::forward(call);
    request::complete(&mut headers, account);
    account::authorise(&mut headers, account)?;
    // Where the path names the deployment nobody reads the body's model.
    let body = if in_path(account, call.operation) {
        BodyPlan::AsIs
    } else {
        request::named_in_body(call, &deployment)
    };
    let method = openai_like::method(call.operation);
    Ok(Prepared { method, uri, headers, body, model_sent: deployment, to_sign: false })
}

pub(super) fn probe(account: &AccountView<'_>, model: &str) -> Result<Prepared, PrepareError> {
    let model = crate::mapping::apply(account.model_mapping, model).into_owned();
    let deployment = account::deployment(account, &model).to_owned();
    let uri = uri(account, Operation::ChatCompletions, "chat/completions", &deployment, None)?;
    let mut headers = request::of_our_own();
    request::complete(&mut headers, account);
    account::authorise(&mut headers, account)?;
    let body = BodyPlan::Replace(openai_like::chat_probe(&deployment).to_string().into());
    Ok(Prepared { method: Method::POST, uri, headers, body, model_sent: deployment, to_sign: false })
}

/// Whether the path names the deployment. Responses and the list of models never did.
fn in_path(account: &AccountView<'_>, operation: Operation) -> bool {
    !account::is_v1(account) && matches!(operation, Operation::ChatCompletions | Operation::Embeddings)
}

fn uri(
    account: &AccountView<'_>,
    operation: Operation,
    path: &str,
    deployment: &str,
    query: Option<&str>,
) -> Result<Uri, PrepareError> {
    let base = resource(account.base_url)?;
    let client = query.unwrap_or_default().split('&');
    let version = account::version(account, operation == Operation::Responses);
    let named = version.map(|version| format!("api-version={version}"));
    let kept = client.filter(|pair| !pair.is_empty() && !pair.starts_with("api-version="));
    let query: Vec<&str> = kept.chain(named.as_deref()).collect();
    let place = if account::is_v1(account) {
        "openai/v1".to_owned()
    } else if in_path(account, operation) {
        format!("openai/deployments/{}", model_in_path(deployment)?)
    } else {
        "openai".to_owned()
    };
    let mark = if query.is_empty() { "" } else { "?" };
    let text = format!("{base}/{place}/{path}{mark}{}", query.join("&"));
    text.parse().map_err(|_| PrepareError::BadAddress("does not make a valid address"))
}

/// The resource's address: people also give it with what the portal shows behind it.
fn resource(address: &str) -> Result<&str, PrepareError> {
    let base = url::base(address).map_err(PrepareError::BadAddress)?;
    Ok(base.find("/openai").map_or(base, |at| &base[..at]))
}

/// The dialect in which a deployment is asked.
pub(super) fn dialect(wanted: Dialect) -> Dialect {
    if wanted == Dialect::OpenaiResponses { wanted } else { Dialect::OpenaiChat }
}
