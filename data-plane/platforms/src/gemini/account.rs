//! What an account of this platform brings, how it gets its tokens, and how its project is found.

use std::collections::BTreeMap;

use dialects::Dialect;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::{Value, json};

use crate::{
    credentials::{Field, FieldKind},
    oauth::{self, ACCESS, Begin, GrantError, Grants, REFRESH, Tokens, held},
    platform::{AccountView, BodyPlan, Info, PrepareError, Prepared},
    request, url,
};

/// The public client of Gemini CLI.
const CLIENT: &str = "681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com";
const PAGE: &str = "https://accounts.google.com/o/oauth2/v2/auth";
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
const REDIRECT: &str = "https://codeassist.google.com/authcode";
const SCOPES: &str = "https://www.googleapis.com/auth/cloud-platform";

pub(super) const PROJECT: &str = "project_id";
const TOKEN_ADDRESS: &str = "token_url";
const CLIENT_ID: &str = "client_id";
const CLIENT_SECRET: &str = "client_secret";

/// What is known so far of where the account stands with Code Assist.
const TIER: &str = "tier";
const ONBOARDING: &str = "onboarding";

pub(super) static INFO: Info = Info {
    slug: "gemini",
    name: "Gemini Code Assist",
    family: "gemini",
    service: "gemini",
    dialect: Dialect::Gemini,
    also: &[],
    default_base_url: "https://cloudcode-pa.googleapis.com",
    fields: &[
        Field::new(ACCESS, FieldKind::Secret, "Access token", "Had by signing in."),
        Field::new(
            REFRESH,
            FieldKind::Secret,
            "Refresh token",
            "Of an account that was signed in elsewhere.",
        )
        .withheld(),
        Field::new(
            CLIENT_ID,
            FieldKind::Text,
            "Client ID",
            "Of an OAuth client; empty: Gemini CLI's public one.",
        )
        .withheld(),
        Field::new(
            CLIENT_SECRET,
            FieldKind::Secret,
            "Client secret",
            "Belongs to the client ID. Gemini CLI's is published in its source.",
        )
        .withheld(),
        Field::new(
            PROJECT,
            FieldKind::Text,
            "Project",
            "A Google Cloud project; empty: found when signing in.",
        ),
        Field::new(
            TOKEN_ADDRESS,
            FieldKind::Url,
            "Token address",
            "Where tokens are had; empty: the platform's own.",
        )
        .withheld(),
    ],
    models: &["gemini-3-pro-preview", "gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite"],
    notice: "Somebody's own Google account. Google's terms for Gemini Code Assist let its holder alone use it; \
             a Gemini API key or Vertex AI is the documented way.",
    signs_in: true,
};

/// Adds the account's token, the only credential that a request carries.
pub(super) fn authorise(headers: &mut HeaderMap, account: &AccountView<'_>) -> Result<(), PrepareError> {
    let token = request::credential(account, ACCESS)?;
    headers.insert(header::AUTHORIZATION, request::bearer(token, ACCESS)?);
    Ok(())
}

/// The address of a method of `v1internal`.
pub(super) fn uri(account: &AccountView<'_>, method: &str, query: Option<&str>) -> Result<Uri, PrepareError> {
    let base = if account.base_url.is_empty() { INFO.default_base_url } else { account.base_url };
    url::right_under(base, &format!("v1internal:{method}"), query).map_err(PrepareError::BadAddress)
}

/// How accounts get their tokens and their project.
pub(super) struct CodeAssist;

fn client<'a>(account: &AccountView<'a>) -> Result<(&'a str, &'a str), GrantError> {
    let id = request::credential(account, CLIENT_ID).unwrap_or(CLIENT);
    Ok((id, held(account, CLIENT_SECRET)?))
}

fn token_url<'a>(account: &AccountView<'a>) -> &'a str {
    request::credential(account, TOKEN_ADDRESS).unwrap_or(TOKEN_URL)
}

fn ask(account: &AccountView<'_>, method: &str, body: &Value) -> Result<Prepared, GrantError> {
    let mut headers = request::of_our_own();
    request::complete(&mut headers, account);
    authorise(&mut headers, account)?;
    let body = BodyPlan::Replace(body.to_string().into());
    let uri = uri(account, method, None)?;
    Ok(Prepared { method: Method::POST, uri, headers, body, model_sent: String::new(), to_sign: false })
}

fn metadata() -> Value {
    json!({
        "ideType": "IDE_UNSPECIFIED", "platform": "PLATFORM_UNSPECIFIED", "pluginType": "GEMINI",
    })
}

impl Grants for CodeAssist {
    fn page(&self, account: &AccountView<'_>, begin: &Begin<'_>) -> Option<String> {
        let challenge = begin.challenge();
        let query = oauth::form(&[
            ("response_type", "code"),
            ("client_id", request::credential(account, CLIENT_ID).unwrap_or(CLIENT)),
            ("redirect_uri", REDIRECT),
            ("scope", SCOPES),
            ("access_type", "offline"),
            ("prompt", "consent select_account"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", begin.state),
        ]);
        Some(format!("{PAGE}?{query}"))
    }

    fn exchange(
        &self,
        account: &AccountView<'_>,
        begin: &Begin<'_>,
        code: &str,
    ) -> Result<Prepared, GrantError> {
        let (id, secret) = client(account)?;
        oauth::form_request(
            token_url(account),
            &[
                ("grant_type", "authorization_code"),
                ("client_id", id),
                ("client_secret", secret),
                ("code", code),
                ("redirect_uri", REDIRECT),
                ("code_verifier", begin.verifier),
            ],
        )
    }

    fn refresh(&self, account: &AccountView<'_>, _now_ms: i64) -> Result<Prepared, GrantError> {
        let token = held(account, REFRESH)?;
        let (id, secret) = client(account)?;
        oauth::form_request(
            token_url(account),
            &[
                ("grant_type", "refresh_token"),
                ("client_id", id),
                ("client_secret", secret),
                ("refresh_token", token),
            ],
        )
    }

    /// `loadCodeAssist` tells tier and project; without a project `onboardUser` is asked until it has made one.
    fn errand(
        &self,
        account: &AccountView<'_>,
        known: &BTreeMap<String, String>,
    ) -> Result<Option<Prepared>, GrantError> {
        if known.contains_key("project") || request::credential(account, PROJECT).is_ok() {
            return Ok(None);
        }
        let tier = known.get(TIER);
        match (tier, known.contains_key(ONBOARDING)) {
            (None, _) => ask(account, "loadCodeAssist", &json!({ "metadata": metadata() })).map(Some),
            (Some(tier), _) => {
                let body = json!({ "tierId": tier, "metadata": metadata() });
                ask(account, "onboardUser", &body).map(Some)
            }
        }
    }

    fn learn(
        &self,
        _known: &BTreeMap<String, String>,
        status: StatusCode,
        body: &[u8],
    ) -> Result<Tokens, GrantError> {
        if !status.is_success() {
            return Err(GrantError::Unclear(format!("Code Assist answers {}", status.as_u16())));
        }
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut tokens = Tokens::default();
        let loaded = &answer["cloudaicompanionProject"];
        let made = &answer["response"]["cloudaicompanionProject"]["id"];
        if let Some(project) = loaded.as_str().or(made.as_str()).filter(|project| project.len() <= 128) {
            oauth::issue(&mut tokens, PROJECT, project);
            tokens.facts.insert("project".into(), project.to_owned());
        }
        let default = answer["allowedTiers"]
            .as_array()
            .and_then(|tiers| tiers.iter().find(|tier| tier["isDefault"] == true))
            .map_or(&Value::Null, |tier| &tier["id"]);
        let current = &answer["currentTier"]["id"];
        let tier = if current.is_string() { current } else { default };
        if let Some(tier) = tier.as_str() {
            tokens.facts.insert(TIER.into(), tier.to_owned());
            tokens.facts.insert("plan".into(), tier.to_owned());
        } else if answer.get("done").is_some() {
            tokens.facts.insert(ONBOARDING.into(), "asked".into());
        } else {
            tokens.facts.insert(TIER.into(), "free-tier".into());
        }
        Ok(tokens)
    }
}
