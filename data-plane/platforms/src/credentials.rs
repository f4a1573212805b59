//! What an account of a platform must and may bring, as data: it draws the forms of UI and CLI, and one check serves
//! all platforms.

use proto::types::CredentialField;
use secrecy::ExposeSecret;

use crate::{platform::Credentials, platform::Info, url};

#[cfg(test)]
mod tests;

/// How a field is entered and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Hidden.
    Secret,
    /// Plain text.
    Text,
    /// An address.
    Url,
    /// A JSON document.
    Json,
    /// One of a few words; the first is meant where none is given.
    Choice(&'static [&'static str]),
}

impl FieldKind {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Text => "text",
            Self::Url => "url",
            Self::Json => "json",
            Self::Choice(_) => "choice",
        }
    }
}

/// One field.
#[derive(Debug)]
pub struct Field {
    /// Its name in an account's credentials.
    pub name: &'static str,
    /// Its label for people.
    pub label: &'static str,
    /// What to put there and where to find it.
    pub help: &'static str,
    /// How it is entered.
    pub kind: FieldKind,
    /// Whether an account without it is refused.
    pub required: bool,
    /// Whether it stays with the control plane: nodes get what it is exchanged for.
    pub withheld: bool,
}

impl Field {
    /// An optional field of a kind.
    pub const fn new(name: &'static str, kind: FieldKind, label: &'static str, help: &'static str) -> Self {
        Self { name, label, help, kind, required: false, withheld: false }
    }

    /// The same, without which an account is refused.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// The same, which no node gets.
    #[must_use]
    pub const fn withheld(self) -> Self {
        Self { withheld: true, ..self }
    }
}

impl From<&Field> for CredentialField {
    fn from(field: &Field) -> Self {
        let choices = if let FieldKind::Choice(choices) = field.kind { choices } else { &[] };
        Self {
            name: field.name.into(),
            label: field.label.into(),
            help: field.help.into(),
            kind: field.kind.as_str().into(),
            required: field.required,
            withheld: field.withheld,
            choices: choices.iter().map(|&choice| choice.into()).collect(),
        }
    }
}

/// Fields that are settings and no secrets, of all platforms: their values may stand anywhere.
const SETTINGS: &[&str] = &[
    "access_key_id",
    "api_version",
    "auth",
    "betas",
    "chatgpt_account_id",
    "client_id",
    "deployment",
    "inference_profile",
    "location",
    "organization",
    "project",
    "project_id",
    "region",
    "responses",
    "token_url",
    "url_style",
];

/// Secrets shorter than this are no secrets but choices and names, which may stand in any text.
const MIN_SECRET: usize = 8;

/// The values that must not be seen by anyone.
pub fn secrets(given: &Credentials) -> impl Iterator<Item = &str> {
    let secret = given.iter().filter(|(name, _)| !SETTINGS.contains(&name.as_str()));
    secret.map(|(_, value)| value.expose_secret()).filter(|value| value.len() >= MIN_SECRET)
}

/// Something wrong with what was given. Never says the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// `credentials.<name>` or `base_url`.
    pub field: String,
    /// What is wrong.
    pub description: String,
}

impl Violation {
    fn of(name: &str, description: impl Into<String>) -> Self {
        Self { field: format!("credentials.{name}"), description: description.into() }
    }
}

/// Whether these credentials and this address fit the platform.
///
/// # Errors
/// All that does not.
pub fn check(info: &Info, given: &Credentials, base_url: &str) -> Result<(), Vec<Violation>> {
    let mut found = Vec::new();
    for field in info.fields {
        let value = given.get(field.name).map(ExposeSecret::expose_secret).unwrap_or_default();
        if value.is_empty() {
            if field.required {
                found.push(Violation::of(field.name, format!("{} is required", field.label)));
            }
        } else if let Some(wrong) = wrong_value(field, value) {
            found.push(Violation::of(field.name, wrong));
        }
    }
    for name in given.keys().filter(|name| info.fields.iter().all(|field| field.name != name.as_str())) {
        found.push(Violation::of(name, format!("{} has no such field", info.name)));
    }
    let address = if base_url.is_empty() { info.default_base_url } else { base_url };
    if let Err(reason) = url::base(address) {
        found.push(Violation { field: "base_url".into(), description: reason.into() });
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

fn wrong_value(field: &Field, value: &str) -> Option<String> {
    match field.kind {
        FieldKind::Choice(choices) if !choices.contains(&value) => {
            Some(format!("must be one of: {}", choices.join(", ")))
        }
        FieldKind::Url => url::base(value).err().map(Into::into),
        FieldKind::Json => {
            let json = serde_json::from_str::<serde::de::IgnoredAny>(value);
            json.is_err().then(|| "is not valid JSON".into())
        }
        FieldKind::Secret if value.trim() != value => Some("starts or ends with blanks".into()),
        FieldKind::Secret | FieldKind::Text if value.bytes().any(|byte| !(0x20..0x7f).contains(&byte)) => {
            Some("has characters that no header can carry".into())
        }
        _ => None,
    }
}
