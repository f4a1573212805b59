//! `KeyInfoService`: what a key's bearer may know of it, and its activation by the first request.

use std::sync::Arc;

use domain::{Key, Settings, settings};
use process::clock;
use proto::node::{
    ActivateRequest, ActivateResponse, KeyInfoRequest, KeyInfoResponse, KeyUsage,
    key_info_service_server::KeyInfoService,
};
use store::{Change, Store, Versioned, View};
use tonic::{Request, Response, Status};

use crate::{
    counters::{self, Bucket, Dimension, Range, Step},
    guard::Guard,
    records::{self, Filter},
    registry::author,
};

/// Newest records that are told.
const RECENT: usize = 20;
/// Tries before writers that get in each other's way give up.
const TRIES: usize = 8;

pub(crate) struct KeyInfo {
    pub(crate) guard: Arc<Guard>,
    pub(crate) store: Store,
    pub(crate) view: View,
}

#[tonic::async_trait]
impl KeyInfoService for KeyInfo {
    async fn get(&self, request: Request<KeyInfoRequest>) -> Result<Response<KeyInfoResponse>, Status> {
        self.guard.admit(&request).await?;
        let id = request.into_inner().key_id;
        let key = self.key(&id).await.map_err(crate::unavailable)?;
        let key = key.ok_or_else(|| Status::not_found("no such key"))?;
        let info = self.info(&key).await.map_err(crate::unavailable)?;
        Ok(Response::new(info))
    }

    async fn activate(
        &self,
        request: Request<ActivateRequest>,
    ) -> Result<Response<ActivateResponse>, Status> {
        let caller = self.guard.admit(&request).await?;
        let ask = request.into_inner();
        let key = self.activated(&caller.node, &ask.key_id, ask.at_ms).await.map_err(crate::unavailable)?;
        let key = key.ok_or_else(|| Status::not_found("no such key"))?;
        Ok(Response::new(ActivateResponse { expires_at_ms: key.ends_at_ms().unwrap_or_default() }))
    }
}

impl KeyInfo {
    /// A key, also one that was made a moment ago on another replica.
    async fn key(&self, id: &str) -> store::Result<Option<Arc<Versioned<Key>>>> {
        match self.view.get::<Key>(id) {
            Some(key) => Ok(Some(key)),
            None => Ok(self.store.get::<Key>(id).await?.map(Arc::new)),
        }
    }

    async fn info(&self, key: &Versioned<Key>) -> store::Result<KeyInfoResponse> {
        let now_ms = clock::unix_ms();
        let id = key.value.id.as_str();
        let settings = self.view.get::<Settings>(settings::ID);
        let zone = settings.map_or_else(|| Settings::default().zone(), |held| held.value.zone());
        let since = |step| {
            let start_ms = Bucket::holding(step, now_ms, &zone).start_ms;
            Range { start_ms, ..Range::total(now_ms, zone.clone()) }
        };
        let filter = Filter { key_id: id.to_owned(), ..Filter::default() };
        let used = [id.to_owned()];
        let last = counters::last_used(&self.store, Dimension::Key, &used, &zone).await?;
        let mut shown = key.value.to_wire(key.version, now_ms);
        shown.last_used_at = last.into_iter().flatten().next().map(domain::time::to_wire);
        Ok(KeyInfoResponse {
            key: Some(shown),
            total: Some(self.used(id, Range::total(now_ms, zone.clone())).await?),
            daily: Some(self.used(id, since(Step::Day)).await?),
            monthly: Some(self.used(id, since(Step::Month)).await?),
            recent: records::list(&self.store, &filter, None, RECENT).await?.records,
        })
    }

    async fn used(&self, key: &str, range: Range) -> store::Result<KeyUsage> {
        let totals = counters::totals(&self.store, Dimension::Key, key, &range).await?;
        Ok(KeyUsage { requests: totals.requests, tokens: totals.tokens, rated_cost: totals.rated_cost })
    }

    /// The key with its activation; the earliest first request wins.
    async fn activated(&self, node: &str, id: &str, at_ms: i64) -> store::Result<Option<Key>> {
        for _ in 0..TRIES {
            let Some(held) = self.store.get::<Key>(id).await? else { return Ok(None) };
            let mut key = held.value.clone();
            // A node's clock may be wrong; a key is not used before it is made nor after now.
            let at_ms = at_ms.clamp(key.created_at_ms, clock::unix_ms().max(key.created_at_ms));
            if !key.activate(at_ms) {
                return Ok(Some(key));
            }
            let change = Change::new(author(node, "KeyInfoService.Activate")).update(&held, &key);
            match self.store.commit(change).await {
                Err(store::Error::Conflict { .. }) => {}
                Err(why) => return Err(why),
                Ok(_) => return Ok(Some(key)),
            }
        }
        Err(store::Error::Contended { what: format!("key/{id}") })
    }
}
