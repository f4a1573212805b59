//! A node's plea for a fresh token. The fleet asks no platform itself: who builds it passes in something that does, once
//! for all who ask.

use domain::account::NotRenewed;
use proto::node::{FreshTokenRequest, FreshTokenResponse};
use tonic::Status;

use crate::registry::author;

/// Renews tokens.
#[tonic::async_trait]
pub trait Renewer: Send + Sync + 'static {
    /// Sees to it that an account's token is of a later generation than `held`; which it is now.
    async fn renew(&self, account: &str, held: u64, author: store::Author) -> Result<u64, NotRenewed>;
}

/// Answers a plea.
pub(crate) async fn answer(
    renewer: &dyn Renewer,
    node: &str,
    ask: FreshTokenRequest,
) -> Result<FreshTokenResponse, Status> {
    let author = author(node, "AccountEventService.FreshToken");
    match renewer.renew(&ask.account_id, ask.token_generation, author).await {
        Ok(token_generation) => Ok(FreshTokenResponse { token_generation }),
        Err(NotRenewed::NoAccount) => Err(Status::not_found("there is no such account")),
        Err(why @ NotRenewed::Later(_)) => Err(Status::unavailable(why.to_string())),
        Err(why) => Err(Status::failed_precondition(why.to_string())),
    }
}
