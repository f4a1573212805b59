//! A login that still holds: a family of refresh tokens, of which only the newest is good.
//!
//! A refresh token is the session's id, a part that all tokens of the family share and a part of its own. Who shows a
//! token with the right family part but not the newest own part shows one that was used before: it was stolen, or
//! somebody stole its successor, so the session ends. Who knows only the session's id can do nothing to it.

use proto::admin;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::{
    record::Record,
    secret::{self, NoRandomness},
    time,
};

/// Prefix of refresh tokens.
pub const PREFIX: &str = "crs_rt_";
/// A session ends when it is not refreshed for so long: 30 days, milliseconds.
pub const IDLE_MS: i64 = 30 * 86_400_000;
/// A session ends at the latest after so long: 365 days, milliseconds.
pub const LIFE_MS: i64 = 365 * 86_400_000;

/// A login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Id (UUID).
    pub id: String,
    /// Whose.
    pub user_id: String,
    /// Digest of the part that all refresh tokens of this login share.
    pub family_digest: String,
    /// Digest of the newest refresh token.
    pub current_digest: String,
    /// Client address at login.
    #[serde(default)]
    pub address: String,
    /// User agent at login.
    #[serde(default)]
    pub user_agent: String,
    /// When it began, Unix milliseconds.
    pub created_at_ms: i64,
    /// When it was last refreshed, Unix milliseconds.
    pub refreshed_at_ms: i64,
    /// When it ends if not refreshed, Unix milliseconds.
    pub expires_at_ms: i64,
}

/// What a refresh token turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// The newest.
    Current,
    /// One of this login that was used before: the session must end.
    Reused,
    /// None of this login.
    Foreign,
}

/// A refresh token taken apart.
pub struct RefreshToken<'a> {
    /// The session's id.
    pub session_id: String,
    family: &'a str,
    whole: &'a str,
}

impl<'a> RefreshToken<'a> {
    /// Takes a token apart; `None` when it is none.
    pub fn parse(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        if rest.len() != 32 + 64 + 64 || !rest.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let session_id = uuid::Uuid::try_parse(&rest[..32]).ok()?.to_string();
        Some(Self { session_id, family: &rest[32..96], whole: text })
    }
}

impl Session {
    /// Begins a session; the second value is its first refresh token.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn begin(
        user_id: &str,
        address: String,
        user_agent: String,
        now_ms: i64,
    ) -> Result<(Self, SecretString), NoRandomness> {
        let id = uuid::Uuid::now_v7();
        let family = hex::encode(secret::random::<32>()?);
        let token = token_of(id, &family)?;
        let session = Self {
            id: id.to_string(),
            user_id: user_id.to_owned(),
            family_digest: secret::digest(&family),
            current_digest: secret::digest(token.expose_secret()),
            address,
            user_agent: user_agent.chars().take(256).collect(),
            created_at_ms: now_ms,
            refreshed_at_ms: now_ms,
            expires_at_ms: now_ms + IDLE_MS,
        };
        Ok((session, token))
    }

    /// What a refresh token is to this session.
    pub fn presented(&self, token: &RefreshToken<'_>) -> Presented {
        if !secret::same(&secret::digest(token.family), &self.family_digest) {
            Presented::Foreign
        } else if secret::same(&secret::digest(token.whole), &self.current_digest) {
            Presented::Current
        } else {
            Presented::Reused
        }
    }

    /// Replaces the newest refresh token.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn refresh(&mut self, token: &RefreshToken<'_>, now_ms: i64) -> Result<SecretString, NoRandomness> {
        let id = uuid::Uuid::try_parse(&self.id).unwrap_or_default();
        let next = token_of(id, token.family)?;
        self.current_digest = secret::digest(next.expose_secret());
        self.refreshed_at_ms = now_ms;
        self.expires_at_ms = (now_ms + IDLE_MS).min(self.created_at_ms + LIFE_MS);
        Ok(next)
    }

    /// On the wire, as its owner sees it.
    pub fn to_wire(&self, current: bool) -> admin::Session {
        admin::Session {
            id: self.id.clone(),
            address: self.address.clone(),
            user_agent: self.user_agent.clone(),
            created_at: Some(time::to_wire(self.created_at_ms)),
            refreshed_at: Some(time::to_wire(self.refreshed_at_ms)),
            expires_at: Some(time::to_wire(self.expires_at_ms)),
            current,
        }
    }
}

fn token_of(id: uuid::Uuid, family: &str) -> Result<SecretString, NoRandomness> {
    let own = hex::encode(secret::random::<32>()?);
    Ok(format!("{PREFIX}{}{family}{own}", id.simple()).into())
}

impl Record for Session {
    const KIND: &'static str = "session";
    const SEALED: bool = false;

    fn id(&self) -> &str {
        &self.id
    }

    fn expires_at_ms(&self) -> Option<i64> {
        Some(self.expires_at_ms)
    }

    fn audit_view(&self) -> serde_json::Value {
        let mut view = serde_json::to_value(self).unwrap_or_default();
        view["family_digest"] = secret::MASK.into();
        view["current_digest"] = secret::MASK.into();
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_is_good_once_and_its_reuse_is_seen() {
        let (mut session, first) = Session::begin("u", String::new(), String::new(), 1000).unwrap();
        let old = RefreshToken::parse(first.expose_secret()).unwrap();
        assert_eq!(old.session_id, session.id);
        assert_eq!(session.presented(&old), Presented::Current);
        let second = session.refresh(&old, 2000).unwrap();
        assert_eq!(session.presented(&old), Presented::Reused);
        let new = RefreshToken::parse(second.expose_secret()).unwrap();
        assert_eq!(session.presented(&new), Presented::Current);
    }

    #[test]
    fn knowing_the_session_id_is_not_enough_to_end_it() {
        let (session, _) = Session::begin("u", String::new(), String::new(), 1000).unwrap();
        let id = session.id.replace('-', "");
        let forged = format!("{PREFIX}{id}{}", "0".repeat(128));
        assert_eq!(session.presented(&RefreshToken::parse(&forged).unwrap()), Presented::Foreign);
    }

    #[test]
    fn a_session_ends_at_last() {
        let (mut session, first) = Session::begin("u", String::new(), String::new(), 0).unwrap();
        let token = RefreshToken::parse(first.expose_secret()).unwrap();
        session.refresh(&token, LIFE_MS - 1).unwrap();
        assert_eq!(session.expires_at_ms, LIFE_MS);
    }
}
