//! Making, rotating and rewrapping the keys that seal records.

use crate::{
    audit::Author,
    change::Change,
    error::{Error, Result},
    kv::Expect,
    seal::{DataKey, MasterKey},
    store::Store,
};

impl Store {
    /// Learns the data keys, and makes the first one in a store that has none. Of two processes that do so at once,
    /// one makes it and the other reads it.
    pub(crate) async fn unlock(&self) -> Result<()> {
        loop {
            if !self.load_keys().await?.is_empty() {
                return Ok(());
            }
            match self.make_key(1, Author::system("bootstrap")).await {
                Ok(_) | Err(Error::Conflict { .. }) => {}
                Err(why) => return Err(why),
            }
        }
    }

    /// Seals from now on with a new data key; what was sealed before stays readable. Other replicas follow when they
    /// first meet it. Gives the key's number.
    pub async fn rotate_data_key(&self, author: Author) -> Result<u32> {
        let mut newest = 0;
        for key in self.load_keys().await? {
            newest = newest.max(key.value.number()?);
        }
        self.make_key(newest + 1, author).await
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

    async fn make_key(&self, number: u32, author: Author) -> Result<u32> {
        let key = DataKey::generate(number, &self.inner.master, self.now_ms())?;
        self.commit(Change::new(author).put(&key, Expect::Absent)).await?;
        self.inner.sealer.install(number, &*key.unwrap(&self.inner.master)?);
        Ok(number)
    }
}
