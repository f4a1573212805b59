//! Signing in: the page that a person opens, the code that comes back, and renewing by hand. The session between the two
//! holds PKCE's verifier, sealed, for ten minutes and one exchange.

use domain::{
    Account, OauthSession,
    account::{NotRenewed, Status as State, Tokens},
    mask::Fields,
    oauth_session, secret, time,
};
use platforms::{
    AccountView, Platform,
    oauth::{self, Begin},
};
use proto::{admin, rules::ids::AccountId, types};
use secrecy::ExposeSecret as _;
use store::Expect;
use tonic::{Code, Status};

use super::{Accounts, platform};
use crate::{convert, guard::Caller};

#[cfg(test)]
mod tests;

/// Tries to write tokens beside others who edit the account.
const WRITES: usize = 8;

impl Accounts {
    /// What follows from an account's credentials: which of them stay here, and that tokens of other ones are void.
    pub(super) fn settle(&self, account: &mut Account, before: Option<&Account>) -> Result<(), Status> {
        let platform = platform(&account.platform)?;
        let withheld = platform.info().fields.iter().filter(|field| field.withheld);
        account.withheld = withheld.map(|field| field.name.to_owned()).collect();
        let held = |account: &Account, name: &String| {
            account.credentials.get(name).map(|value| value.expose_secret().to_owned())
        };
        let changed =
            |old: &Account| account.withheld.iter().any(|name| held(old, name) != held(account, name));
        if before.is_some_and(changed) {
            account.tokens = Tokens { generation: account.tokens.generation + 1, ..Tokens::default() };
        }
        if self.needs_token(account) && account.state.status == State::Active {
            account.state.status = State::Unauthorized;
            account.state.since_ms = self.records.now_ms();
            account.state.reason = "it has no access token yet".into();
        }
        Ok(())
    }

    /// Whether requests through an account need a token first.
    fn needs_token(&self, account: &Account) -> bool {
        let Ok(platform) = platform(&account.platform) else { return false };
        let wanted = with_view(account, |view| platform.credential(view, self.records.now_ms()));
        platform.grants().is_some() && !matches!(wanted, Ok(oauth::Credential::Ready)) && !has_key(account)
    }

    /// Refuses an account that is somebody's subscription while no operator has permitted pooling those.
    pub(super) async fn permit(&self, account: &Account, signs_in: bool) -> Result<(), Status> {
        let platform = platform(&account.platform)?;
        let subscription = with_view(account, |view| platform.is_subscription(view));
        if !(subscription || signs_in && platform.grants().is_some())
            || self.records.settings().await?.value.subscription_pooling
        {
            return Ok(());
        }
        let message = format!(
            "pooling subscriptions is off. {} To permit it: crsctl settings set subscription_pooling=true",
            platform.info().notice
        );
        Err(convert::refusal(Code::FailedPrecondition, "SUBSCRIPTION_POOLING_OFF", &message))
    }

    /// Gets a new account its first token, where it has what that takes. What goes wrong is told by its state.
    pub(super) async fn first_token(&self, account: &Account, caller: &Caller) {
        let platform = platform(&account.platform).ok();
        let exchange = platform.is_some_and(|platform| {
            let wanted = with_view(account, |view| platform.credential(view, self.records.now_ms()));
            matches!(wanted, Ok(oauth::Credential::Exchange(_)))
        });
        if exchange && self.needs_token(account) {
            let generation = account.tokens.generation;
            if let Err(why) = self.prober.renew(&account.id, generation, caller.author()).await {
                tracing::warn!(account = account.id, %why, "a new account has no token yet");
            }
        }
    }

    pub(super) async fn begin_oauth(
        &self,
        asked: admin::BeginOauthRequest,
    ) -> Result<admin::BeginOauthResponse, Status> {
        let kind = platform(&asked.platform)?;
        let grants = kind.grants().ok_or_else(|| not_signed_in(kind))?;
        let now = self.records.now_ms();
        let mut draft = Account { platform: kind.info().slug.into(), ..Account::default() };
        if !asked.account_id.is_empty() {
            draft = self.held(&asked.platform, &asked.account_id).await?.value;
        }
        if let Some(wire) = &asked.account {
            let fields = Account::fields(wire, None).map_err(|wrong| convert::invalid(&wrong))?;
            draft.apply(wire, &fields, now).map_err(|wrong| convert::invalid(&wrong))?;
            self.check_place(&draft)?;
        }
        self.permit(&draft, true).await?;
        let random = || secret::random::<32>().map(hex::encode).map_err(|why| convert::internal(&why));
        let (verifier, state) = (random()?, random()?);
        let begin = Begin { verifier: &verifier, state: &state, long_lived: asked.long_lived };
        let page = with_view(&draft, |view| grants.page(view, &begin)).ok_or_else(|| not_signed_in(kind))?;
        let session = OauthSession {
            id: AccountId::generate().into(),
            account_id: asked.account_id,
            draft,
            verifier: verifier.into(),
            state,
            long_lived: asked.long_lived,
            expires_at_ms: now + oauth_session::KEPT_MS,
        };
        let change = store::Change::new(store::Author::system("oauth")).put(&session, Expect::Absent);
        self.records.commit(change).await?;
        Ok(admin::BeginOauthResponse {
            auth_url: page,
            session_id: session.id,
            expires_at: Some(time::to_wire(session.expires_at_ms)),
        })
    }

    pub(super) async fn exchange_oauth(
        &self,
        caller: &Caller,
        asked: admin::ExchangeOauthRequest,
    ) -> Result<types::Account, Status> {
        let kind = platform(&asked.platform)?;
        let held = self.records.find::<OauthSession>(&asked.session_id).await?;
        let now = self.records.now_ms();
        let live = |session: &OauthSession| {
            session.expires_at_ms > now && session.draft.platform == kind.info().slug
        };
        let held = held.filter(|held| live(&held.value)).ok_or_else(|| {
            convert::refusal(
                Code::NotFound,
                "NO_SUCH_SIGN_IN",
                "this sign-in is over or was ended; begin anew",
            )
        })?;
        let session = &held.value;
        let code = oauth::code(&asked.code, &session.state)
            .map_err(|why| convert::invalid_field("code", why.to_string()))?;
        // Whoever takes the session away exchanges its code; a code works once.
        let change = store::Change::new(store::Author::system("oauth"))
            .delete::<OauthSession>(&session.id, Expect::Version(held.version));
        self.records.commit(change).await?;
        let begin = Begin {
            verifier: session.verifier.expose_secret(),
            state: &session.state,
            long_lived: session.long_lived,
        };
        let tokens = self
            .prober
            .exchange_code(&session.draft, &begin, &code)
            .await
            .map_err(|why| not_renewed(&why))?;
        let id = if session.account_id.is_empty() {
            self.signed_in(caller, session, tokens, asked.account.unwrap_or_default()).await?
        } else {
            self.authorised_again(caller, &session.account_id, tokens).await?
        };
        let account = self.records.get::<Account>(&id).await?;
        self.shown(&account).await
    }

    /// Makes the account of a sign-in.
    async fn signed_in(
        &self,
        caller: &Caller,
        session: &OauthSession,
        tokens: Tokens,
        wire: types::Account,
    ) -> Result<String, Status> {
        let now = self.records.now_ms();
        let mut account = Account {
            id: AccountId::generate().into(),
            created_at_ms: now,
            updated_at_ms: now,
            ..session.draft.clone()
        };
        let fields: Fields = Account::fields(&wire, None).map_err(|wrong| convert::invalid(&wrong))?;
        account.apply(&wire, &fields, now).map_err(|wrong| convert::invalid(&wrong))?;
        if account.name.is_empty() {
            let email = tokens.facts.get("email").map(String::as_str);
            account.name = email.unwrap_or(account.platform.as_str()).chars().take(100).collect();
        }
        account.renewed(tokens, now);
        self.settle(&mut account, None)?;
        self.check(&account)?;
        self.records.commit(self.records.change(caller).put(&account, Expect::Absent)).await?;
        Ok(account.id)
    }

    /// Gives an account that is there its new tokens, whoever else edits it.
    async fn authorised_again(&self, caller: &Caller, id: &str, tokens: Tokens) -> Result<String, Status> {
        for _ in 0..WRITES {
            let held = self.records.get::<Account>(id).await?;
            let now = self.records.now_ms();
            let mut account = held.value.clone();
            account.renewed(tokens.clone(), now);
            account.updated_at_ms = now;
            match self.records.try_commit(self.records.change(caller).update(&held, &account)).await {
                Err(store::Error::Conflict { .. }) => {}
                done => return done.map(|()| id.to_owned()).map_err(convert::store),
            }
        }
        Err(convert::refusal(Code::Aborted, "STALE", "others edit the account; begin the sign-in anew"))
    }

    pub(super) async fn refresh(
        &self,
        caller: &Caller,
        asked: &admin::RefreshAccountRequest,
    ) -> Result<types::Account, Status> {
        let held = self.held(&asked.platform, &asked.id).await?.value;
        let renewed = self.prober.renew(&held.id, held.tokens.generation, caller.author()).await;
        renewed.map_err(|why| not_renewed(&why))?;
        let account = self.records.get::<Account>(&held.id).await?;
        self.shown(&account).await
    }
}

/// Whether the account works with a key of its own and needs no token.
fn has_key(account: &Account) -> bool {
    account.credentials.contains_key("api_key")
}

fn with_view<T>(account: &Account, see: impl FnOnce(&AccountView<'_>) -> T) -> T {
    let holdings = account.holdings();
    see(&AccountView {
        base_url: &account.base_url,
        credentials: &holdings,
        user_agent: &account.user_agent,
        model_mapping: &account.model_mapping,
    })
}

fn not_signed_in(platform: &dyn Platform) -> Status {
    let message =
        format!("accounts of {} do not sign in; add one with its credentials", platform.info().name);
    convert::refusal(Code::FailedPrecondition, "NO_SIGN_IN", &message)
}

fn not_renewed(why: &NotRenewed) -> Status {
    let message = why.to_string();
    match why {
        NotRenewed::NoAccount => Status::not_found(message),
        NotRenewed::Unsuited(_) => convert::refusal(Code::FailedPrecondition, "NO_TOKEN", &message),
        NotRenewed::Reauthorize(_) => convert::refusal(Code::FailedPrecondition, "REAUTHORIZE", &message),
        NotRenewed::Later(_) => convert::refusal(Code::Unavailable, "NO_TOKEN_YET", &message),
    }
}
