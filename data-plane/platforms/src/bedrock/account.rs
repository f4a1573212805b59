//! What an account of this platform brings.

use dialects::Dialect;
use secrecy::ExposeSecret;

use crate::{
    credentials::{Field, FieldKind, Violation},
    platform::{AccountView, Credentials, Info},
    request,
};

pub(super) const API_KEY: &str = "api_key";
pub(super) const KEY_ID: &str = "access_key_id";
pub(super) const SECRET: &str = "secret_access_key";
pub(super) const TOKEN: &str = "session_token";
const REGION: &str = "region";
pub(super) const PROFILE: &str = "inference_profile";

/// Region of accounts that name none.
const DEFAULT_REGION: &str = "us-east-1";

pub(super) static INFO: Info = Info {
    slug: "bedrock",
    name: "Amazon Bedrock",
    family: "claude",
    service: "bedrock",
    dialect: Dialect::AnthropicMessages,
    also: &[],
    default_base_url: "https://bedrock-runtime.us-east-1.amazonaws.com",
    fields: &[
        Field::new(
            API_KEY,
            FieldKind::Secret,
            "API key",
            "A Bedrock API key (sent as bearer); or leave it empty and give an access key.",
        ),
        Field::new(KEY_ID, FieldKind::Text, "Access key ID", "AKIA…, or ASIA… with a session token."),
        Field::new(SECRET, FieldKind::Secret, "Secret access key", "Belongs to the access key ID."),
        Field::new(TOKEN, FieldKind::Secret, "Session token", "Only with temporary credentials."),
        Field::new(REGION, FieldKind::Text, "Region", "Such as eu-central-1; empty: us-east-1."),
        Field::new(
            PROFILE,
            FieldKind::Choice(&["auto", "none", "us", "eu", "apac", "jp", "au", "us-gov", "global"]),
            "Inference profile",
            "Put before model ids: auto: the region's own; none: the model in the region alone.",
        ),
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

/// The account's region.
pub(super) fn region<'a>(account: &AccountView<'a>) -> &'a str {
    request::credential(account, REGION).unwrap_or(DEFAULT_REGION)
}

/// Where the account answers.
pub(super) fn base(account: &AccountView<'_>) -> String {
    if account.base_url.is_empty() {
        format!("https://bedrock-runtime.{}.amazonaws.com", region(account))
    } else {
        account.base_url.to_owned()
    }
}

/// What of the fields is wrong beyond each by itself.
pub(super) fn lacks(given: &Credentials) -> Option<Violation> {
    let has = |name: &str| given.get(name).is_some_and(|value| !value.expose_secret().is_empty());
    let region = given.get(REGION).map(|value| value.expose_secret()).unwrap_or_default();
    let violation = |name: &str, description: &str| {
        Some(Violation { field: format!("credentials.{name}"), description: description.into() })
    };
    if !region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return violation(REGION, "must be a region's name, such as us-east-1");
    }
    match (has(API_KEY), has(KEY_ID), has(SECRET)) {
        (true, ..) | (_, true, true) => None,
        (_, true, false) => violation(SECRET, "is required with an access key ID"),
        (_, false, true) => violation(KEY_ID, "is required with a secret access key"),
        _ => violation(API_KEY, "either an API key or an access key is required"),
    }
}
