//! What an account of this platform brings.

use dialects::Dialect;
use http::{HeaderMap, header};

use crate::{
    anthropic_like::API_KEY,
    credentials::{Field, FieldKind},
    platform::{AccountView, Info, PrepareError},
    request,
};

const KEY: &str = "api_key";
const AUTH: &str = "auth";

pub(super) const INFO: Info = Info {
    slug: "claude-console",
    name: "Claude Console",
    family: "claude",
    service: "claude",
    dialect: Dialect::AnthropicMessages,
    also: &[],
    default_base_url: "https://api.anthropic.com",
    fields: &[
        Field {
            name: KEY,
            label: "API key",
            help: "An API key from the Claude Console (sk-ant-…), or the key of a gateway that speaks its API.",
            kind: FieldKind::Secret,
            required: true,
            withheld: false,
        },
        Field {
            name: AUTH,
            label: "Sent as",
            help: "auto: in x-api-key if the key starts with sk-ant-, else as Authorization: Bearer.",
            kind: FieldKind::Choice(&["auto", "x-api-key", "bearer"]),
            required: false,
            withheld: false,
        },
    ],
    models: &[
        "claude-opus-5-5",
        "claude-sonnet-5-5",
        "claude-opus-4-6",
        "claude-sonnet-4-6",
        "claude-opus-4-5-20251101",
        "claude-haiku-4-5-20251001",
        "claude-sonnet-4-5-20250929",
        "claude-opus-4-1-20250805",
        "claude-opus-4-20250514",
        "claude-sonnet-4-20250514",
        "claude-3-7-sonnet-20250219",
        "claude-3-haiku-20240307",
    ],
    notice: "",
    signs_in: false,
};

/// Adds the account's credential, the only one that a request carries.
pub(super) fn authorise(headers: &mut HeaderMap, account: &AccountView<'_>) -> Result<(), PrepareError> {
    let key = request::credential(account, KEY)?;
    let as_header = match request::credential(account, AUTH) {
        Ok("x-api-key") => true,
        Ok("bearer") => false,
        _ => key.starts_with("sk-ant-"),
    };
    if as_header {
        headers.insert(API_KEY, request::sensitive(key, KEY)?);
    } else {
        headers.insert(header::AUTHORIZATION, request::bearer(key, KEY)?);
    }
    Ok(())
}
