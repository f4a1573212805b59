//! What is asked of the server itself: whether it can carry the store, and whether it is still the same one.

use redis::Value;
use sha2::{Digest as _, Sha256};

use super::{Redis, documents, replies::read};
use crate::{
    error::{Error, Result},
    kv::{Identity, Revision, Status},
};

/// The oldest version that has all that is used.
const OLDEST: (u32, u32) = (7, 0);
/// The layout of keys that this release writes and reads.
const LAYOUT: u64 = 1;

impl Redis {
    /// Refuses a server that cannot carry the store, in words that say what to change.
    pub(super) async fn check(&self) -> Result<()> {
        let info = self.info().await?;
        let version = field(&info, "redis_version");
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        if found < OLDEST {
            return unfit(format!("redis is version {version}: 7.0 or later is needed"));
        }
        if field(&info, "cluster_enabled") == "1" && !self.link.dialer.is_cluster() {
            return unfit("redis runs as a cluster: name it as redis+cluster://host:port,host:port".into());
        }
        if field(&info, "role") == "slave" {
            return unfit("redis is a replica: name its master, or use redis-sentinel://".into());
        }
        let policy = field(&info, "maxmemory_policy");
        if field(&info, "maxmemory") != "0" && policy != "noeviction" {
            return unfit(format!(
                "redis may evict keys of the store (maxmemory-policy {policy}): set noeviction"
            ));
        }
        let layout = redis::cmd("HGET").arg(self.layout.meta()).arg("layout").to_owned();
        let layout: Option<u64> = read("layout", self.link.read(self.link.cold, &layout).await?)?;
        match layout {
            Some(layout) if layout > LAYOUT => unfit(format!(
                "the store has layout {layout}, this release knows {LAYOUT}: it is of a later release"
            )),
            _ => Ok(()),
        }
    }

    /// How the server is, in words.
    pub(super) async fn describe(&self) -> Result<Status> {
        let info = self.info().await?;
        let mode = field(&info, "redis_mode");
        let durability = match field(&info, "aof_enabled") {
            "1" => self.fsync().await,
            _ => "no append-only file: a restart may lose what was acknowledged".to_owned(),
        };
        Ok(Status {
            backend: "redis",
            server: format!("redis {} {mode}", field(&info, "redis_version")),
            durability,
        })
    }

    async fn fsync(&self) -> String {
        let command = redis::cmd("CONFIG").arg("GET").arg("appendfsync").to_owned();
        let answer = self.link.read(self.link.cold, &command).await;
        let policy = answer.and_then(|value| read::<Vec<String>>("configuration", value));
        match policy.ok().and_then(|pair| pair.get(1).cloned()).as_deref() {
            Some("always") => "append-only file, synced at every write".into(),
            Some("everysec") => "append-only file, synced every second: a crash may lose the last".into(),
            Some(other) => format!("append-only file, appendfsync {other}"),
            None => "append-only file, how it is synced is not told".into(),
        }
    }

    /// Asks for revision, clock and identity, and remembers them.
    pub(super) async fn look(&self) -> Result<Identity> {
        let lives = self.lives().await?;
        let before_us = process::clock::unix_us();
        let looked = documents::changes(self, 1 << 53, 1).await?;
        self.state.tick(before_us, looked.time_us, process::clock::unix_us());
        let incarnation = looked.feed.incarnation;
        self.state
            .saw(&Revision { incarnation: std::sync::Arc::clone(&incarnation), number: looked.feed.head });
        let digest =
            Sha256::new().chain_update(lives.join(",")).chain_update(incarnation.as_bytes()).finalize();
        let identity = Identity {
            store_identity: format!("{}.{}", looked.identity, hex::encode(&digest[..8])),
            incarnation,
            since_ms: looked.since_ms,
        };
        if self.state.identify(&identity) {
            tracing::warn!(
                identity = identity.store_identity,
                "the store's servers are not the ones they were: all is compared anew"
            );
        }
        Ok(identity)
    }

    /// The run ids of all masters, in order: a master that restarted or took over may have lost the last writes.
    async fn lives(&self) -> Result<Vec<String>> {
        let answer = self.link.probe(redis::cmd("INFO").arg("server")).await?;
        let mut lives = Vec::new();
        collect(&answer, &mut lives);
        if lives.is_empty() {
            return Err(Error::corrupt("INFO", "it tells no run_id"));
        }
        lives.sort_unstable();
        Ok(lives)
    }

    /// All that one server tells.
    async fn info(&self) -> Result<String> {
        let answer = self.link.probe(&redis::cmd("INFO")).await?;
        first_text(&answer).ok_or_else(|| Error::corrupt("INFO", "it is no text"))
    }
}

/// The texts in an answer: one server's, or one per node.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::BulkString(bytes) => found.push(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => found.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Map(pairs) => pairs.iter().for_each(|(_, value)| texts(value, found)),
        _ => {}
    }
}

fn first_text(value: &Value) -> Option<String> {
    let mut found = Vec::new();
    texts(value, &mut found);
    found.into_iter().find(|text| text.contains("redis_version:"))
}

fn collect(value: &Value, lives: &mut Vec<String>) {
    let mut found = Vec::new();
    texts(value, &mut found);
    lives.extend(found.iter().map(|text| field(text, "run_id").to_owned()).filter(|life| !life.is_empty()));
}

fn field<'i>(info: &'i str, name: &str) -> &'i str {
    let mut lines = info.lines();
    let found = lines.find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')));
    found.unwrap_or_default().trim()
}

fn unfit<T>(why: String) -> Result<T> {
    Err(Error::Unfit { why })
}
