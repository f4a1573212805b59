//! Upstream accounts of all platforms. Paths name a platform by slug or by an alias that the registry knows.

mod list;
mod oauth;
mod state;

use std::sync::Arc;

use domain::{Account, AccountWindows, Group, Violations, account::WRITABLE, mask::Fields, time, url::Url};
use fleet::counters::{self, Dimension};
use platforms::{Platform, registry};
use proto::{
    admin::{self, account_service_server::AccountService},
    rules::{ids::AccountId, upstream_window::Window},
    types,
};
use secrecy::ExposeSecret as _;
use store::{Expect, Versioned};
use tonic::{Code, Request, Response, Status};

use super::{Once, Seen, stats};
use crate::{
    convert,
    guard::Caller,
    probe::Prober,
    records::{Records, check_etag},
};

/// Full name of the request that creates.
const CREATE: &str = "crs.admin.v1.CreateAccountRequest";

/// The service.
pub struct Accounts {
    records: Records,
    prober: Arc<dyn Prober>,
}

impl Accounts {
    /// Over the records, with a way to send probes.
    pub fn new(records: Records, prober: Arc<dyn Prober>) -> Self {
        Self { records, prober }
    }

    /// An account of a platform; an empty platform is any.
    async fn held(&self, platform: &str, id: &str) -> Result<Versioned<Account>, Status> {
        let slug = registry::canonical(platform);
        let account = self.records.find::<Account>(id).await?;
        let account = account.filter(|account| slug.is_empty() || account.value.platform == slug);
        account.ok_or_else(|| convert::not_found("account", id))
    }

    /// Ids of the groups that an account is in.
    fn groups_of(&self, id: &str) -> Vec<String> {
        let all = self.records.view().all::<Group>();
        let within = all.iter().filter(|group| group.value.members.iter().any(|member| member == id));
        within.map(|group| group.value.id.clone()).collect()
    }

    async fn shown(&self, account: &Versioned<Account>) -> Result<types::Account, Status> {
        let groups = self.groups_of(&account.value.id);
        let mut shown = vec![account.value.to_wire(account.version, groups, self.records.now_ms())];
        self.fill_windows(&mut shown);
        self.fill_last_used(&mut shown).await?;
        shown.pop().ok_or_else(|| Status::internal("an account was lost"))
    }

    /// The upstream's usage windows of an account that run.
    fn windows_of(&self, id: &str) -> Vec<Window> {
        let (held, now) = (self.records.view().get::<AccountWindows>(id), self.records.now_ms());
        held.iter().flat_map(|held| &held.value.windows).filter(|one| one.runs(now)).cloned().collect()
    }

    fn fill_windows(&self, accounts: &mut [types::Account]) {
        for account in accounts {
            account.windows = self.windows_of(&account.id).iter().map(Window::to_wire).collect();
        }
    }

    async fn fill_last_used(&self, accounts: &mut [types::Account]) -> Result<(), Status> {
        let ids: Vec<String> = accounts.iter().map(|account| account.id.clone()).collect();
        for (account, at) in accounts.iter_mut().zip(self.last_used(&ids).await?) {
            account.last_used_at = at.map(time::to_wire);
        }
        Ok(())
    }

    async fn last_used(&self, ids: &[String]) -> Result<Vec<Option<i64>>, Status> {
        let zone = self.records.settings().await?.value.zone();
        let used = counters::last_used(self.records.store(), Dimension::Account, ids, &zone).await;
        let minute = |ms: i64| ms - ms.rem_euclid(60_000);
        Ok(used.map_err(convert::store)?.into_iter().map(|at| at.map(minute)).collect())
    }

    /// Whether the platform could work with the account, and the connector would go where it points.
    fn check(&self, account: &Account) -> Result<(), Status> {
        let platform = platform(&account.platform)?;
        let mut wrong = Violations::default();
        if let Err(found) = platform.check(&account.credentials, &account.base_url) {
            for one in found {
                wrong.add(one.field, one.description);
            }
        }
        wrong.or(()).map_err(|wrong| convert::invalid(&wrong))?;
        self.check_place(account)
    }

    /// Whether the connector would go where the account points.
    fn check_place(&self, account: &Account) -> Result<(), Status> {
        let mut wrong = Violations::default();
        let proxy = account.proxy_url.as_ref().map(|url| url.expose_secret());
        let places = [("base_url", Some(account.base_url.as_str())), ("proxy.url", proxy)];
        for (field, url) in places {
            let Some(Ok(url)) = url.filter(|url| !url.is_empty()).map(Url::parse) else { continue };
            if let Err(why) = self.may_connect(&url) {
                wrong.add(field, why);
            }
        }
        wrong.or(()).map_err(|wrong| convert::invalid(&wrong))
    }

    /// Addresses as written are judged here, for a helpful answer; names are judged where they are resolved, each time.
    fn may_connect(&self, url: &Url) -> Result<(), String> {
        let host = url.host.trim_end_matches('.');
        let local = host == "localhost" || host.ends_with(".localhost");
        let address = if local { Some(std::net::Ipv4Addr::LOCALHOST.into()) } else { url.ip() };
        address.map_or(Ok(()), |address| self.prober.may_connect(address))
    }

    async fn create(&self, caller: &Caller, asked: &admin::CreateAccountRequest) -> Result<String, Status> {
        let once = match Once::look(&self.records, caller, &asked.request_id, CREATE, asked).await? {
            Seen::Made(id) => return Ok(id),
            Seen::New(once) => Some(once),
            Seen::Unasked => None,
        };
        let wire = asked.account.clone().unwrap_or_default();
        let platform = platform(&wire.platform)?;
        let now = self.records.now_ms();
        let mut account = Account {
            id: AccountId::generate().into(),
            platform: platform.info().slug.into(),
            created_at_ms: now,
            updated_at_ms: now,
            ..Account::default()
        };
        account.apply(&wire, &Fields::all(WRITABLE), now).map_err(|wrong| convert::invalid(&wrong))?;
        self.check(&account)?;
        self.permit(&account, false).await?;
        self.settle(&mut account, None)?;
        let mut change = self.records.change(caller).put(&account, Expect::Absent);
        if let Some(once) = once {
            change = once.note(change, &account.id);
        }
        match self.records.try_commit(change).await {
            Ok(()) => {
                self.first_token(&account, caller).await;
                Ok(account.id)
            }
            // The same request came twice at once: the other one made the account.
            Err(store::Error::Conflict { kind, .. }) if kind == "idempotency_key" => {
                match Once::look(&self.records, caller, &asked.request_id, CREATE, asked).await? {
                    Seen::Made(id) => Ok(id),
                    _ => Err(convert::refusal(Code::Aborted, "STALE", "repeat the request")),
                }
            }
            Err(why) => Err(convert::store(why)),
        }
    }

    /// Keys that are bound to an account: it cannot go while they are.
    fn bound_keys(&self, id: &str) -> Vec<String> {
        let all = self.records.view().all::<domain::Key>();
        let bound = all.iter().filter(|key| key.value.account_binding.values().any(|to| to.account == id));
        bound.map(|key| key.value.name.clone()).take(5).collect()
    }
}

fn platform(slug: &str) -> Result<&'static dyn Platform, Status> {
    registry::find(slug).ok_or_else(|| {
        let known: Vec<_> = registry::all().iter().map(|platform| platform.info().slug).collect();
        let message = format!("`{slug}` is no platform of this release; there are {}", known.join(", "));
        convert::invalid_field("platform", message)
    })
}

#[tonic::async_trait]
impl AccountService for Accounts {
    async fn create_account(
        &self,
        request: Request<admin::CreateAccountRequest>,
    ) -> Result<Response<types::Account>, Status> {
        let caller = Caller::of(&request)?;
        let id = self.create(&caller, &request.into_inner()).await?;
        let account = self.records.get::<Account>(&id).await?;
        self.shown(&account).await.map(Response::new)
    }

    async fn get_account(
        &self,
        request: Request<admin::GetAccountRequest>,
    ) -> Result<Response<types::Account>, Status> {
        let asked = request.into_inner();
        let account = self.held(&asked.platform, &asked.id).await?;
        self.shown(&account).await.map(Response::new)
    }

    async fn list_accounts(
        &self,
        request: Request<admin::ListAccountsRequest>,
    ) -> Result<Response<admin::ListAccountsResponse>, Status> {
        self.list(request.into_inner()).await.map(Response::new)
    }

    async fn update_account(
        &self,
        request: Request<admin::UpdateAccountRequest>,
    ) -> Result<Response<types::Account>, Status> {
        let caller = Caller::of(&request)?;
        let asked = request.into_inner();
        let wire = asked.account.unwrap_or_default();
        let held = self.held(&wire.platform, &wire.id).await?;
        check_etag(&wire.etag, held.version)?;
        let fields =
            Account::fields(&wire, asked.update_mask.as_ref()).map_err(|wrong| convert::invalid(&wrong))?;
        let now = self.records.now_ms();
        let mut account = held.value.clone();
        account.apply(&wire, &fields, now).map_err(|wrong| convert::invalid(&wrong))?;
        self.check(&account)?;
        self.permit(&account, false).await?;
        self.settle(&mut account, Some(&held.value))?;
        account.updated_at_ms = now;
        let account = self.records.update(&caller, &held, account).await?;
        self.first_token(&account.value, &caller).await;
        let account = self.records.get::<Account>(&account.value.id).await?;
        self.shown(&account).await.map(Response::new)
    }

    async fn delete_account(
        &self,
        request: Request<admin::DeleteAccountRequest>,
    ) -> Result<Response<admin::DeleteAccountResponse>, Status> {
        let caller = Caller::of(&request)?;
        let asked = request.into_inner();
        let held = self.held(&asked.platform, &asked.id).await?;
        let bound = self.bound_keys(&held.value.id);
        if !bound.is_empty() {
            let message =
                format!("keys are bound to this account: {}; change their binding first", bound.join(", "));
            return Err(convert::refusal(Code::FailedPrecondition, "ACCOUNT_BOUND", &message));
        }
        let mut change =
            self.records.change(&caller).delete::<Account>(&held.value.id, Expect::Version(held.version));
        change = change.delete::<AccountWindows>(&held.value.id, Expect::Any);
        for group in self.groups_of(&held.value.id) {
            let group = self.records.get::<Group>(&group).await?;
            let mut without = group.value.clone();
            without.members.retain(|member| *member != held.value.id);
            change = change.update(&group, &without);
        }
        self.records.commit(change).await?;
        Ok(Response::new(admin::DeleteAccountResponse {}))
    }

    async fn test_account(
        &self,
        request: Request<admin::TestAccountRequest>,
    ) -> Result<Response<admin::TestAccountResponse>, Status> {
        let asked = request.into_inner();
        let account = self.held(&asked.platform, &asked.id).await?;
        if asked.model.len() > 200 || asked.model.chars().any(char::is_control) {
            return Err(convert::invalid_field("model", "must be a model's name"));
        }
        Ok(Response::new(self.prober.probe(&account.value, &asked.model).await))
    }

    async fn begin_oauth(
        &self,
        request: Request<admin::BeginOauthRequest>,
    ) -> Result<Response<admin::BeginOauthResponse>, Status> {
        Caller::of(&request)?;
        Accounts::begin_oauth(self, request.into_inner()).await.map(Response::new)
    }

    async fn exchange_oauth(
        &self,
        request: Request<admin::ExchangeOauthRequest>,
    ) -> Result<Response<types::Account>, Status> {
        let caller = Caller::of(&request)?;
        Accounts::exchange_oauth(self, &caller, request.into_inner()).await.map(Response::new)
    }

    async fn refresh_account(
        &self,
        request: Request<admin::RefreshAccountRequest>,
    ) -> Result<Response<types::Account>, Status> {
        let caller = Caller::of(&request)?;
        self.refresh(&caller, request.get_ref()).await.map(Response::new)
    }

    async fn toggle_schedulable(
        &self,
        request: Request<admin::ToggleSchedulableRequest>,
    ) -> Result<Response<types::Account>, Status> {
        let caller = Caller::of(&request)?;
        self.toggle(&caller, request.into_inner()).await.map(Response::new)
    }

    async fn reset_status(
        &self,
        request: Request<admin::ResetStatusRequest>,
    ) -> Result<Response<types::Account>, Status> {
        let caller = Caller::of(&request)?;
        let asked = request.into_inner();
        self.forget(&caller, &asked.platform, &asked.id, false).await.map(Response::new)
    }

    async fn reset_rate_limit(
        &self,
        request: Request<admin::ResetRateLimitRequest>,
    ) -> Result<Response<types::Account>, Status> {
        let caller = Caller::of(&request)?;
        let asked = request.into_inner();
        self.forget(&caller, &asked.platform, &asked.id, true).await.map(Response::new)
    }

    async fn get_account_availability(
        &self,
        request: Request<admin::GetAccountAvailabilityRequest>,
    ) -> Result<Response<admin::AccountAvailability>, Status> {
        let asked = request.into_inner();
        let account = self.held(&asked.platform, &asked.id).await?;
        Ok(Response::new(self.available(&account.value)))
    }

    async fn get_account_stats(
        &self,
        request: Request<admin::GetAccountStatsRequest>,
    ) -> Result<Response<admin::UsageReport>, Status> {
        let asked = request.into_inner();
        let account = self.held(&asked.platform, &asked.id).await?;
        let range = asked.range.unwrap_or_default();
        stats::report(&self.records, Dimension::Account, &account.value.id, &range).await.map(Response::new)
    }
}
