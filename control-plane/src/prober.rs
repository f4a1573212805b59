//! The API's way to try an account and to get it a token: the jobs' probe and renewal over the one connector.

use std::net::IpAddr;

use clients::Http;
use domain::{
    Account,
    account::{NotRenewed, Tokens},
};
use jobs::{Begin, Renewer};
use process::clock;
use proto::admin::TestAccountResponse;
use upstream::Guard;

/// Sends probes through the connector, whose guard it also tells of.
pub struct Prober {
    /// The way out.
    pub http: Http,
    /// Which addresses the connector goes to.
    pub guard: Guard,
    /// What renews tokens.
    pub renewer: Renewer,
}

/// Renews tokens for nodes that ask.
pub struct ForNodes(pub Renewer);

#[tonic::async_trait]
impl fleet::Renewer for ForNodes {
    async fn renew(&self, account: &str, held: u64, author: store::Author) -> Result<u64, NotRenewed> {
        self.0.renew(account, held, false, &author).await
    }
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

    async fn renew(&self, account: &str, held: u64, author: store::Author) -> Result<(), NotRenewed> {
        self.renewer.renew(account, held, true, &author).await.map(drop)
    }

    async fn exchange_code(
        &self,
        draft: &Account,
        begin: &Begin<'_>,
        code: &str,
    ) -> Result<Tokens, NotRenewed> {
        self.renewer.exchange_code(draft, begin, code).await
    }

    fn may_connect(&self, address: IpAddr) -> Result<(), String> {
        self.guard.check(address).map_err(|range| {
            format!(
                "{address} is {range}; add its network to the setting upstream-allow-private to permit it"
            )
        })
    }
}
