//! What an account of this platform brings.

use dialects::Dialect;
use http::{HeaderMap, header};

use crate::{
    credentials::{Field, FieldKind},
    platform::{AccountView, Info, PrepareError},
    request,
};

const KEY: &str = "api_key";

pub(super) const INFO: Info = Info {
    slug: "ccr",
    name: "Claude Code Router",
    family: "claude",
    service: "ccr",
    dialect: Dialect::AnthropicMessages,
    also: &[],
    default_base_url: "",
    fields: &[Field {
        name: KEY,
        label: "API key",
        help: "The key that the router's own configuration names (APIKEY).",
        kind: FieldKind::Secret,
        required: true,
        withheld: false,
    }],
    models: &[],
    notice: "Usage is what the router reports; some routers report less than they used.",
    signs_in: false,
};

/// Adds the account's credential, the only one that a request carries.
pub(super) fn authorise(headers: &mut HeaderMap, account: &AccountView<'_>) -> Result<(), PrepareError> {
    let key = request::credential(account, KEY)?;
    headers.insert(header::AUTHORIZATION, request::bearer(key, KEY)?);
    Ok(())
}
