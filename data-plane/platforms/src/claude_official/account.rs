//! What an account of this platform brings, and how it gets its tokens.

use std::collections::BTreeMap;

use dialects::Dialect;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    credentials::{Field, FieldKind},
    oauth::{self, ACCESS, Begin, GrantError, Grants, REFRESH, Tokens, held},
    platform::{AccountView, BodyPlan, Info, PrepareError, Prepared},
    request, url,
};

/// The public client of Claude Code: what it may do is on the page that a person reads before agreeing.
const CLIENT: &str = "9d1c250a-e61b-44d9-88ed-5944d1962f5e";
const PAGE: &str = "https://claude.ai/oauth/authorize";
const TOKEN_URL: &str = "https://platform.claude.com/v1/oauth/token";
const REDIRECT: &str = "https://platform.claude.com/oauth/code/callback";
const SCOPES: &str = "org:create_api_key user:profile user:inference user:sessions:claude_code \
                      user:mcp_servers user:file_upload";
const LONG_LIVED_SCOPES: &str = "user:inference";
/// A year, seconds.
const LONG_LIVED: u32 = 31_536_000;

/// Where tokens are had, if elsewhere: vendors move such addresses.
const TOKEN_ADDRESS: &str = "token_url";
/// The betas that every request names, if others than [`BETAS`].
const OWN_BETAS: &str = "betas";
/// What a request with an OAuth token must name.
const BETAS: &str = "oauth-2025-04-20";

pub(super) static INFO: Info = Info {
    slug: "claude-official",
    name: "Claude subscription",
    family: "claude",
    service: "claude",
    dialect: Dialect::AnthropicMessages,
    also: &[],
    default_base_url: "https://api.anthropic.com",
    fields: &[
        Field::new(
            ACCESS,
            FieldKind::Secret,
            "Setup token",
            "A token of `claude setup-token`; or sign in instead.",
        ),
        Field::new(
            REFRESH,
            FieldKind::Secret,
            "Refresh token",
            "Of an account that was signed in elsewhere.",
        )
        .withheld(),
        Field::new(
            OWN_BETAS,
            FieldKind::Text,
            "Betas",
            "Added to the client's anthropic-beta, with commas; empty: oauth-2025-04-20.",
        ),
        Field::new(
            TOKEN_ADDRESS,
            FieldKind::Url,
            "Token address",
            "Where tokens are had; empty: the platform's own.",
        )
        .withheld(),
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
    ],
    notice: "Somebody's own subscription. Anthropic's Consumer Terms let its holder alone use it and may forbid \
             sharing; accounts can be suspended. Serves genuine Claude Code clients only, with what they sent.",
    signs_in: true,
};

/// Adds the account's token, the only credential that a request carries.
pub(super) fn authorise(
    headers: &mut http::HeaderMap,
    account: &AccountView<'_>,
) -> Result<(), PrepareError> {
    let token = request::credential(account, ACCESS)?;
    headers.insert(header::AUTHORIZATION, request::bearer(token, ACCESS)?);
    Ok(())
}

/// Betas that a request must name beside the client's own.
pub(super) fn betas<'a>(account: &AccountView<'a>) -> impl Iterator<Item = &'a str> {
    let betas = request::credential(account, OWN_BETAS).unwrap_or(BETAS);
    betas.split(',').map(str::trim).filter(|beta| !beta.is_empty())
}

/// How accounts get their tokens.
pub(super) struct Subscription;

fn token_url<'a>(account: &AccountView<'a>) -> &'a str {
    request::credential(account, TOKEN_ADDRESS).unwrap_or(TOKEN_URL)
}

impl Grants for Subscription {
    fn page(&self, _account: &AccountView<'_>, begin: &Begin<'_>) -> Option<String> {
        let challenge = begin.challenge();
        let scope = if begin.long_lived { LONG_LIVED_SCOPES } else { SCOPES };
        let query = oauth::form(&[
            ("code", "true"),
            ("client_id", CLIENT),
            ("response_type", "code"),
            ("redirect_uri", REDIRECT),
            ("scope", scope),
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
        let mut body = json!({
            "grant_type": "authorization_code",
            "client_id": CLIENT,
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": begin.verifier,
            "state": begin.state,
        });
        if begin.long_lived {
            body["expires_in"] = LONG_LIVED.into();
        }
        oauth::json_request(token_url(account), &body)
    }

    fn refresh(&self, account: &AccountView<'_>, _now_ms: i64) -> Result<Prepared, GrantError> {
        let body = json!({
            "grant_type": "refresh_token",
            "refresh_token": held(account, REFRESH)?,
            "client_id": CLIENT,
        });
        oauth::json_request(token_url(account), &body)
    }

    fn read(&self, status: StatusCode, body: &[u8], now_ms: i64) -> Result<Tokens, GrantError> {
        let (mut tokens, answer) = oauth::tokens(status, body, now_ms)?;
        oauth::fact(&mut tokens.facts, "email", &answer["account"]["email_address"]);
        oauth::fact(&mut tokens.facts, "organization", &answer["organization"]["name"]);
        Ok(tokens)
    }

    fn errand(
        &self,
        account: &AccountView<'_>,
        known: &BTreeMap<String, String>,
    ) -> Result<Option<Prepared>, GrantError> {
        // A setup token may not ask for the profile.
        let may = known.get("scopes").is_some_and(|scopes| scopes.contains("user:profile"));
        if !may || known.contains_key("plan") {
            return Ok(None);
        }
        let base = if account.base_url.is_empty() { INFO.default_base_url } else { account.base_url };
        let base = url::base(base).map_err(PrepareError::BadAddress)?;
        let mut headers = request::of_our_own();
        request::complete(&mut headers, account);
        authorise(&mut headers, account)?;
        headers.insert("anthropic-beta", HeaderValue::from_static(BETAS));
        let uri = format!("{base}/api/oauth/profile");
        Ok(Some(Prepared {
            method: Method::GET,
            uri: uri.parse().map_err(|_| PrepareError::BadAddress("does not make a valid address"))?,
            headers,
            body: BodyPlan::Replace(bytes::Bytes::new()),
            model_sent: String::new(),
            to_sign: false,
        }))
    }

    fn learn(
        &self,
        _known: &BTreeMap<String, String>,
        status: StatusCode,
        body: &[u8],
    ) -> Result<Tokens, GrantError> {
        if !status.is_success() {
            return Err(GrantError::Unclear(format!("its profile answers {}", status.as_u16())));
        }
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let (person, organisation) = (&answer["account"], &answer["organization"]);
        let kind = organisation["organization_type"].as_str().unwrap_or_default();
        let max = person["has_claude_max"] == true || matches!(kind, "claude_max" | "claude_enterprise");
        let pro = person["has_claude_pro"] == true || kind == "claude_pro";
        let plan = match (max, pro) {
            (true, _) => "max",
            (_, true) => "pro",
            _ => "free",
        };
        let mut tokens = Tokens::default();
        tokens.facts.insert("plan".into(), plan.into());
        for (name, value) in [
            ("email", &person["email"]),
            ("name", &person["display_name"]),
            ("organization", &organisation["name"]),
            ("tier", &organisation["rate_limit_tier"]),
        ] {
            oauth::fact(&mut tokens.facts, name, value);
        }
        Ok(tokens)
    }
}
