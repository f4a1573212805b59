//! `AccountEventService`: what upstreams said of accounts, merged into their records. Nothing is written that changes
//! nothing, so a thousand nodes that see one limit make one change.

use std::{collections::BTreeMap, sync::Arc};

use domain::{Account, AccountWindows};
use process::clock;
use proto::{
    node::{
        AccountEvent, AccountEventRequest, AccountEventResponse, FreshTokenRequest, FreshTokenResponse,
        account_event_service_server::AccountEventService,
    },
    rules::upstream_window::Window,
};
use store::{Change, Expect, Store, View};
use tonic::{Request, Response, Status};

use crate::{fresh, guard::Guard, registry::author, verdicts};

/// Tries before writers that get in each other's way give up.
const TRIES: usize = 8;

pub(crate) struct AccountEvents {
    pub(crate) guard: Arc<Guard>,
    pub(crate) store: Store,
    pub(crate) view: View,
    pub(crate) renewer: Arc<dyn fresh::Renewer>,
}

#[tonic::async_trait]
impl AccountEventService for AccountEvents {
    async fn report(
        &self,
        request: Request<AccountEventRequest>,
    ) -> Result<Response<AccountEventResponse>, Status> {
        let caller = self.guard.admit(&request).await?;
        let mut by_account: BTreeMap<String, Vec<AccountEvent>> = BTreeMap::new();
        for event in request.into_inner().events {
            by_account.entry(event.account_id.clone()).or_default().push(event);
        }
        for (account, events) in by_account {
            self.merge(&caller.node, &account, &events).await.map_err(crate::unavailable)?;
            self.note_windows(&caller.node, &account, &events).await.map_err(crate::unavailable)?;
        }
        Ok(Response::new(AccountEventResponse {}))
    }

    async fn fresh_token(
        &self,
        request: Request<FreshTokenRequest>,
    ) -> Result<Response<FreshTokenResponse>, Status> {
        let caller = self.guard.admit(&request).await?;
        fresh::answer(&*self.renewer, &caller.node, request.into_inner()).await.map(Response::new)
    }
}

impl AccountEvents {
    /// Notes the usage windows that events tell of.
    async fn note_windows(&self, node: &str, id: &str, events: &[AccountEvent]) -> store::Result<()> {
        let seen: Vec<Window> =
            events.iter().flat_map(|event| &event.windows).filter_map(Window::from_wire).collect();
        if seen.is_empty() || self.view.get::<Account>(id).is_none() {
            return Ok(());
        }
        // All are taken over: the first that is news does not end it.
        let apply =
            |held: &mut AccountWindows| seen.iter().filter(|one| held.merge((*one).clone())).count() > 0;
        if let Some(held) = self.view.get::<AccountWindows>(id)
            && !apply(&mut held.value.clone())
        {
            return Ok(());
        }
        for _ in 0..TRIES {
            let held = self.store.get::<AccountWindows>(id).await?;
            let new = AccountWindows { id: id.to_owned(), ..AccountWindows::default() };
            let mut windows = held.as_ref().map_or(new, |held| held.value.clone());
            if !apply(&mut windows) {
                return Ok(());
            }
            let expect = held.map_or(Expect::Absent, |held| Expect::Version(held.version));
            let change = Change::new(author(node, "AccountEventService.Report")).put(&windows, expect);
            match self.store.commit(change).await {
                Err(store::Error::Conflict { .. }) => {}
                done => return done.map(drop),
            }
        }
        Err(store::Error::Contended { what: format!("account_windows/{id}") })
    }

    async fn merge(&self, node: &str, id: &str, events: &[AccountEvent]) -> store::Result<()> {
        let now_ms = clock::unix_ms();
        let apply = |account: &mut Account| {
            let mut changed = false;
            for event in events {
                changed |= verdicts::merge(account, event, now_ms);
            }
            changed
        };
        // The copy at hand tells most repetitions from news without asking the store.
        if let Some(held) = self.view.get::<Account>(id) {
            let newer = events.iter().any(|event| event.state_generation > held.value.state.generation);
            if !newer && !apply(&mut held.value.clone()) {
                return Ok(());
            }
        }
        for _ in 0..TRIES {
            let Some(held) = self.store.get::<Account>(id).await? else { return Ok(()) };
            let mut account = held.value.clone();
            if !apply(&mut account) {
                return Ok(());
            }
            let state = &account.state;
            tracing::info!(
                account = id,
                node,
                status = state.status.as_str(),
                until_ms = state.until_ms,
                reason = state.reason,
                "account state"
            );
            let change = Change::new(author(node, "AccountEventService.Report")).update(&held, &account);
            match self.store.commit(change).await {
                Err(store::Error::Conflict { .. }) => {}
                done => return done.map(drop),
            }
        }
        Err(store::Error::Contended { what: format!("account/{id}") })
    }
}
