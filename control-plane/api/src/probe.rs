//! Sending requests of our own for an account: a small real one to try it, and those that get it a token. The API does not connect anywhere itself: who builds it passes in
//! something that does, through the one guarded connector.

use std::net::IpAddr;

use domain::{
    Account,
    account::{NotRenewed, Tokens},
};
use platforms::oauth::Begin;
use proto::admin::TestAccountResponse;

/// Sends probes, and asks for tokens.
#[tonic::async_trait]
pub trait Prober: Send + Sync + 'static {
    /// Sends a small request for a model through an account and tells what came back, without secrets.
    async fn probe(&self, account: &Account, model: &str) -> TestAccountResponse;

    /// Sees to it that an account has a token of a later generation than `held`.
    async fn renew(&self, account: &str, held: u64, author: store::Author) -> Result<(), NotRenewed>;

    /// Turns the code of a sign-in into tokens for an account that is not there yet.
    async fn exchange_code(
        &self,
        draft: &Account,
        begin: &Begin<'_>,
        code: &str,
    ) -> Result<Tokens, NotRenewed>;

    /// Whether the connector would connect to an address; where not, why and what would allow it.
    ///
    /// # Errors
    /// That text.
    fn may_connect(&self, address: IpAddr) -> Result<(), String>;
}
