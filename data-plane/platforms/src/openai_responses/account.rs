//! What an account of this platform brings, and how one that signs in gets its tokens.

use dialects::Dialect;
use http::{HeaderMap, HeaderName, StatusCode, header};

use crate::{
    credentials::{Field, FieldKind},
    oauth::{self, ACCESS, Begin, GrantError, Grants, REFRESH, Tokens, held},
    openai_like::KEY,
    platform::{AccountView, Info, PrepareError, Prepared},
    request,
};

/// The public client of Codex.
const CLIENT: &str = "app_EMoamEEZ73f0CkXaXp7hrann";
const PAGE: &str = "https://auth.openai.com/oauth/authorize";
const TOKEN_URL: &str = "https://auth.openai.com/oauth/token";
const REDIRECT: &str = "http://localhost:1455/auth/callback";
const SCOPES: &str = "openid profile email offline_access";
/// Where accounts that signed in answer.
const CHATGPT: &str = "https://chatgpt.com/backend-api/codex";

const TOKEN_ADDRESS: &str = "token_url";
const CHATGPT_ACCOUNT: &str = "chatgpt_account_id";
const CHATGPT_HEADER: HeaderName = HeaderName::from_static("chatgpt-account-id");

pub(super) static INFO: Info = Info {
    slug: "openai-responses",
    name: "OpenAI Responses and Codex",
    family: "openai",
    service: "openai",
    dialect: Dialect::OpenaiResponses,
    also: &[],
    default_base_url: "https://api.openai.com",
    fields: &[
        Field::new(
            KEY,
            FieldKind::Secret,
            "API key",
            "A key of the address that the account names; or sign in.",
        ),
        Field::new(ACCESS, FieldKind::Secret, "Access token", "Of a ChatGPT account; had by signing in."),
        Field::new(
            REFRESH,
            FieldKind::Secret,
            "Refresh token",
            "Of an account that was signed in elsewhere.",
        )
        .withheld(),
        Field::new(
            CHATGPT_ACCOUNT,
            FieldKind::Text,
            "ChatGPT account",
            "The account's id; found by itself when signing in.",
        ),
        Field::new(
            TOKEN_ADDRESS,
            FieldKind::Url,
            "Token address",
            "Where tokens are had; empty: the platform's own.",
        )
        .withheld(),
    ],
    models: &["gpt-5.1-codex-max", "gpt-5.1-codex", "gpt-5.1-codex-mini", "gpt-5.1", "gpt-5-codex", "gpt-5"],
    notice: "A ChatGPT account that signs in is somebody's own subscription. OpenAI's terms let its holder alone use \
             it and may forbid sharing; an API key is the documented way.",
    signs_in: true,
};

/// Whether the account is a ChatGPT one and not an API key's.
pub(super) fn signed_in(account: &AccountView<'_>) -> bool {
    let has = |name| request::credential(account, name).is_ok();
    !has(KEY) && (has(ACCESS) || has(REFRESH))
}

/// Where the account answers.
pub(super) fn base<'a>(account: &AccountView<'a>) -> &'a str {
    match account.base_url {
        "" if signed_in(account) => CHATGPT,
        "" => INFO.default_base_url,
        base => base,
    }
}

/// Adds the account's credential, the only one that a request carries.
pub(super) fn authorise(headers: &mut HeaderMap, account: &AccountView<'_>) -> Result<(), PrepareError> {
    if !signed_in(account) {
        let key = request::credential(account, KEY)?;
        headers.insert(header::AUTHORIZATION, request::bearer(key, KEY)?);
        return Ok(());
    }
    let token = request::credential(account, ACCESS)?;
    headers.insert(header::AUTHORIZATION, request::bearer(token, ACCESS)?);
    if let Ok(id) = request::credential(account, CHATGPT_ACCOUNT) {
        headers.insert(CHATGPT_HEADER, request::sensitive(id, CHATGPT_ACCOUNT)?);
    }
    Ok(())
}

/// How accounts that sign in get their tokens.
pub(super) struct ChatGpt;

fn token_url<'a>(account: &AccountView<'a>) -> &'a str {
    request::credential(account, TOKEN_ADDRESS).unwrap_or(TOKEN_URL)
}

impl Grants for ChatGpt {
    fn page(&self, _account: &AccountView<'_>, begin: &Begin<'_>) -> Option<String> {
        let challenge = begin.challenge();
        let query = oauth::form(&[
            ("response_type", "code"),
            ("client_id", CLIENT),
            ("redirect_uri", REDIRECT),
            ("scope", SCOPES),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", begin.state),
            ("id_token_add_organizations", "true"),
            ("codex_cli_simplified_flow", "true"),
        ]);
        Some(format!("{PAGE}?{query}"))
    }

    fn exchange(
        &self,
        account: &AccountView<'_>,
        begin: &Begin<'_>,
        code: &str,
    ) -> Result<Prepared, GrantError> {
        oauth::form_request(
            token_url(account),
            &[
                ("grant_type", "authorization_code"),
                ("client_id", CLIENT),
                ("code", code),
                ("redirect_uri", REDIRECT),
                ("code_verifier", begin.verifier),
            ],
        )
    }

    fn refresh(&self, account: &AccountView<'_>, _now_ms: i64) -> Result<Prepared, GrantError> {
        let token = held(account, REFRESH)?;
        oauth::form_request(
            token_url(account),
            &[
                ("grant_type", "refresh_token"),
                ("client_id", CLIENT),
                ("refresh_token", token),
                ("scope", "openid profile email"),
            ],
        )
    }

    fn read(&self, status: StatusCode, body: &[u8], now_ms: i64) -> Result<Tokens, GrantError> {
        let (mut tokens, answer) = oauth::tokens(status, body, now_ms)?;
        // Its tokens last an hour where it does not say.
        tokens.expires_at_ms = tokens.expires_at_ms.or(Some(now_ms.saturating_add(3_600_000)));
        if let Some(claims) = answer["id_token"].as_str().and_then(oauth::claims) {
            let of = &claims["https://api.openai.com/auth"];
            let id = of["chatgpt_account_id"].as_str().or(of["chatgpt_user_id"].as_str());
            if let Some(id) = id.filter(|id| id.len() <= 128) {
                oauth::issue(&mut tokens, CHATGPT_ACCOUNT, id);
            }
            oauth::fact(&mut tokens.facts, "plan", &of["chatgpt_plan_type"]);
            oauth::fact(&mut tokens.facts, "email", &claims["email"]);
        }
        Ok(tokens)
    }
}
