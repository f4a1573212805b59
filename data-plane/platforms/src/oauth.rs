//! Tokens that stand between an account and its requests: how a person permits their use (OAuth 2.0 with PKCE), how an
//! access token is had and renewed, and what else must be asked once there is one. Sans I/O: requests are built and
//! answers read; the control plane sends them, keeps what renews to itself, and gives nodes the access token alone.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::platform::{AccountView, BodyPlan, Credentials, PrepareError, Prepared};

#[cfg(test)]
mod tests;

/// The field that nodes get the access token in.
pub const ACCESS: &str = "access_token";
/// The field that holds what renews it; it never leaves the control plane.
pub const REFRESH: &str = "refresh_token";

/// Whether an account's requests can be made with what it has.
pub enum Credential {
    /// They can.
    Ready,
    /// This request must be answered first: [`Grants::read`] reads the answer.
    Exchange(Box<Prepared>),
}

/// What one person's permission is asked with.
#[derive(Clone, Copy, Debug)]
pub struct Begin<'a> {
    /// PKCE's verifier: 43 to 128 characters that nobody can guess.
    pub verifier: &'a str,
    /// Comes back with the code.
    pub state: &'a str,
    /// Whether a token that lasts a year and cannot be renewed is wanted, where the platform has such.
    pub long_lived: bool,
}

impl Begin<'_> {
    /// PKCE's challenge, method `S256`.
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier))
    }
}

/// What an answer gave. Its `Debug` shows no token.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    /// Fields for nodes: [`ACCESS`] and what else requests carry.
    pub issued: Credentials,
    /// Fields that stay: [`REFRESH`].
    pub kept: Credentials,
    /// When the access token ends, Unix milliseconds; none: not told.
    pub expires_at_ms: Option<i64>,
    /// What people may know: `email`, `plan`, `organization`, `scopes`.
    pub facts: BTreeMap<String, String>,
}

/// Why there are no tokens. Holds no secret and nothing that an answer said but its error's code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// A person must permit it again: what the account has is not accepted any more.
    #[error("the platform does not accept the account's authorisation any more ({0})")]
    Refused(String),
    /// No usable answer; the same may be tried later.
    #[error("the platform gave no token: {0}")]
    Unclear(String),
    /// What was given cannot be used.
    #[error("{0}")]
    Input(&'static str),
    /// The account lacks something.
    #[error(transparent)]
    Account(#[from] PrepareError),
}

/// How a platform's accounts get their tokens.
pub trait Grants: Sync {
    /// The page on which a person permits it; `None`: nobody is asked.
    fn page(&self, account: &AccountView<'_>, begin: &Begin<'_>) -> Option<String>;

    /// The request that turns the code that the page gave into tokens.
    ///
    /// # Errors
    /// When the account or the platform cannot.
    fn exchange(
        &self,
        account: &AccountView<'_>,
        begin: &Begin<'_>,
        code: &str,
    ) -> Result<Prepared, GrantError>;

    /// The request for a new access token. The account's credentials hold here what nodes never see.
    ///
    /// # Errors
    /// When the account has nothing to renew it with.
    fn refresh(&self, account: &AccountView<'_>, now_ms: i64) -> Result<Prepared, GrantError>;

    /// Reads the answer to either.
    ///
    /// # Errors
    /// When it gives no token.
    fn read(&self, status: StatusCode, body: &[u8], now_ms: i64) -> Result<Tokens, GrantError> {
        tokens(status, body, now_ms).map(|(tokens, _)| tokens)
    }

    /// What the account's own credentials tell without anybody being asked: added to every answer's.
    fn told_by_credentials(&self, _account: &AccountView<'_>) -> Tokens {
        Tokens::default()
    }

    /// What must be asked once there is a token, until there is nothing more: `known` is what was learned so far.
    ///
    /// # Errors
    /// When the account cannot ask it.
    fn errand(
        &self,
        _account: &AccountView<'_>,
        _known: &BTreeMap<String, String>,
    ) -> Result<Option<Prepared>, GrantError> {
        Ok(None)
    }

    /// Reads the answer to an errand: fields for nodes and facts for people, and for the next errand.
    ///
    /// # Errors
    /// When it tells nothing.
    fn learn(
        &self,
        _known: &BTreeMap<String, String>,
        _status: StatusCode,
        _body: &[u8],
    ) -> Result<Tokens, GrantError> {
        Ok(Tokens::default())
    }
}

/// The code in what a person pastes: the code itself, with or without `#state`, or the whole address that the page led
/// to, whose state must be the one that was sent.
///
/// # Errors
/// When there is none, or it belongs to another request.
pub fn code(pasted: &str, state: &str) -> Result<String, GrantError> {
    let pasted = pasted.trim();
    let query = pasted.split_once('?').filter(|_| pasted.contains("://")).map(|(_, query)| query);
    let (code, told) = match query {
        Some(query) => {
            let query = query.split('#').next().unwrap_or_default();
            let value = |name: &str| {
                let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| unescaped(value))
            };
            (value("code").unwrap_or_default(), value("state"))
        }
        None => {
            let (code, rest) = pasted.split_once('#').map_or((pasted, None), |(a, b)| (a, Some(b)));
            (code.split('&').next().unwrap_or_default().to_owned(), rest.map(str::to_owned))
        }
    };
    if told.is_some_and(|told| told != state) {
        return Err(GrantError::Input("the code belongs to another request: begin anew"));
    }
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./~+=".contains(&byte);
    if code.len() < 8 || code.len() > 4096 || !code.bytes().all(fine) {
        return Err(GrantError::Input("this is neither a code nor an address that holds one"));
    }
    Ok(code)
}

fn unescaped(text: &str) -> String {
    crate::url::unescape(text)
}

/// A request with a JSON body.
pub(crate) fn json_request(address: &str, body: &Value) -> Result<Prepared, GrantError> {
    request(address, "application/json", body.to_string().into())
}

/// A request with a form.
pub(crate) fn form_request(address: &str, fields: &[(&str, &str)]) -> Result<Prepared, GrantError> {
    let body = form(fields);
    request(address, "application/x-www-form-urlencoded", body.into())
}

/// `a=b&c=d`, escaped.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", crate::url::escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn request(address: &str, content_type: &'static str, body: Bytes) -> Result<Prepared, GrantError> {
    let mut headers = http::HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("claude-relay-service/2"));
    let base = crate::url::base(address).map_err(PrepareError::BadAddress)?;
    let uri = base.parse().map_err(|_| PrepareError::BadAddress("does not make a valid address"))?;
    Ok(Prepared {
        method: Method::POST,
        uri,
        headers,
        body: BodyPlan::Replace(body),
        model_sent: String::new(),
        to_sign: false,
    })
}

/// Codes by which a token endpoint says that only a person can help (RFC 6749, section 5.2).
const FINAL: &[&str] = &[
    "invalid_grant",
    "invalid_client",
    "unauthorized_client",
    "access_denied",
    "refresh_token_expired",
    "refresh_token_reused",
    "refresh_token_invalidated",
];

/// Reads a token endpoint's answer (RFC 6749, section 5), and the whole document for what a platform says beyond it.
pub(crate) fn tokens(status: StatusCode, body: &[u8], now_ms: i64) -> Result<(Tokens, Value), GrantError> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| answer[name].as_str().filter(|text| !text.is_empty());
    if !status.is_success() {
        return Err(refused(status, &answer));
    }
    let Some(access) = text("access_token") else {
        return Err(GrantError::Unclear("its answer holds no access token".into()));
    };
    let mut tokens = Tokens::default();
    tokens.issued.insert(ACCESS.into(), access.into());
    if let Some(refresh) = text("refresh_token") {
        tokens.kept.insert(REFRESH.into(), refresh.into());
    }
    let seconds = answer["expires_in"].as_i64().or_else(|| text("expires_in")?.parse().ok());
    tokens.expires_at_ms = seconds.map(|s| now_ms.saturating_add(s.clamp(0, 400_000_000) * 1000));
    if let Some(scope) = text("scope") {
        tokens.facts.insert("scopes".into(), scope.chars().take(512).collect());
    }
    Ok((tokens, answer))
}

fn refused(status: StatusCode, answer: &Value) -> GrantError {
    let error = &answer["error"];
    let code = error.as_str().or(error["code"].as_str()).or(error["type"].as_str()).unwrap_or_default();
    // A code is a word; whatever else stands there may quote what was sent.
    let word = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let told = if word && !code.is_empty() { code.to_owned() } else { format!("HTTP {}", status.as_u16()) };
    let is_final = FINAL.contains(&code) || (status == StatusCode::UNAUTHORIZED && code.is_empty());
    if is_final { GrantError::Refused(told) } else { GrantError::Unclear(told) }
}

/// A credential that the control plane holds for the account.
pub(crate) fn held<'a>(account: &AccountView<'a>, name: &'static str) -> Result<&'a str, GrantError> {
    let value = account.credentials.get(name).map(ExposeSecret::expose_secret);
    value.filter(|value| !value.is_empty()).ok_or(GrantError::Account(PrepareError::NoCredential(name)))
}

/// The claims of a JSON web token that came straight from who signed it, over TLS: not verified.
pub(crate) fn claims(token: &str) -> Option<Value> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A fact that an answer tells, bounded.
pub(crate) fn fact(facts: &mut BTreeMap<String, String>, name: &str, value: &Value) {
    let text = match value {
        Value::String(text) => text.chars().take(256).collect(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        _ => return,
    };
    if !text.is_empty() {
        facts.insert(name.to_owned(), text);
    }
}

/// A field for nodes.
pub(crate) fn issue(tokens: &mut Tokens, name: &str, value: &str) {
    tokens.issued.insert(name.to_owned(), SecretString::from(value.to_owned()));
}
