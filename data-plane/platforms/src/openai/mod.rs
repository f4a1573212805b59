//! OpenAI's API, or any address that speaks it, with an API key. The client's request goes on as it came; what changes
//! is named in `openai_like::prepare`. Accounts at other addresses say whether those offer the Responses API.

#[cfg(test)]
mod tests;

use dialects::{Dialect, Operation};
use http::{HeaderMap, HeaderName, StatusCode};

use crate::{
    credentials::{Field, FieldKind},
    openai_like::{KEY, OpenaiLike},
    platform::{AccountView, Call, Info, Platform, PrepareError, Prepared},
    request,
    seen::Seen,
};

const RESPONSES: &str = "responses";
const ORGANISATION: &str = "organization";
const PROJECT: &str = "project";

/// The platform.
pub(crate) struct Openai;

static INFO: Info = Info {
    slug: "openai",
    name: "OpenAI",
    family: "openai",
    service: "openai",
    dialect: Dialect::OpenaiChat,
    also: &[Dialect::OpenaiResponses],
    default_base_url: "https://api.openai.com",
    fields: &[
        Field::new(
            KEY,
            FieldKind::Secret,
            "API key",
            "An API key (sk-…) of the address that the account names.",
        )
        .required(),
        Field::new(
            RESPONSES,
            FieldKind::Choice(&["auto", "yes", "no"]),
            "Responses API",
            "auto: used at OpenAI's own address; elsewhere requests are asked for as chat completions.",
        ),
        Field::new(
            ORGANISATION,
            FieldKind::Text,
            "Organization",
            "Sent as OpenAI-Organization; usually empty.",
        ),
        Field::new(PROJECT, FieldKind::Text, "Project", "Sent as OpenAI-Project; usually empty."),
    ],
    models: &[
        "gpt-5.1",
        "gpt-5",
        "gpt-5-mini",
        "gpt-5-nano",
        "gpt-4.1",
        "gpt-4.1-mini",
        "gpt-4.1-nano",
        "gpt-4o",
        "gpt-4o-mini",
        "o3",
        "o4-mini",
        "text-embedding-3-small",
        "text-embedding-3-large",
    ],
    notice: "",
    signs_in: false,
};

/// All but the choice of API and who is charged is as at any such address.
const LIKE: OpenaiLike = OpenaiLike(&INFO);

/// Whether the account's address offers the Responses API.
fn offers_responses(account: &AccountView<'_>) -> bool {
    match request::credential(account, RESPONSES) {
        Ok("yes") => true,
        Ok("no") => false,
        _ => account.base_url.is_empty() || account.base_url.starts_with(INFO.default_base_url),
    }
}

/// Names the organisation and project that the account is to be charged to.
fn charge(headers: &mut HeaderMap, account: &AccountView<'_>) -> Result<(), PrepareError> {
    for (field, name) in [(ORGANISATION, "openai-organization"), (PROJECT, "openai-project")] {
        if let Ok(value) = request::credential(account, field) {
            let value = value.parse().map_err(|_| PrepareError::BadCredential(field))?;
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    Ok(())
}

impl Platform for Openai {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn dialect(&self, account: &AccountView<'_>, wanted: Dialect, _model: &str) -> Dialect {
        let native = wanted == Dialect::OpenaiResponses && offers_responses(account);
        if native { wanted } else { Dialect::OpenaiChat }
    }

    fn prepare(&self, account: &AccountView<'_>, call: &Call<'_>) -> Result<Prepared, PrepareError> {
        if call.operation == Operation::Responses && !offers_responses(account) {
            return Err(PrepareError::Unsupported(call.operation));
        }
        let mut prepared = LIKE.prepare(account, call)?;
        charge(&mut prepared.headers, account)?;
        Ok(prepared)
    }

    fn probe(&self, account: &AccountView<'_>, model: &str, now_ms: i64) -> Result<Prepared, PrepareError> {
        let mut prepared = LIKE.probe(account, model, now_ms)?;
        charge(&mut prepared.headers, account)?;
        Ok(prepared)
    }

    fn response_headers(&self, account: &AccountView<'_>, headers: &HeaderMap) -> HeaderMap {
        LIKE.response_headers(account, headers)
    }

    fn seen(&self, status: StatusCode, headers: &HeaderMap, body_head: &[u8], now_ms: i64) -> Seen {
        LIKE.seen(status, headers, body_head, now_ms)
    }
}
