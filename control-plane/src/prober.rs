//! The API's way to try an account: the jobs' probe over the one connector.

use std::net::IpAddr;

use clients::Http;
use domain::Account;
use process::clock;
use proto::admin::TestAccountResponse;
use upstream::Guard;

/// Sends probes through the connector, whose guard it also tells of.
pub struct Prober {
    /// The way out.
    pub http: Http,
    /// Which addresses the connector goes to.
    pub guard: Guard,
}

#[tonic::async_trait]
impl api::Prober for Prober {
    async fn probe(&self, account: &Account, model: &str) -> TestAccountResponse {
        let probed = jobs::probe(&self.http, account, model, clock::unix_ms()).await;
        TestAccountResponse {
            ok: probed.ok,
            status: i32::from(probed.status),
            verdict: probed.verdict.to_owned(),
            message: probed.message,
            latency_ms: i64::try_from(probed.latency_ms).unwrap_or(i64::MAX),
            model: probed.model,
        }
    }

    fn may_connect(&self, address: IpAddr) -> Result<(), String> {
        self.guard.check(address).map_err(|range| {
            format!(
                "{address} is {range}; add its network to the setting upstream-allow-private to permit it"
            )
        })
    }
}
