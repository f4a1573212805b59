//! Asks for a fresh access token when an upstream refuses the one at hand: one call for all requests of this node that
//! wait for the same account, and one renewal for all nodes that ask. The token itself comes with the snapshot.

use std::{sync::Arc, time::Duration};

use link::Link;
use parking_lot::Mutex;
use proto::{
    node::{FreshTokenRequest, account_event_service_client::AccountEventServiceClient},
    rules::ids::AccountId,
};
use rustc_hash::FxHashMap;
use snapshot::{Account, Handle, Snapshot};

/// How long a request waits for a fresh token.
const DEADLINE: Duration = Duration::from_secs(20);
/// How often it is looked whether the snapshot has it.
const LOOK: Duration = Duration::from_millis(10);

/// The way to fresh tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    link: Link,
    snapshot: Arc<Handle>,
    /// Who asks for which account.
    asking: Arc<Mutex<FxHashMap<AccountId, Arc<tokio::sync::Mutex<()>>>>>,
}

impl Tokens {
    /// Over a link; fresh tokens come into `snapshot`.
    pub fn new(link: Link, snapshot: Arc<Handle>) -> Self {
        Self { link, snapshot, asking: Arc::default() }
    }

    /// The first snapshot that has another token of an account than the one that was refused; `None`: there is none to
    /// be had now.
    pub async fn fresh(&self, refused: &Account) -> Option<Arc<Snapshot>> {
        let turn = Arc::clone(self.asking.lock().entry(refused.id.clone()).or_default());
        let found = tokio::time::timeout(DEADLINE, async {
            let _turn = turn.lock().await;
            match self.newer(refused) {
                Some(newer) => Some(newer),
                None => self.ask(refused).await,
            }
        });
        let found = found.await.ok().flatten();
        let mut asking = self.asking.lock();
        // Ours and the table's: nobody else waits.
        if asking.get(&refused.id).is_some_and(|held| Arc::strong_count(held) <= 2) {
            asking.remove(&refused.id);
        }
        found
    }

    fn newer(&self, refused: &Account) -> Option<Arc<Snapshot>> {
        let snapshot = self.snapshot.current();
        let held = snapshot.account(&refused.id).map(|account| account.token_generation);
        held.is_some_and(|held| held > refused.token_generation).then_some(snapshot)
    }

    async fn ask(&self, refused: &Account) -> Option<Arc<Snapshot>> {
        let mut client = AccountEventServiceClient::new(self.link.channel());
        let request = FreshTokenRequest {
            account_id: refused.id.as_str().to_owned(),
            token_generation: refused.token_generation,
        };
        match client.fresh_token(request).await {
            Ok(_) => loop {
                if let Some(newer) = self.newer(refused) {
                    return Some(newer);
                }
                tokio::time::sleep(LOOK).await;
            },
            Err(status) => {
                let (code, account) = (status.code(), &refused.id);
                tracing::warn!(%account, ?code, reason = status.message(), "no fresh token");
                None
            }
        }
    }
}
