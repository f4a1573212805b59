//! What an account was given in exchange for what an operator gave: tokens that end and are renewed. It is part of the
//! account's sealed document, so that a new refresh token and the access token that came with it are written in one step.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Account, Status};
use crate::secret;

/// A token is renewed so long before its end, milliseconds, where it lives long enough.
const AHEAD_MS: i64 = 600_000;
/// And never later than this before its end.
const LATEST_MS: i64 = 10_000;
/// How long one renewal may take, milliseconds: from the moment it is begun until its outcome is written.
pub const TURN_MS: i64 = 30_000;
/// First pause after a renewal without an answer; doubles with each further one.
const PAUSE_MS: i64 = 5_000;
/// Longest such pause.
const LONGEST_PAUSE_MS: i64 = 300_000;

/// Why there is no fresh token. Without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRenewed {
    /// There is no such account.
    #[error("there is no such account")]
    NoAccount,
    /// Its platform has no tokens, or the account nothing to renew them with.
    #[error("{0}")]
    Unsuited(String),
    /// A person must permit it again.
    #[error("the account must be authorised again: {0}")]
    Reauthorize(String),
    /// The platform or the store did not answer; it is tried again by itself.
    #[error("there is no token yet: {0}")]
    Later(String),
}

/// Tokens.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// What renews them; never leaves the control plane.
    #[serde(with = "secret::stored_map")]
    pub kept: BTreeMap<String, SecretString>,
    /// What nodes get, by credential field.
    #[serde(with = "secret::stored_map")]
    pub issued: BTreeMap<String, SecretString>,
    /// What people may know of the account at its platform.
    pub facts: BTreeMap<String, String>,
    /// When the access token ends, Unix milliseconds; `None`: not told.
    pub expires_at_ms: Option<i64>,
    /// When it was given, Unix milliseconds; 0: never.
    pub issued_at_ms: i64,
    /// Rises with each new access token.
    pub generation: u64,
    /// The renewal that is under way.
    pub turn: Option<Turn>,
    /// Renewals without an answer, one after the other.
    pub failures: u32,
    /// Not tried again before, Unix milliseconds.
    pub retry_at_ms: i64,
}

/// A renewal that somebody has begun. Nobody else begins one before its deadline: what it got may still be on its way
/// to the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Turn {
    /// Whose it is: random.
    pub id: String,
    /// Until when its outcome may be written, Unix milliseconds.
    pub deadline_ms: i64,
}

impl Tokens {
    /// When the access token is to be renewed, Unix milliseconds; `None`: it does not end.
    pub fn due_at_ms(&self) -> Option<i64> {
        let end = self.expires_at_ms?;
        let life = end.saturating_sub(self.issued_at_ms).max(0);
        // Short-lived tokens are renewed at half their life.
        Some(end - AHEAD_MS.min(life / 2).max(LATEST_MS.min(life)))
    }

    /// Whether a renewal may begin: nobody else's is under way, and no pause holds.
    pub fn is_free(&self, now_ms: i64) -> bool {
        self.turn.as_ref().is_none_or(|turn| turn.deadline_ms <= now_ms)
    }
}

impl Account {
    /// All that the control plane holds to make requests with: credentials, what was issued, and what renews it.
    pub fn holdings(&self) -> BTreeMap<String, SecretString> {
        let tokens = [&self.tokens.kept, &self.tokens.issued];
        let tokens = tokens.into_iter().flatten();
        self.credentials.iter().chain(tokens).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// What nodes get to make requests with.
    pub fn for_nodes(&self) -> BTreeMap<&str, &SecretString> {
        let given = self.credentials.iter().filter(|(name, _)| !self.withheld.contains(name));
        given.chain(&self.tokens.issued).map(|(name, value)| (name.as_str(), value)).collect()
    }

    /// Takes over new tokens; a state that came of old ones is over.
    pub fn renewed(&mut self, new: Tokens, now_ms: i64) {
        let tokens = &mut self.tokens;
        tokens.kept.extend(new.kept);
        tokens.issued.extend(new.issued);
        tokens.facts.extend(new.facts);
        tokens.expires_at_ms = new.expires_at_ms;
        tokens.issued_at_ms = now_ms;
        tokens.generation += 1;
        tokens.turn = None;
        tokens.failures = 0;
        tokens.retry_at_ms = 0;
        if matches!(self.state.status, Status::Unauthorized | Status::Reauthorize) {
            self.state.reset();
        }
    }

    /// A renewal brought no answer: it is tried again after a pause.
    pub fn not_renewed(&mut self, now_ms: i64) {
        let tokens = &mut self.tokens;
        let pause = PAUSE_MS.checked_shl(tokens.failures.min(16)).unwrap_or(LONGEST_PAUSE_MS);
        tokens.turn = None;
        tokens.failures = tokens.failures.saturating_add(1);
        tokens.retry_at_ms = now_ms.saturating_add(pause.min(LONGEST_PAUSE_MS));
    }

    /// What the account has is not accepted any more: a person must permit it again.
    pub fn must_reauthorize(&mut self, reason: String, now_ms: i64) {
        self.tokens.turn = None;
        if self.state.status != Status::Disabled {
            self.state.status = Status::Reauthorize;
            self.state.until_ms = None;
            self.state.since_ms = now_ms;
            self.state.reason = reason;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_ahead_of_its_end_and_never_at_the_last_moment() {
        let due = |life: i64| {
            let tokens =
                Tokens { issued_at_ms: 1_000, expires_at_ms: Some(1_000 + life), ..Tokens::default() };
            1_000 + life - tokens.due_at_ms().unwrap()
        };
        assert_eq!(due(8 * 3_600_000), AHEAD_MS);
        assert_eq!(due(60_000), 30_000);
        assert_eq!(due(15_000), 10_000);
        assert_eq!(due(4_000), 4_000);
        assert_eq!(Tokens::default().due_at_ms(), None);
    }

    #[test]
    fn nodes_get_what_was_issued_and_nothing_that_renews_it() {
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value))).collect()
        };
        let mut account = Account {
            credentials: map(&[("client_secret", "cs"), ("project_id", "p"), ("access_token", "old")]),
            withheld: vec!["client_secret".into(), "refresh_token".into()],
            ..Account::default()
        };
        account.state.status = Status::Reauthorize;
        let new = Tokens {
            kept: map(&[("refresh_token", "rt")]),
            issued: map(&[("access_token", "new")]),
            ..Tokens::default()
        };
        account.renewed(new, 5);
        assert_eq!((account.state.status, account.state.generation), (Status::Active, 1));
        assert_eq!(account.for_nodes().into_keys().collect::<Vec<_>>(), ["access_token", "project_id"]);
        let held = account.holdings();
        use secrecy::ExposeSecret as _;
        assert_eq!(held["access_token"].expose_secret(), "new");
        assert_eq!((held.len(), account.tokens.generation), (4, 1));
    }

    #[test]
    fn pauses_grow_and_end() {
        let mut account = Account::default();
        let mut pauses = Vec::new();
        for _ in 0..9 {
            account.not_renewed(0);
            pauses.push(account.tokens.retry_at_ms / 1000);
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    }
}
