//! Making, rotating and rewrapping the keys that seal records.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    audit::Author,
    change::Change,
    error::Result,
    kv::Expect,
    seal::{DataKey, MasterKey},
    store::Store,
};

impl Store {
    /// Learns the data keys, and makes the first one in a store that has none.
    pub(crate) async fn unlock(&self) -> Result<()> {
        *self.inner.keys_of.lock() = self.revision().await?.incarnation;
        if self.load_keys().await?.is_empty() {
            self.rotate_data_key(Author::system("bootstrap")).await?;
        }
        Ok(())
    }

    /// Makes sure that the store has the data keys, where it may have lost its newest writes: what is sealed under a
    /// key that only this process remembers could not be opened after it.
    pub(crate) async fn keep_keys(&self, incarnation: &Arc<str>) -> Result<()> {
        let before = std::mem::replace(&mut *self.inner.keys_of.lock(), Arc::clone(incarnation));
        if before == *incarnation {
            return Ok(());
        }
        let kept = self.put_back().await;
        if kept.is_err() {
            // Not done: the next change tries again.
            *self.inner.keys_of.lock() = before;
        }
        kept
    }

    async fn put_back(&self) -> Result<()> {
        let mut there = BTreeSet::new();
        for key in self.load_keys().await? {
            there.insert(key.value.number()?);
        }
        let mut change = Change::new(Author::system("keep_data_keys"));
        for (number, key, created_at_ms) in self.inner.sealer.keys() {
            if !there.contains(&number) {
                let wrapped = DataKey::wrap(number, &key, &self.inner.master, created_at_ms)?;
                change = change.put(&wrapped, Expect::Any);
            }
        }
        if change.is_empty() { Ok(()) } else { Box::pin(self.commit_here(change)).await.map(|_| ()) }
    }

    /// Seals from now on with a new data key; what was sealed before stays readable. Other replicas learn it when they
    /// first meet it. Gives the key's number.
    pub async fn rotate_data_key(&self, author: Author) -> Result<u32> {
        let key = DataKey::generate(&self.inner.master, self.now_ms())?;
        self.commit(Change::new(author).put(&key, Expect::Absent)).await?;
        let number = key.number()?;
        self.inner.sealer.install(number, key.unwrap(&self.inner.master)?, key.created_at_ms());
        Ok(number)
    }

    /// Wraps all data keys by another master key. Every process must be started with it from then on; those that run
    /// go on, having unwrapped what they need.
    pub async fn rewrap(&self, to: &MasterKey, author: Author) -> Result<()> {
        let mut change = Change::new(author);
        for key in self.load_keys().await? {
            let wrapped = key.value.rewrap(&self.inner.master, to)?;
            change = change.update(&key, &wrapped);
        }
        self.commit(change).await.map(|_| ())
    }
}
