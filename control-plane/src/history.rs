//! What the fleet lays out in the store, as far as jobs must clear it away: neither of the two crates knows the other.

use async_trait::async_trait;
use jobs::History;
use store::{Author, Store};

/// The fleet's history in a store.
pub struct FleetHistory {
    /// The store.
    pub store: Store,
}

#[async_trait]
impl History for FleetHistory {
    async fn trim_before(&self, before_ms: i64) -> store::Result<u64> {
        fleet::records::trim_before(&self.store, before_ms).await
    }

    async fn forget_key(&self, key_id: &str) -> store::Result<()> {
        fleet::records::forget_key(&self.store, key_id).await
    }

    async fn forget_silent(&self, before_ms: i64, author: &Author) -> store::Result<u64> {
        Ok(fleet::forget_silent(&self.store, before_ms, author).await?.len() as u64)
    }
}
