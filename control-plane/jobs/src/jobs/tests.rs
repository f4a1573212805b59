//! Jobs against a real store.

use std::sync::atomic::{AtomicU64, Ordering};

use domain::{
    Account, IdempotencyKey, Key, SigningKeys,
    account::{FamilyBlock, Status},
    signing,
};
use parking_lot::Mutex;
use store::{Change, Expect, MasterKey, Store};

use super::*;
use crate::{driver::Turn, leadership::ROLE};

#[derive(Default)]
struct Kept {
    forgotten: Mutex<Vec<String>>,
    trimmed_before: AtomicU64,
}

#[async_trait]
impl History for Kept {
    async fn trim_before(&self, before_ms: i64) -> store::Result<u64> {
        self.trimmed_before.store(before_ms as u64, Ordering::SeqCst);
        Ok(1)
    }

    async fn forget_key(&self, key_id: &str) -> store::Result<()> {
        self.forgotten.lock().push(key_id.to_owned());
        Ok(())
    }

    async fn forget_silent(&self, _before_ms: i64, _author: &Author) -> store::Result<u64> {
        Ok(0)
    }
}

struct Bed {
    _dir: tempfile::TempDir,
    store: Store,
    history: Arc<Kept>,
    fence: u64,
}

impl Bed {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let master = "00112233445566778899aabbccddeeff0f1e2d3c4b5a69788796a5b4c3d2e1f0";
        let store = Store::open_embedded(dir.path(), MasterKey::parse(master).unwrap()).await.unwrap();
        let fence = store.lead(ROLE, "test", 60_000).await.unwrap().unwrap();
        Self { _dir: dir, store, history: Arc::default(), fence }
    }

    async fn run(&self, name: &str, now_ms: i64) -> anyhow::Result<u64> {
        let http = clients::Http::to_this_machine().unwrap();
        let jobs = all(self.history.clone(), Renewer::new(self.store.clone(), http));
        let job = jobs.iter().find(|job| job.name() == name).unwrap();
        job.run(&Turn::new(self.store.clone(), now_ms, self.fence, job.name())).await
    }

    async fn put<R: domain::Record>(&self, record: &R) {
        self.store.commit(Change::new(Author::system("test")).put(record, Expect::Any)).await.unwrap();
    }
}

fn binned(id: &str, deleted_at_ms: Option<i64>) -> Key {
    Key { id: id.into(), name: id.into(), deleted_at_ms, ..Key::default() }
}

#[tokio::test]
async fn only_keys_that_lay_in_the_bin_long_enough_are_purged() {
    let bed = Bed::new().await;
    let now = 1_800_000_000_000;
    bed.put(&binned("live", None)).await;
    bed.put(&binned("fresh", Some(now - 29 * DAY_MS))).await;
    bed.put(&binned("old", Some(now - 31 * DAY_MS))).await;
    assert_eq!(bed.run("purge_bin", now).await.unwrap(), 1);
    assert_eq!(bed.run("purge_bin", now).await.unwrap(), 0);
    assert!(bed.store.get::<Key>("old").await.unwrap().is_none());
    assert!(bed.store.get::<Key>("fresh").await.unwrap().is_some());
    assert_eq!(*bed.history.forgotten.lock(), ["old"]);
}

#[tokio::test]
async fn a_leader_that_was_replaced_changes_nothing() {
    let bed = Bed::new().await;
    bed.put(&binned("old", Some(1))).await;
    bed.store.release(ROLE, "test").await.unwrap();
    bed.store.lead(ROLE, "other", 60_000).await.unwrap().unwrap();
    assert!(bed.run("purge_bin", 1_800_000_000_000).await.is_err());
    assert!(bed.store.get::<Key>("old").await.unwrap().is_some());
}

#[tokio::test]
async fn signing_keys_are_rotated_when_they_are_due() {
    let bed = Bed::new().await;
    assert_eq!(bed.run("rotate_signing_keys", 0).await.unwrap(), 0);
    bed.put(&SigningKeys::fresh(0).unwrap()).await;
    assert_eq!(bed.run("rotate_signing_keys", DAY_MS).await.unwrap(), 0);
    assert_eq!(bed.run("rotate_signing_keys", 91 * DAY_MS).await.unwrap(), 1);
    assert_eq!(bed.store.get::<SigningKeys>(signing::ID).await.unwrap().unwrap().value.keys.len(), 2);
}

#[tokio::test]
async fn accounts_recover_when_their_block_has_ended() {
    let bed = Bed::new().await;
    let mut account = Account { id: "a".into(), ..Account::default() };
    account.state.status = Status::RateLimited;
    account.state.until_ms = Some(1000);
    account
        .state
        .family_blocks
        .insert("opus".into(), FamilyBlock { until_ms: 2000, ..FamilyBlock::default() });
    bed.put(&account).await;
    assert_eq!(bed.run("recover_accounts", 999).await.unwrap(), 0);
    assert_eq!(bed.run("recover_accounts", 1000).await.unwrap(), 1);
    let state = bed.store.get::<Account>("a").await.unwrap().unwrap().value.state;
    assert_eq!((state.status, state.until_ms, state.family_blocks.len()), (Status::Active, None, 1));
    assert_eq!(bed.run("recover_accounts", 2000).await.unwrap(), 1);
    assert_eq!(bed.run("recover_accounts", 9000).await.unwrap(), 0);
}

#[tokio::test]
async fn history_is_trimmed_as_the_settings_say() {
    let bed = Bed::new().await;
    let now = 1_800_000_000_000;
    bed.run("trim_history", now).await.unwrap();
    assert_eq!(bed.history.trimmed_before.load(Ordering::SeqCst) as i64, now - 30 * DAY_MS);
    let mut settings = domain::Settings::default();
    settings.retention.request_days = 3;
    bed.put(&settings).await;
    bed.run("trim_history", now).await.unwrap();
    assert_eq!(bed.history.trimmed_before.load(Ordering::SeqCst) as i64, now - 3 * DAY_MS);
}

#[tokio::test]
async fn what_has_ended_is_swept() {
    let bed = Bed::new().await;
    assert_eq!(bed.run("sweep_ended", 0).await.unwrap(), 0);
    let note = IdempotencyKey { id: "note".into(), expires_at_ms: 5, ..IdempotencyKey::default() };
    bed.put(&note).await;
    assert_eq!(bed.run("sweep_ended", i64::MAX).await.unwrap(), 1);
}
