//! Who a bearer is: access tokens of sessions, and tokens for programs. The guard asks; services do not.

mod hashing;
mod throttle;

use std::sync::Arc;

use domain::{JoinToken, Record, Role, Session, SigningKeys, Token, User, signing};
use http::{HeaderMap, header};
use store::{Store, Versioned, View};
use tonic::Status;

pub use self::{
    hashing::Hasher,
    throttle::{Buckets, LoginThrottle},
};
use crate::{client::Client, convert, guard::Caller};

/// Tells who a bearer is.
pub struct Authenticator {
    store: Store,
    view: View,
    now_ms: fn() -> i64,
    strangers: Buckets,
}

impl Authenticator {
    /// Over a store and the view of it.
    pub fn new(store: Store, view: View, now_ms: fn() -> i64, strangers: Buckets) -> Self {
        Self { store, view, now_ms, strangers }
    }

    /// Counts a request of nobody known; too many from one address are refused.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED`, with when to try again.
    pub fn allow_stranger(&self, client: &Client) -> Result<(), Status> {
        self.strangers.take(client.bucket(), (self.now_ms)()).map_err(|wait| {
            convert::exhausted("TOO_MANY_REQUESTS", "too many requests without login from this address", wait)
        })
    }

    /// Who sends these headers. Failures count as requests of nobody known.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when nobody, `UNAVAILABLE` when that cannot be told.
    pub async fn identify(&self, headers: &HeaderMap, client: &Client) -> Result<Caller, Status> {
        let found = match bearer(headers) {
            Ok(bearer) => self.bearer(bearer, client).await,
            Err(status) => Err(status),
        };
        if let Err(status) = &found
            && status.code() == tonic::Code::Unauthenticated
        {
            self.allow_stranger(client)?;
        }
        found
    }

    async fn bearer(&self, bearer: &str, client: &Client) -> Result<Caller, Status> {
        let now = (self.now_ms)();
        match Token::id_of(bearer) {
            Some(id) => self.program(&id, bearer, client, now).await,
            None => self.person(bearer, client, now).await,
        }
    }

    /// The bearer of a token for programs.
    async fn program(&self, id: &str, bearer: &str, client: &Client, now: i64) -> Result<Caller, Status> {
        let token = self.read::<Token>(id).await?.filter(|token| token.value.accepts(bearer, now));
        let token = &token.ok_or_else(invalid_token)?.value;
        // A token falls with the user who made it, and with that user's standing.
        let mut role = token.role;
        if !token.user_id.is_empty() {
            let user = self.read::<User>(&token.user_id).await?.filter(|user| !user.value.disabled);
            role = role.min(user.ok_or_else(invalid_token)?.value.role);
        }
        Ok(Caller {
            actor: format!("token:{}", token.name),
            role,
            id: token.id.clone(),
            user_id: token.user_id.clone(),
            session: None,
            name: token.name.clone(),
            address: client.address_text(),
            action: String::new(),
        })
    }

    /// The bearer of a session's access token.
    async fn person(&self, bearer: &str, client: &Client, now: i64) -> Result<Caller, Status> {
        let keys = self.read::<SigningKeys>(signing::ID).await?.ok_or_else(invalid_token)?;
        let claims = keys.value.verify(bearer, now).map_err(|why| match why {
            signing::TokenError::Expired => {
                convert::unauthenticated("TOKEN_EXPIRED", "the access token has expired; refresh it")
            }
            _ => invalid_token(),
        })?;
        let session = self.read::<Session>(&claims.sid).await?;
        let session = session
            .filter(|session| session.value.user_id == claims.sub && session.value.expires_at_ms > now);
        let ended = || convert::unauthenticated("SESSION_ENDED", "the session has ended; log in again");
        let session = session.ok_or_else(ended)?;
        let user = self.read::<User>(&claims.sub).await?.filter(|user| !user.value.disabled);
        let user = &user.ok_or_else(ended)?.value;
        Ok(Caller {
            actor: user.username.clone(),
            role: user.role,
            id: user.id.clone(),
            user_id: user.id.clone(),
            session: Some(session.value.id.clone()),
            name: user.username.clone(),
            address: client.address_text(),
            action: String::new(),
        })
    }

    /// A record from the view, or from the store where the view may be a moment behind.
    async fn read<R: Record>(&self, id: &str) -> Result<Option<Arc<Versioned<R>>>, Status> {
        if let Some(found) = self.view.get::<R>(id) {
            return Ok(Some(found));
        }
        Ok(self.store.get::<R>(id).await.map_err(convert::store)?.map(Arc::new))
    }
}

fn invalid_token() -> Status {
    convert::unauthenticated("INVALID_TOKEN", "the token is not valid")
}

/// The one bearer token of a request.
fn bearer(headers: &HeaderMap) -> Result<&str, Status> {
    let missing =
        || convert::unauthenticated("NO_CREDENTIALS", "log in, and send `authorization: Bearer <token>`");
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(missing)?;
    if values.next().is_some() {
        return Err(convert::unauthenticated("INVALID_TOKEN", "send one `authorization` header"));
    }
    let text = value.to_str().map_err(|_| invalid_token())?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
            Ok(token.trim())
        }
        _ => Err(missing()),
    }
}

/// The kinds of records that the API reads from its view.
pub fn with_kinds(kinds: store::Kinds) -> store::Kinds {
    kinds
        .with::<domain::Key>()
        .with::<domain::Account>()
        .with::<domain::AccountWindows>()
        .with::<domain::Group>()
        .with::<domain::BindingDrop>()
        .with::<domain::Settings>()
        .with::<User>()
        .with::<Session>()
        .with::<Token>()
        .with::<JoinToken>()
        .with::<SigningKeys>()
}

/// Whether a caller may give somebody a role.
pub fn may_grant(caller: &Caller, role: Role) -> bool {
    role <= caller.role
}
