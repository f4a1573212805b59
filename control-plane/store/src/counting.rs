//! Counters, logs, meters, bindings and leadership: passed on to the backend, with meters' rows typed.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    codec,
    error::{Error, Result},
    kv::{Applied, Apply, Bound, Candidate, Listed, LogItem, MarkerAt, Moment, Next, Row, Trim, Trimmed},
    store::Store,
};

impl Store {
    /// Counts at most once.
    pub async fn apply(&self, apply: Apply) -> Result<Applied> {
        self.inner.kv.apply(apply).await
    }

    /// How far these sources have been applied, in every partition where they have.
    pub async fn markers(&self, sources: &[String]) -> Result<Vec<MarkerAt>> {
        self.inner.kv.markers(sources).await
    }

    /// Counter rows in the order asked for; one that is not there is empty.
    pub async fn rows(&self, partition: u32, rows: &[String]) -> Result<Vec<Row>> {
        self.inner.kv.rows(partition, rows).await
    }

    /// Names of rows that begin with `prefix`, ascending, those after `after`, at most `limit`.
    pub async fn row_names(
        &self,
        partition: u32,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>> {
        self.inner.kv.row_names(partition, prefix, after, limit).await
    }

    /// Entries of a log before a position, newest first.
    pub async fn log_range(
        &self,
        partition: u32,
        log: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<LogItem>> {
        self.inner.kv.log_range(partition, log, before, limit).await
    }

    /// Bodies of log entries by their ids, in the order asked for.
    pub async fn log_get(&self, partition: u32, log: &str, ids: &[String]) -> Result<Vec<Option<Vec<u8>>>> {
        self.inner.kv.log_get(partition, log, ids).await
    }

    /// Removes what retention no longer keeps, until nothing is left to remove; how much.
    pub async fn trim(&self, trim: Trim) -> Result<u64> {
        let mut removed = 0;
        loop {
            let Trimmed { removed: step, more } = self.inner.kv.trim(trim.clone()).await?;
            removed += step;
            if !more {
                return Ok(removed);
            }
        }
    }

    /// Runs a pure step over a meter's row (`None`: there is none), as one atomic step of the store. The step may run
    /// several times, always on what is there; only the last run counts, and its answer is given.
    pub async fn meter<R, T, F>(&self, meter: &str, step: F) -> Result<T>
    where
        R: Serialize + DeserializeOwned,
        T: Send + 'static,
        F: Fn(&mut Option<R>, Moment) -> T + Send + Sync + 'static,
    {
        let answer = Arc::new(Mutex::new(Err(Error::Invalid { why: "the step did not run".into() })));
        let (slot, name) = (Arc::clone(&answer), meter.to_owned());
        let step = move |bytes: Option<&[u8]>, moment: Moment| {
            let ran = run(&name, bytes, |row| step(row, moment));
            let (result, next) = match ran {
                Ok((result, next)) => (Ok(result), next),
                Err(why) => (Err(why), Next::Keep),
            };
            *slot.lock() = result;
            next
        };
        self.inner.kv.update(meter, Arc::new(step)).await?;
        let mut held = answer.lock();
        std::mem::replace(&mut *held, Err(Error::Invalid { why: "the answer was taken".into() }))
    }

    /// Forgets a meter, such as one of a key that is gone.
    pub async fn forget_meter(&self, meter: &str) -> Result<()> {
        self.inner.kv.update(meter, Arc::new(|_, _| Next::Remove)).await
    }

    /// Names of meters that begin with `prefix` (a key's id and `/`: the key's), ascending, those after `after`.
    pub async fn meters(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        self.inner.kv.cells(prefix, after, limit).await
    }

    /// Gets a binding, or sets it where there is none: the first writer wins. `replaces` names an account whose
    /// binding may be replaced; empty: none. An empty `candidate` sets nothing.
    pub async fn bind(
        &self,
        key: &str,
        candidate: &str,
        replaces: &str,
        ttl_ms: i64,
        renew_below_ms: i64,
    ) -> Result<Bound> {
        let candidate = Candidate {
            account: candidate.to_owned(),
            replaces: replaces.to_owned(),
            ttl_ms,
            renew_below_ms,
        };
        self.inner.kv.bind(key, candidate).await
    }

    /// Bindings whose names begin with `prefix`, which reaches at least to the first `/`: ascending, those after
    /// `after`; at most `limit` names are looked at.
    pub async fn bindings(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listed> {
        self.inner.kv.bindings(prefix, after, limit).await
    }

    /// Forgets a binding; whether there was one.
    pub async fn unbind(&self, key: &str) -> Result<bool> {
        self.inner.kv.unbind(key).await
    }

    /// Acquires or renews the leadership of a role: the fencing number, `None` when another leads. `holder` names one
    /// life of one process.
    pub async fn lead(&self, role: &str, holder: &str, ttl_ms: i64) -> Result<Option<u64>> {
        self.inner.kv.lead(role, holder, ttl_ms).await
    }

    /// Gives leadership back.
    pub async fn release(&self, role: &str, holder: &str) -> Result<()> {
        self.inner.kv.release(role, holder).await
    }
}

/// One run of a meter's step over its bytes.
fn run<R, T>(meter: &str, bytes: Option<&[u8]>, step: impl FnOnce(&mut Option<R>) -> T) -> Result<(T, Next)>
where
    R: Serialize + DeserializeOwned,
{
    let mut row = bytes.map(|bytes| codec::decode(&format!("meter {meter}"), bytes)).transpose()?;
    let answer = step(&mut row);
    let next = match (row, bytes) {
        (None, None) => Next::Keep,
        (None, Some(_)) => Next::Remove,
        (Some(row), before) => {
            let after = codec::encode(&row)?;
            if before == Some(after.as_slice()) { Next::Keep } else { Next::Put(after) }
        }
    };
    Ok((answer, next))
}
