//! What nearly every test begins with: a mock, a standalone, an account, a key.

use e2e::{
    mock::{Mock, Options},
    sandbox::{Setup, Standalone, Talk},
};
use serde_json::{Value, json};

/// What tests return.
pub type Test = anyhow::Result<()>;

/// The upstream key of the first account.
pub const UPSTREAM_KEY: &str = "sk-ant-canary-upstream-0001";

/// A mock behind a standalone.
pub struct Bed {
    /// The upstream.
    pub mock: Mock,
    /// The relay.
    pub crs: Standalone,
    /// The account's id.
    pub account: String,
    /// The key's id.
    pub key: String,
    /// A client with that key.
    pub talk: Talk,
}

impl Bed {
    /// Starts one.
    pub async fn start() -> anyhow::Result<Self> {
        Self::with(Setup::default(), json!({}), json!({})).await
    }

    /// Starts one with settings of its own; `account` and `key` are merged over the defaults.
    pub async fn with(setup: Setup, account: Value, key: Value) -> anyhow::Result<Self> {
        let mock = Mock::start(Options { keep_bodies: true, ..Options::default() }).await?;
        let crs = Standalone::start(setup).await?;
        let account = crs.account("first", &mock.url(), UPSTREAM_KEY, account).await?;
        let (key, secret) = crs.key("client", key).await?;
        let talk = crs.talk(&secret);
        serves(&talk).await?;
        Ok(Self { mock, crs, account, key, talk })
    }

    /// Searches for secrets and ends the relay.
    pub async fn close(self) -> Test {
        self.crs.close().await
    }
}

/// Waits until a new key and account have arrived at the node.
pub async fn serves(talk: &Talk) -> Test {
    let bound = std::time::Duration::from_secs(10);
    let reply = e2e::sandbox::eventually("the relay serves a new key", bound, || async {
        talk.say("warm up [mock::warm-up]").await.ok().filter(|reply| reply.status == 200)
    });
    reply.await.map(drop)
}

/// SHA-256, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(bytes))
}

/// Names of the events of a stream.
pub fn events(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body).into_owned();
    text.lines().filter_map(|line| line.strip_prefix("event: ")).map(str::to_owned).collect()
}
