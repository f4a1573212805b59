//! What an account of this platform brings, and how its key becomes tokens.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use dialects::Dialect;
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::json;

use crate::{
    credentials::{Field, FieldKind},
    oauth::{self, ACCESS, Begin, GrantError, Grants, Tokens, held},
    platform::{AccountView, Info, PrepareError, Prepared},
    request,
};

const SERVICE_ACCOUNT: &str = "service_account";
const PROJECT: &str = "project_id";
const LOCATION: &str = "location";

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long a signed claim is good for, seconds: the most that Google takes.
const LIFE: i64 = 3600;
/// Signed so much before now, seconds, for clocks that differ.
const BACK: i64 = 10;

pub(super) static INFO: Info = Info {
    slug: "vertex",
    name: "Google Vertex AI",
    family: "claude",
    service: "vertex",
    dialect: Dialect::AnthropicMessages,
    also: &[Dialect::Gemini],
    default_base_url: "https://aiplatform.googleapis.com",
    fields: &[
        Field::new(
            SERVICE_ACCOUNT,
            FieldKind::Json,
            "Service account",
            "The JSON key of a service account with the role Vertex AI User.",
        )
        .required()
        .withheld(),
        Field::new(PROJECT, FieldKind::Text, "Project", "Empty: the service account's own."),
        Field::new(LOCATION, FieldKind::Text, "Location", "Such as us-east5; empty: global."),
        Field::new(ACCESS, FieldKind::Secret, "Access token", "Had by itself from the service account."),
    ],
    models: &[
        "claude-opus-5-5",
        "claude-sonnet-5-5",
        "claude-opus-4-6",
        "claude-sonnet-4-6",
        "claude-opus-4-5-20251101",
        "claude-haiku-4-5-20251001",
        "claude-sonnet-4-5-20250929",
        "gemini-3-pro-preview",
        "gemini-2.5-pro",
        "gemini-2.5-flash",
    ],
    notice: "",
    signs_in: false,
};

/// Adds the account's token, the only credential that a request carries.
pub(super) fn authorise(headers: &mut HeaderMap, account: &AccountView<'_>) -> Result<(), PrepareError> {
    let token = request::credential(account, ACCESS)?;
    headers.insert(header::AUTHORIZATION, request::bearer(token, ACCESS)?);
    Ok(())
}

/// The account's location.
pub(super) fn location<'a>(account: &AccountView<'a>) -> &'a str {
    request::credential(account, LOCATION).unwrap_or("global")
}

/// The account's project.
pub(super) fn project<'a>(account: &AccountView<'a>) -> Result<&'a str, PrepareError> {
    request::credential(account, PROJECT)
}

/// Where the account answers.
pub(super) fn base(account: &AccountView<'_>) -> String {
    match (account.base_url, location(account)) {
        ("", "global") => INFO.default_base_url.to_owned(),
        ("", location) => format!("https://{location}-aiplatform.googleapis.com"),
        (base, _) => base.to_owned(),
    }
}

#[derive(Deserialize)]
struct Key {
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: String,
    #[serde(default)]
    project_id: String,
    #[serde(default = "token_uri")]
    token_uri: String,
}

fn token_uri() -> String {
    "https://oauth2.googleapis.com/token".into()
}

impl Key {
    fn read(text: &str) -> Result<Self, GrantError> {
        serde_json::from_str(text).map_err(|_| GrantError::Input("the service account's JSON is not a key"))
    }

    /// A claim that who holds the key is the service account, signed (RFC 7523, RS256).
    fn assertion(&self, now_ms: i64) -> Result<String, GrantError> {
        let now = now_ms.div_euclid(1000);
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.private_key_id });
        let claims = json!({
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": now - BACK,
            "exp": now - BACK + LIFE,
        });
        let part = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = sign(&self.private_key, signed.as_bytes())
            .ok_or(GrantError::Input("the service account's private key is not usable"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn sign(pem: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    use aws_lc_rs::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = STANDARD.decode(body).ok()?;
    let key = KeyPair::from_pkcs8(&der).or_else(|_| KeyPair::from_der(&der)).ok()?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut signature).ok()?;
    Some(signature)
}

/// How a service account's key becomes tokens: nobody is asked, and there is nothing else to keep.
pub(super) struct ServiceAccount;

impl Grants for ServiceAccount {
    fn page(&self, _account: &AccountView<'_>, _begin: &Begin<'_>) -> Option<String> {
        None
    }

    fn exchange(
        &self,
        _account: &AccountView<'_>,
        _begin: &Begin<'_>,
        _code: &str,
    ) -> Result<Prepared, GrantError> {
        Err(GrantError::Input("a service account is not signed in: its key is all it needs"))
    }

    fn refresh(&self, account: &AccountView<'_>, now_ms: i64) -> Result<Prepared, GrantError> {
        let key = Key::read(held(account, SERVICE_ACCOUNT)?)?;
        let assertion = key.assertion(now_ms)?;
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        oauth::form_request(&key.token_uri, &[("grant_type", grant), ("assertion", &assertion)])
    }

    fn told_by_credentials(&self, account: &AccountView<'_>) -> Tokens {
        let mut tokens = Tokens::default();
        let Ok(key) = held(account, SERVICE_ACCOUNT).and_then(Key::read) else { return tokens };
        if request::credential(account, PROJECT).is_err() {
            oauth::issue(&mut tokens, PROJECT, &key.project_id);
        }
        tokens.facts.insert("email".into(), key.client_email.chars().take(256).collect());
        tokens.facts.insert("project".into(), key.project_id.chars().take(256).collect());
        tokens
    }
}
