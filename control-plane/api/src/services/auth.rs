//! Login, sessions, tokens for programs.

use std::{sync::Arc, time::Duration};

use domain::{
    Role, Session, SigningKeys, Token, User, password, secret,
    session::{Presented, RefreshToken},
    signing, text, token, user,
};
use proto::admin::{self, auth_service_server::AuthService};
use secrecy::{ExposeSecret as _, SecretString};
use store::{Author, Change, Expect, Versioned};
use tonic::{Code, Request, Response, Status};

use crate::{
    auth::{Hasher, LoginThrottle, may_grant},
    client::Client,
    convert,
    guard::{Caller, Rules},
    records::Records,
};

/// Sessions that one user may have; the oldest gives way.
const MAX_SESSIONS: usize = 50;

/// The service.
pub struct Auth {
    records: Records,
    hasher: Hasher,
    throttle: LoginThrottle,
    rules: Arc<Rules>,
}

impl Auth {
    /// Over the records.
    pub fn new(records: Records, hasher: Hasher, rules: Arc<Rules>) -> Self {
        Self { records, hasher, throttle: LoginThrottle::default(), rules }
    }

    fn me(&self, id: &str, username: &str, role: Role, kind: &str) -> admin::Me {
        admin::Me {
            id: id.to_owned(),
            username: username.to_owned(),
            role: role.as_str().into(),
            kind: kind.to_owned(),
            methods: self.rules.callable(role),
        }
    }

    /// The user of that name, if the password is right. Unknown names, wrong passwords and disabled users take as long
    /// and are told the same.
    async fn check(
        &self,
        username: &str,
        password: String,
        client: &Client,
    ) -> Result<Option<Versioned<User>>, Status> {
        let (address, name, now) = (client.bucket(), user::name_key(username), self.records.now_ms());
        self.throttle.check(address, &name, now).map_err(|wait: Duration| {
            convert::exhausted("TOO_MANY_LOGINS", "too many failed logins; wait a little", wait)
        })?;
        // Longer ones are nobody's, and hashing them would cost more than a login may.
        let fits = username.len() <= 256 && password.len() <= 4 * password::MAX;
        let found = match fits {
            true => self.records.store().find::<User>(user::BY_NAME, &name).await.map_err(convert::store)?,
            false => None,
        };
        let hash = found.as_ref().map(|user| user.value.password_hash.clone());
        let password = if fits { password } else { String::new() };
        let right = self.hasher.verify(SecretString::from(password), hash).await?;
        let user = found.filter(|user| right && !user.value.disabled);
        match user {
            Some(_) => self.throttle.succeeded(&name),
            None => {
                // Not the name: people type passwords into that field.
                tracing::warn!(address = client.address_text(), "a login failed");
                self.throttle.failed(address, &name, now);
            }
        }
        Ok(user)
    }

    /// The keys that sign, with a new one first when the newest has signed for long enough.
    async fn signing_keys(&self) -> Result<SigningKeys, Status> {
        let now = self.records.now_ms();
        let held = self.records.store().get::<SigningKeys>(signing::ID).await.map_err(convert::store)?;
        let held = held.ok_or_else(|| Status::internal("the deployment has no signing keys"))?;
        if !held.value.is_due(now) {
            return Ok(held.value);
        }
        let mut keys = held.value.clone();
        keys.rotate(now).map_err(|why| convert::internal(&why))?;
        let change = Change::new(Author::system("rotate_signing_keys")).update(&held, &keys);
        match self.records.try_commit(change).await {
            Ok(()) => Ok(keys),
            // Another replica was faster; what it made or what was there signs as well.
            Err(store::Error::Conflict { .. }) => Ok(held.value),
            Err(why) => Err(convert::store(why)),
        }
    }

    async fn answer(
        &self,
        user: &User,
        session: &Session,
        refresh: &SecretString,
    ) -> Result<admin::LoginResponse, Status> {
        let access = self.signing_keys().await?.sign(&user.id, &session.id, self.records.now_ms());
        let access = access.map_err(|why| convert::internal(&why))?;
        Ok(admin::LoginResponse {
            access_token: access.expose_secret().to_owned(),
            refresh_token: refresh.expose_secret().to_owned(),
            expires_in: signing::ACCESS_SECONDS,
            token_type: "Bearer".into(),
            me: Some(self.me(&user.id, &user.username, user.role, "session")),
        })
    }

    /// A user's live sessions, newest first.
    fn sessions_of(&self, user_id: &str) -> Vec<Arc<Versioned<Session>>> {
        let now = self.records.now_ms();
        let all = self.records.view().all::<Session>();
        let mut own: Vec<_> = all
            .iter()
            .filter(|session| session.value.user_id == user_id && session.value.expires_at_ms > now)
            .cloned()
            .collect();
        own.sort_by_key(|session| std::cmp::Reverse((session.value.created_at_ms, session.value.id.clone())));
        own
    }

    async fn refresh_session(
        &self,
        session: Versioned<Session>,
        token: &RefreshToken<'_>,
        client: &Client,
    ) -> Result<admin::LoginResponse, Status> {
        let now = self.records.now_ms();
        let user = self.records.find::<User>(&session.value.user_id).await?;
        let user = user.filter(|user| !user.value.disabled).ok_or_else(no_session)?.value;
        let mut next = session.value.clone();
        let refresh = next.refresh(token, now).map_err(|why| convert::internal(&why))?;
        let author = author(&user.username, client, "AuthService.Refresh");
        self.records.commit(Change::new(author).update(&session, &next)).await?;
        self.answer(&user, &next, &refresh).await
    }
}

fn author(actor: &str, client: &Client, action: &str) -> Author {
    Author { actor: actor.to_owned(), address: client.address_text(), action: action.to_owned() }
}

fn client<T>(request: &Request<T>) -> Client {
    let unknown = || Client { address: None, user_agent: String::new() };
    request.extensions().get::<Client>().cloned().unwrap_or_else(unknown)
}

fn no_session() -> Status {
    convert::unauthenticated("SESSION_ENDED", "the refresh token is not valid; log in again")
}

fn only_people(caller: &Caller) -> Result<&str, Status> {
    caller.session.as_deref().ok_or_else(|| {
        let message = "this is for people who logged in, not for tokens";
        convert::refusal(Code::FailedPrecondition, "NOT_A_SESSION", message)
    })
}

#[tonic::async_trait]
impl AuthService for Auth {
    async fn admin_login(
        &self,
        request: Request<admin::AdminLoginRequest>,
    ) -> Result<Response<admin::LoginResponse>, Status> {
        let client = client(&request);
        let admin::AdminLoginRequest { username, password } = request.into_inner();
        let Some(user) = self.check(&username, password, &client).await? else {
            return Err(convert::unauthenticated("WRONG_LOGIN", "wrong name or password"));
        };
        let user = user.value;
        let now = self.records.now_ms();
        let (session, refresh) =
            Session::begin(&user.id, client.address_text(), client.user_agent.clone(), now)
                .map_err(|why| convert::internal(&why))?;
        let mut change = Change::new(author(&user.username, &client, "AuthService.AdminLogin"))
            .put(&session, Expect::Absent);
        for old in self.sessions_of(&user.id).iter().skip(MAX_SESSIONS - 1) {
            change = change.delete::<Session>(&old.value.id, Expect::Any);
        }
        self.records.commit(change).await?;
        self.answer(&user, &session, &refresh).await.map(Response::new)
    }

    async fn refresh(
        &self,
        request: Request<admin::RefreshRequest>,
    ) -> Result<Response<admin::LoginResponse>, Status> {
        let client = client(&request);
        let text = SecretString::from(request.into_inner().refresh_token);
        let token = RefreshToken::parse(text.expose_secret()).ok_or_else(no_session)?;
        let session = self.records.find::<Session>(&token.session_id).await?.ok_or_else(no_session)?;
        if session.value.expires_at_ms <= self.records.now_ms() {
            return Err(no_session());
        }
        match session.value.presented(&token) {
            Presented::Current => self.refresh_session(session, &token, &client).await.map(Response::new),
            Presented::Foreign => Err(no_session()),
            Presented::Reused => {
                // Somebody holds a copy: who is who cannot be told, so both must log in again.
                tracing::warn!(session = %session.value.id, "a refresh token was used twice; its session ends");
                let author = author("system:refresh_token_reuse", &client, "AuthService.Refresh");
                let change = Change::new(author).delete::<Session>(&session.value.id, Expect::Any);
                self.records.commit(change).await?;
                Err(no_session())
            }
        }
    }

    async fn logout(
        &self,
        request: Request<admin::LogoutRequest>,
    ) -> Result<Response<admin::LogoutResponse>, Status> {
        let caller = Caller::of(&request)?;
        let session = only_people(&caller)?;
        self.records.commit(self.records.change(&caller).delete::<Session>(session, Expect::Any)).await?;
        Ok(Response::new(admin::LogoutResponse {}))
    }

    async fn get_me(&self, request: Request<admin::GetMeRequest>) -> Result<Response<admin::Me>, Status> {
        let caller = Caller::of(&request)?;
        let kind = if caller.session.is_some() { "session" } else { "token" };
        Ok(Response::new(self.me(&caller.id, &caller.name, caller.role, kind)))
    }

    async fn change_password(
        &self,
        request: Request<admin::ChangePasswordRequest>,
    ) -> Result<Response<admin::ChangePasswordResponse>, Status> {
        let (caller, client) = (Caller::of(&request)?, client(&request));
        let session = only_people(&caller)?.to_owned();
        let admin::ChangePasswordRequest { current_password, new_password } = request.into_inner();
        let Some(user) = self.check(&caller.name, current_password, &client).await? else {
            return Err(convert::invalid_field("current_password", "is not your password"));
        };
        password::check(&new_password, &user.value.username, "new_password")
            .map_err(|wrong| convert::invalid(&wrong))?;
        let mut changed = user.value.clone();
        changed.password_hash = self.hasher.hash(SecretString::from(new_password)).await?;
        changed.password_changed_at_ms = self.records.now_ms();
        changed.updated_at_ms = changed.password_changed_at_ms;
        let mut change = self.records.change(&caller).update(&user, &changed);
        for other in self.sessions_of(&changed.id).iter().filter(|other| other.value.id != session) {
            change = change.delete::<Session>(&other.value.id, Expect::Any);
        }
        self.records.commit(change).await?;
        Ok(Response::new(admin::ChangePasswordResponse {}))
    }

    async fn list_sessions(
        &self,
        request: Request<admin::ListSessionsRequest>,
    ) -> Result<Response<admin::ListSessionsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let current = only_people(&caller)?;
        let sessions = self.sessions_of(&caller.user_id);
        let shown = |session: &Arc<Versioned<Session>>| session.value.to_wire(session.value.id == current);
        Ok(Response::new(admin::ListSessionsResponse { sessions: sessions.iter().map(shown).collect() }))
    }

    async fn delete_session(
        &self,
        request: Request<admin::DeleteSessionRequest>,
    ) -> Result<Response<admin::DeleteSessionResponse>, Status> {
        let caller = Caller::of(&request)?;
        // A token stands below its maker, so it may not touch the maker's sessions.
        only_people(&caller)?;
        let id = request.into_inner().id;
        let session = self.records.find::<Session>(&id).await?;
        // Somebody else's session is as good as none.
        let own = session.filter(|session| session.value.user_id == caller.user_id);
        let own = own.ok_or_else(|| convert::not_found("session", &id))?;
        self.records
            .commit(self.records.change(&caller).delete::<Session>(&own.value.id, Expect::Any))
            .await?;
        Ok(Response::new(admin::DeleteSessionResponse {}))
    }

    async fn create_token(
        &self,
        request: Request<admin::CreateTokenRequest>,
    ) -> Result<Response<admin::CreateTokenResponse>, Status> {
        let caller = Caller::of(&request)?;
        let asked = request.into_inner();
        let now = self.records.now_ms();
        let mut wrong = domain::Violations::default();
        let name = text::name(&asked.name, "name", &mut wrong);
        let role = asked.role.parse::<Role>().map_err(|why| wrong.add("role", why.to_string()));
        wrong.or(()).map_err(|wrong| convert::invalid(&wrong))?;
        let role = role.unwrap_or(Role::User);
        if !may_grant(&caller, role) {
            let message = format!("a token's role cannot exceed yours, `{}`", caller.role);
            return Err(convert::refusal(Code::PermissionDenied, "ROLE_TOO_HIGH", &message));
        }
        let expires_at_ms = super::end("expires_at", asked.expires_at.as_ref(), now)?;
        let minted = secret::mint(token::TOKEN_PREFIX).map_err(|why| convert::internal(&why))?;
        let token = Token {
            id: minted.id,
            name,
            role,
            digest: minted.digest,
            created_by: caller.actor.clone(),
            user_id: caller.user_id.clone(),
            created_at_ms: now,
            expires_at_ms,
        };
        self.records.commit(self.records.change(&caller).put(&token, Expect::Absent)).await?;
        let secret = minted.secret.expose_secret().to_owned();
        Ok(Response::new(admin::CreateTokenResponse { token: Some(token.to_wire()), secret }))
    }

    async fn list_tokens(
        &self,
        _: Request<admin::ListTokensRequest>,
    ) -> Result<Response<admin::ListTokensResponse>, Status> {
        let all = self.records.view().all::<Token>();
        // Ids are of version 7: by id is by time.
        let tokens = all.iter().rev().map(|token| token.value.to_wire()).collect();
        Ok(Response::new(admin::ListTokensResponse { tokens }))
    }

    async fn delete_token(
        &self,
        request: Request<admin::DeleteTokenRequest>,
    ) -> Result<Response<admin::DeleteTokenResponse>, Status> {
        let caller = Caller::of(&request)?;
        let token = self.records.get::<Token>(&request.into_inner().id).await?;
        self.records
            .commit(self.records.change(&caller).delete::<Token>(&token.value.id, Expect::Any))
            .await?;
        Ok(Response::new(admin::DeleteTokenResponse {}))
    }
}
