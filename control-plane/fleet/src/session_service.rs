//! `SessionService`: the account that a session sticks to. The first writer wins.

use std::sync::Arc;

use proto::{
    node::{BindRequest, BindResponse, session_service_server::SessionService},
    rules::session::SessionId,
};
use store::Store;
use tonic::{Request, Response, Status};

use crate::{bindings::Name, guard::Guard};

/// Longest life of a binding, milliseconds: a year.
const LONGEST_MS: i64 = 366 * 86_400_000;

pub(crate) struct Sessions {
    pub(crate) guard: Arc<Guard>,
    pub(crate) store: Store,
}

#[tonic::async_trait]
impl SessionService for Sessions {
    async fn bind(&self, request: Request<BindRequest>) -> Result<Response<BindResponse>, Status> {
        self.guard.admit(&request).await?;
        let ask = request.into_inner();
        let session = SessionId::from_slice(&ask.session)
            .ok_or_else(|| Status::invalid_argument("session must have 32 bytes"))?;
        if !(1..=LONGEST_MS).contains(&ask.ttl_ms) {
            return Err(Status::invalid_argument("ttl_ms must be set"));
        }
        let name = Name::new(&ask.key_id, &ask.family, &session.to_hex())
            .ok_or_else(|| Status::invalid_argument("key_id and family must be set"))?;
        let (stored, renew_below_ms) = (name.stored(), ask.renew_below_ms.max(0));
        let bound = self.store.bind(&stored, &ask.candidate, &ask.replaces, ask.ttl_ms, renew_below_ms);
        let bound = bound.await.map_err(crate::unavailable)?;
        Ok(Response::new(BindResponse {
            account_id: bound.account,
            ttl_ms: bound.ttl_ms,
            existed: bound.existed,
        }))
    }
}
