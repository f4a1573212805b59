//! `SessionService`: the account that a session sticks to. The first writer wins.

use std::sync::Arc;

use proto::{
    node::{BindRequest, BindResponse, session_service_server::SessionService},
    rules::session::SessionId,
};
use store::Store;
use tonic::{Request, Response, Status};

use crate::guard::Guard;

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
        if ask.candidate.is_empty() || !(1..=LONGEST_MS).contains(&ask.ttl_ms) {
            return Err(Status::invalid_argument("candidate and ttl_ms must be set"));
        }
        let key = binding(&ask.family, &session);
        let bound =
            self.store.bind(&key, &ask.candidate, &ask.replaces, ask.ttl_ms, ask.renew_below_ms.max(0)).await;
        let bound = bound.map_err(crate::unavailable)?;
        Ok(Response::new(BindResponse {
            account_id: bound.account,
            ttl_ms: bound.ttl_ms,
            existed: bound.existed,
        }))
    }
}

/// What a session's binding in a platform family is called in the store.
fn binding(family: &str, session: &SessionId) -> String {
    let mut name = String::with_capacity(family.len() + 65);
    name.extend(family.chars().filter(|c| c.is_ascii_alphanumeric()).take(32));
    name.push('/');
    session.0.iter().for_each(|byte| name.push_str(&format!("{byte:02x}")));
    name
}
