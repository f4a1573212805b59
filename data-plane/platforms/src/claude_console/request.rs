//! The request: the client's own, to the account's address, with the account's credential. Documented changes: headers
//! by [`headers::forward`], `accept-encoding: identity`, `anthropic-version` where the client names none, the account's
//! user agent if it has one, and the model's name if the account maps it.

use super::account;
use crate::{
    anthropic_like, headers,
    platform::{AccountView, BodyPlan, Call, PrepareError, Prepared},
    request, url,
};
use dialects::Operation;

pub(super) fn prepare(account: &AccountView<'_>, call: &Call<'_>) -> Result<Prepared, PrepareError> {
    let query = url::without_credentials(call.query, call.relay_secret);
    let uri = anthropic_like::uri(&account::INFO, account, call.operation, query.as_deref())?;
    let mut headers = headers::forward(call);
    anthropic_like::complete(&mut headers, account);
    account::authorise(&mut headers, account)?;
    let model_sent = request::model_sent(account, call);
    let body = request::named_in_body(call, &model_sent);
    Ok(Prepared {
        method: anthropic_like::method(call.operation),
        uri,
        headers,
        body,
        model_sent,
        to_sign: false,
    })
}

pub(super) fn probe(account: &AccountView<'_>, model: &str) -> Result<Prepared, PrepareError> {
    let uri = anthropic_like::uri(&account::INFO, account, Operation::Messages, None)?;
    let mut headers = request::of_our_own();
    anthropic_like::complete(&mut headers, account);
    account::authorise(&mut headers, account)?;
    let model_sent = crate::mapping::apply(account.model_mapping, model).into_owned();
    let body = BodyPlan::Replace(anthropic_like::probe_body(&model_sent));
    Ok(Prepared {
        method: anthropic_like::method(Operation::Messages),
        uri,
        headers,
        body,
        model_sent,
        to_sign: false,
    })
}
