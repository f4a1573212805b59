//! What an account of this platform brings.

use dialects::Dialect;
use http::{HeaderMap, HeaderName, header};

use crate::{
    credentials::{Field, FieldKind},
    platform::{AccountView, Info, PrepareError},
    request,
};

const KEY: &str = "api_key";
const AUTH: &str = "auth";
const STYLE: &str = "url_style";
const VERSION: &str = "api_version";
const DEPLOYMENT: &str = "deployment";
const KEY_HEADER: HeaderName = HeaderName::from_static("api-key");

/// The version of the API where the account names none, and that of its Responses.
const VERSION_OF_OLD: &str = "2024-10-21";
const VERSION_OF_RESPONSES: &str = "2025-04-01-preview";

pub(super) static INFO: Info = Info {
    slug: "azure-openai",
    name: "Azure OpenAI",
    family: "openai",
    service: "azure",
    dialect: Dialect::OpenaiChat,
    also: &[Dialect::OpenaiResponses],
    default_base_url: "",
    fields: &[
        Field::new(
            KEY,
            FieldKind::Secret,
            "Key or token",
            "A key of the resource (Keys and Endpoint), or a Microsoft Entra token.",
        )
        .required(),
        Field::new(
            AUTH,
            FieldKind::Choice(&["api-key", "bearer"]),
            "Sent as",
            "api-key: in the api-key header; bearer: as Authorization, for Entra tokens.",
        ),
        Field::new(
            STYLE,
            FieldKind::Choice(&["deployments", "v1"]),
            "Addresses",
            "deployments: /openai/deployments/{name}/… with an API version; v1: /openai/v1/….",
        ),
        Field::new(
            VERSION,
            FieldKind::Text,
            "API version",
            "Such as 2024-10-21; empty: the newest stable one. In style v1 it is sent only if set.",
        ),
        Field::new(
            DEPLOYMENT,
            FieldKind::Text,
            "Deployment",
            "The deployment that serves every model; empty: the deployment is named as the model (after mapping).",
        ),
    ],
    models: &[
        "gpt-5.1",
        "gpt-5",
        "gpt-5-mini",
        "gpt-4.1",
        "gpt-4.1-mini",
        "gpt-4o",
        "gpt-4o-mini",
        "o4-mini",
        "text-embedding-3-small",
        "text-embedding-3-large",
    ],
    notice: "",
    signs_in: false,
};

/// Adds the account's credential, the only one that a request carries.
pub(super) fn authorise(headers: &mut HeaderMap, account: &AccountView<'_>) -> Result<(), PrepareError> {
    let key = request::credential(account, KEY)?;
    if request::credential(account, AUTH) == Ok("bearer") {
        headers.insert(header::AUTHORIZATION, request::bearer(key, KEY)?);
    } else {
        headers.insert(KEY_HEADER, request::sensitive(key, KEY)?);
    }
    Ok(())
}

/// Whether addresses are those of the API without deployments in paths.
pub(super) fn is_v1(account: &AccountView<'_>) -> bool {
    request::credential(account, STYLE) == Ok("v1")
}

/// The API version to name in the query.
pub(super) fn version<'a>(account: &AccountView<'a>, for_responses: bool) -> Option<&'a str> {
    let set = request::credential(account, VERSION).ok();
    let default = if for_responses { VERSION_OF_RESPONSES } else { VERSION_OF_OLD };
    set.or_else(|| (!is_v1(account)).then_some(default))
}

/// The deployment that serves a model.
pub(super) fn deployment<'a>(account: &AccountView<'a>, model: &'a str) -> &'a str {
    request::credential(account, DEPLOYMENT).unwrap_or(model)
}
