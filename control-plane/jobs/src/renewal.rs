//! Renewing an account's access token, once for all who ask.
//!
//! Whoever renews first writes into the account that it is their turn, and until when; everyone else waits for the
//! outcome. What comes back is written in one step, the refresh token with the access token, before anyone can use
//! either. A process that is killed in between leaves a turn that ends at its deadline; then the next one tries with the
//! old refresh token, and if the platform has used that up, the account is in the named state `reauthorize`.

use std::time::Duration;

use bytes::Bytes;
use clients::Http;
use domain::{
    Account,
    account::{NotRenewed, Status, Tokens, tokens},
};
use platforms::{AccountView, BodyPlan, GrantError, Platform, Prepared, oauth::Begin};
use secrecy::{ExposeSecret as _, SecretString};
use store::{Author, Change, Store, Versioned};

#[cfg(test)]
mod tests;

/// How often somebody who waits for another's renewal looks.
const LOOK: Duration = Duration::from_millis(50);
/// How long the platform may take: well within a turn, so that what it says can still be written.
const PATIENCE: Duration = Duration::from_secs(15);
/// Tries to write what came back; a new refresh token must not be lost to others who edit the account.
const WRITES: usize = 20;
/// The most that is asked beyond the token.
const ERRANDS: usize = 8;

/// Renews tokens. Clones share the way out.
#[derive(Clone)]
pub struct Renewer {
    store: Store,
    http: Http,
}

impl Renewer {
    /// Over the store and the way out.
    pub fn new(store: Store, http: Http) -> Self {
        Self { store, http }
    }

    /// Sees to it that an account's token is of a later generation than `held`; which it is now. `eager`: without heed
    /// to a pause after failures.
    ///
    /// # Errors
    /// See [`NotRenewed`].
    pub async fn renew(&self, id: &str, held: u64, eager: bool, author: &Author) -> Result<u64, NotRenewed> {
        loop {
            let account = self.store.get::<Account>(id).await.map_err(away)?.ok_or(NotRenewed::NoAccount)?;
            let (tokens, state) = (&account.value.tokens, &account.value.state);
            if tokens.generation > held {
                return Ok(tokens.generation);
            }
            let now_ms = self.store.now_ms();
            if !tokens.is_free(now_ms) {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            if state.status == Status::Reauthorize && !eager {
                return Err(NotRenewed::Reauthorize(state.reason.clone()));
            }
            if !eager && now_ms < tokens.retry_at_ms {
                return Err(NotRenewed::Later("it failed a moment ago".into()));
            }
            // What cannot be asked at all takes no turn.
            let (platform, request) = request(&account.value, now_ms)?;
            match self.begin(&account, author, now_ms).await {
                Ok(turn) => return self.exchange(id, &turn, platform, request, author).await,
                // Somebody else was first, or an editor.
                Err(store::Error::Conflict { .. }) => {}
                Err(why) => return Err(away(why)),
            }
        }
    }

    /// Turns the code of a sign-in into tokens for an account that is not there yet.
    ///
    /// # Errors
    /// The platform's word, without secrets.
    pub async fn exchange_code(
        &self,
        draft: &Account,
        begin: &Begin<'_>,
        code: &str,
    ) -> Result<Tokens, NotRenewed> {
        let platform = platform(draft)?;
        let grants = platform.grants().ok_or_else(|| no_tokens(platform))?;
        let request = with_view(draft, |view| grants.exchange(view, begin, code)).map_err(refused)?;
        let answer = self.send(draft, request).await?;
        let now_ms = self.store.now_ms();
        let read = grants.read(answer.status(), answer.body(), now_ms).map_err(refused)?;
        let mut account = draft.clone();
        account.renewed(of_platform(read, draft, platform), now_ms);
        self.errands(&mut account, platform).await;
        Ok(account.tokens)
    }

    /// Notes whose turn it is.
    async fn begin(&self, held: &Versioned<Account>, author: &Author, now_ms: i64) -> store::Result<String> {
        let mut account = held.value.clone();
        let id = uuid::Uuid::new_v4().to_string();
        account.tokens.turn = Some(tokens::Turn { id: id.clone(), deadline_ms: now_ms + tokens::TURN_MS });
        self.store.commit(Change::new(author.clone()).update(held, &account)).await?;
        Ok(id)
    }

    async fn exchange(
        &self,
        id: &str,
        turn: &str,
        platform: &'static dyn Platform,
        request: Prepared,
        author: &Author,
    ) -> Result<u64, NotRenewed> {
        let account = self.store.get::<Account>(id).await.map_err(away)?.ok_or(NotRenewed::NoAccount)?.value;
        let grants = platform.grants().ok_or_else(|| no_tokens(platform))?;
        let read = match self.send(&account, request).await {
            Ok(answer) => grants.read(answer.status(), answer.body(), self.store.now_ms()),
            Err(why) => Err(GrantError::Unclear(why.to_string())),
        };
        let now_ms = self.store.now_ms();
        match read {
            Ok(read) => {
                let new = of_platform(read, &account, platform);
                let account =
                    self.write(id, turn, author, |account| account.renewed(new.clone(), now_ms)).await?;
                tracing::info!(account = id, expires_at_ms = account.tokens.expires_at_ms, "token renewed");
                let mut learnt = account.clone();
                if self.errands(&mut learnt, platform).await {
                    let more = learnt.tokens;
                    self.amend(id, author, |account| {
                        account.tokens.issued.extend(more.issued.clone());
                        account.tokens.facts.extend(more.facts.clone());
                    })
                    .await?;
                }
                Ok(account.tokens.generation)
            }
            Err(GrantError::Unclear(why)) => {
                tracing::warn!(account = id, why, "a token could not be renewed; it is tried again");
                self.write(id, turn, author, |account| account.not_renewed(now_ms)).await?;
                Err(NotRenewed::Later(why))
            }
            Err(why) => {
                let reason = why.to_string();
                tracing::error!(account = id, reason, "an account must be authorised again");
                self.write(id, turn, author, |account| account.must_reauthorize(reason.clone(), now_ms))
                    .await?;
                Err(NotRenewed::Reauthorize(reason))
            }
        }
    }

    /// Writes the outcome of a turn, whoever edits the account meanwhile. One that came too late, after another's turn
    /// brought a newer token, is dropped.
    async fn write(
        &self,
        id: &str,
        turn: &str,
        author: &Author,
        change: impl Fn(&mut Account),
    ) -> Result<Account, NotRenewed> {
        self.amend(id, author, |account| {
            if account.tokens.turn.as_ref().is_some_and(|held| held.id == turn) {
                change(account);
            }
        })
        .await
    }

    async fn amend(
        &self,
        id: &str,
        author: &Author,
        change: impl Fn(&mut Account),
    ) -> Result<Account, NotRenewed> {
        let mut last = None;
        for _ in 0..WRITES {
            let done = async {
                let Some(held) = self.store.get::<Account>(id).await? else { return Ok(None) };
                let mut account = held.value.clone();
                change(&mut account);
                self.store.commit(Change::new(author.clone()).update(&held, &account)).await?;
                Ok(Some(account))
            };
            match done.await {
                Ok(account) => return account.ok_or(NotRenewed::NoAccount),
                Err(why) => last = Some(why),
            }
            tokio::time::sleep(LOOK).await;
        }
        let why = last.unwrap_or(store::Error::Contended { what: format!("account/{id}") });
        tracing::error!(account = id, %why, "a new token could not be written");
        Err(away(why))
    }

    /// Asks what is to be asked beyond the token; whether anything was learnt.
    async fn errands(&self, account: &mut Account, platform: &'static dyn Platform) -> bool {
        let Some(grants) = platform.grants() else { return false };
        let mut learnt = false;
        for _ in 0..ERRANDS {
            let known = account.tokens.facts.clone();
            let Ok(Some(request)) = with_view(account, |view| grants.errand(view, &known)) else { break };
            let answer = match self.send(account, request).await {
                Ok(answer) => grants.learn(&known, answer.status(), answer.body()),
                Err(why) => Err(GrantError::Unclear(why.to_string())),
            };
            match answer {
                Ok(more) => {
                    learnt = true;
                    let repeats = more.facts.iter().all(|(name, fact)| known.get(name) == Some(fact));
                    account.tokens.issued.extend(more.issued);
                    account.tokens.facts.extend(more.facts);
                    if repeats {
                        // A long operation that has not ended.
                        tokio::time::sleep(Duration::from_secs(2)).await;
                    }
                }
                Err(why) => {
                    tracing::warn!(account = account.id, %why, "an account's profile could not be learnt");
                    break;
                }
            }
        }
        learnt
    }

    async fn send(&self, account: &Account, prepared: Prepared) -> Result<http::Response<Bytes>, NotRenewed> {
        let body = match prepared.body {
            BodyPlan::Replace(body) => body,
            BodyPlan::AsIs | BodyPlan::Splices(_) => Bytes::new(),
        };
        let mut request = http::Request::new(body);
        *request.method_mut() = prepared.method;
        *request.uri_mut() = prepared.uri;
        *request.headers_mut() = prepared.headers;
        let proxy = account.proxy_url.as_ref().map_or("", |url| url.expose_secret());
        match tokio::time::timeout(PATIENCE, self.http.send(request, proxy)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => Err(NotRenewed::Later(why.to_string())),
            Err(_) => Err(NotRenewed::Later("it did not answer in time".into())),
        }
    }
}

/// Whether an account's requests need a token that it does not have, or whose end is near.
pub(crate) fn is_due(account: &Account, now_ms: i64) -> bool {
    let Some(platform) = platforms::registry::find(&account.platform) else { return false };
    if platform.grants().is_none() || account.state.status == Status::Reauthorize {
        return false;
    }
    let due = match account.tokens.due_at_ms() {
        Some(due) => due <= now_ms,
        None => !account.holdings().contains_key(platforms::oauth::ACCESS),
    };
    due && now_ms >= account.tokens.retry_at_ms
        && account.tokens.is_free(now_ms)
        && request(account, now_ms).is_ok()
}

fn request(account: &Account, now_ms: i64) -> Result<(&'static dyn Platform, Prepared), NotRenewed> {
    let platform = platform(account)?;
    let grants = platform.grants().ok_or_else(|| no_tokens(platform))?;
    let request = with_view(account, |view| grants.refresh(view, now_ms));
    request.map(|request| (platform, request)).map_err(|why| NotRenewed::Unsuited(why.to_string()))
}

fn platform(account: &Account) -> Result<&'static dyn Platform, NotRenewed> {
    platforms::registry::find(&account.platform)
        .ok_or_else(|| NotRenewed::Unsuited(format!("this release does not carry {}", account.platform)))
}

fn no_tokens(platform: &dyn Platform) -> NotRenewed {
    NotRenewed::Unsuited(format!("accounts of {} have no token to renew", platform.info().name))
}

fn away(why: store::Error) -> NotRenewed {
    NotRenewed::Later(format!("the store: {why}"))
}

fn refused(why: GrantError) -> NotRenewed {
    match why {
        GrantError::Unclear(why) => NotRenewed::Later(why),
        GrantError::Refused(why) => NotRenewed::Reauthorize(why),
        why => NotRenewed::Unsuited(why.to_string()),
    }
}

/// The account as its platform sees it here, with all that is held for it.
fn with_view<T>(account: &Account, see: impl FnOnce(&AccountView<'_>) -> T) -> T {
    let holdings = account.holdings();
    see(&AccountView {
        base_url: &account.base_url,
        credentials: &holdings,
        user_agent: &account.user_agent,
        model_mapping: &account.model_mapping,
    })
}

/// What a platform read, in the account's own words, with what its credentials tell by themselves.
fn of_platform(read: platforms::Tokens, account: &Account, platform: &dyn Platform) -> Tokens {
    let own = platform.grants().map(|grants| with_view(account, |view| grants.told_by_credentials(view)));
    let mut own = own.unwrap_or_default();
    let merge = |mut into: std::collections::BTreeMap<String, SecretString>, more| {
        into.extend(more);
        into
    };
    own.facts.extend(read.facts);
    Tokens {
        kept: merge(own.kept, read.kept),
        issued: merge(own.issued, read.issued),
        facts: own.facts,
        expires_at_ms: read.expires_at_ms,
        ..Tokens::default()
    }
}
