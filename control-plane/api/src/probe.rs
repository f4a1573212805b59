//! Sending a small real request through an account. The API does not connect anywhere itself: who builds it passes in
//! something that does, through the one guarded connector.

use std::net::IpAddr;

use domain::Account;
use proto::admin::TestAccountResponse;

/// Sends probes.
#[tonic::async_trait]
pub trait Prober: Send + Sync + 'static {
    /// Sends a small request for a model through an account and tells what came back, without secrets.
    async fn probe(&self, account: &Account, model: &str) -> TestAccountResponse;

    /// Whether the connector would connect to an address; where not, why and what would allow it.
    ///
    /// # Errors
    /// That text.
    fn may_connect(&self, address: IpAddr) -> Result<(), String>;
}
