//! One leader at a time, nudges, and the end of a leader.

use std::sync::atomic::{AtomicU64, Ordering};

use store::MasterKey;

use super::*;

struct Count(Arc<AtomicU64>, Arc<Notify>);

#[async_trait]
impl Job for Count {
    fn name(&self) -> &'static str {
        "count"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self, _: &Turn) -> anyhow::Result<u64> {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.notify_one();
        Ok(1)
    }
}

async fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let master = MasterKey::parse("00112233445566778899aabbccddeeff0f1e2d3c4b5a69788796a5b4c3d2e1f0");
    let store = Store::open_embedded(dir.path(), master.unwrap()).await.unwrap();
    (dir, store)
}

#[tokio::test]
async fn two_replicas_run_a_job_once_and_the_second_takes_over() {
    let (_dir, store) = store().await;
    let (runs, ran) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let job = || -> Vec<Box<dyn Job>> { vec![Box::new(Count(runs.clone(), ran.clone()))] };

    let (first, second) = (Tasks::new("first"), Tasks::new("second"));
    let one = Driver::start(job(), &store, "one", &first);
    one.nudge("count");
    tokio::time::timeout(Duration::from_secs(10), ran.notified()).await.unwrap();
    let two = Driver::start(job(), &store, "two", &second);
    two.nudge("count");
    one.nudge("count");
    tokio::time::timeout(Duration::from_secs(10), ran.notified()).await.unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 2, "only the leader's nudge counts");

    // A leader that ends gives the lease back; the other has it within one asking.
    assert!(first.drain(Duration::from_secs(5)).await);
    tokio::time::timeout(Duration::from_secs(20), ran.notified()).await.unwrap();
    assert!(second.drain(Duration::from_secs(5)).await);
    two.nudge("nothing of that name");
}
