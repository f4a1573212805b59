//! Runs jobs on the replica that leads.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use process::tasks::Tasks;
use store::{Author, Change, Store};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::leadership::{self, Led, ROLE};

/// A leader lets this pass before its first run, so that replicas that start together do not run in turn.
const SETTLE: Duration = Duration::from_secs(3);

/// One kind of background work.
#[async_trait]
pub trait Job: Send + Sync + 'static {
    /// Its name: the actor `system:<name>` of what it changes.
    fn name(&self) -> &'static str;
    /// How often it runs.
    fn period(&self) -> Duration;
    /// Does what there is to do; how much that was.
    ///
    /// # Errors
    /// Whatever stopped it: it is logged, and the next run goes on.
    async fn run(&self, turn: &Turn) -> anyhow::Result<u64>;
}

/// What one run is given.
pub struct Turn {
    /// The store.
    pub store: Store,
    /// Now, Unix milliseconds of the store's clock.
    pub now_ms: i64,
    fence: u64,
    job: &'static str,
}

impl Turn {
    /// One run of a job by the leader whose fencing number is `fence`.
    pub fn new(store: Store, now_ms: i64, fence: u64, job: &'static str) -> Self {
        Self { store, now_ms, fence, job }
    }

    /// A change by this job that holds only while its replica leads.
    pub fn change(&self) -> Change {
        Change::new(self.author()).fence(ROLE, self.fence)
    }

    /// Who changes what this job changes.
    pub fn author(&self) -> Author {
        Author::system(self.job)
    }
}

/// The running jobs.
#[derive(Clone)]
pub struct Driver {
    nudges: Arc<BTreeMap<&'static str, Arc<Notify>>>,
}

impl Driver {
    /// Starts jobs. `holder` names this life of this process.
    pub fn start(jobs: Vec<Box<dyn Job>>, store: &Store, holder: &str, tasks: &Tasks) -> Self {
        let led = leadership::seek(store, holder.into(), tasks);
        let mut nudges = BTreeMap::new();
        for job in jobs {
            let nudge = Arc::new(Notify::new());
            nudges.insert(job.name(), nudge.clone());
            tasks.spawn(job.name(), repeat(job, store.clone(), led.clone(), nudge, tasks.stopping()));
        }
        Self { nudges: Arc::new(nudges) }
    }

    /// Has a job run soon, if this replica leads; one that is not there is no error.
    pub fn nudge(&self, job: &str) {
        if let Some(nudge) = self.nudges.get(job) {
            nudge.notify_one();
        }
    }
}

async fn repeat(
    job: Box<dyn Job>,
    store: Store,
    mut led: Led,
    nudge: Arc<Notify>,
    stopping: CancellationToken,
) {
    let mut wait = SETTLE;
    loop {
        let Some(fence) = leading(&mut led, &stopping).await else { return };
        tokio::select! {
            () = stopping.cancelled() => return,
            // Another replica may lead by then.
            _ = led.changed() => continue,
            () = nudge.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
        wait = job.period();
        let turn = Turn::new(store.clone(), store.now_ms(), fence, job.name());
        let ran = tokio::select! {
            () = stopping.cancelled() => return,
            ran = job.run(&turn) => ran,
        };
        match ran {
            Ok(0) => tracing::debug!(job = job.name(), "nothing to do"),
            Ok(done) => tracing::info!(job = job.name(), done, "job ran"),
            Err(error) => tracing::warn!(job = job.name(), error = format!("{error:#}"), "job failed"),
        }
    }
}

/// Waits until this replica leads; `None` when the process stops.
async fn leading(led: &mut Led, stopping: &CancellationToken) -> Option<u64> {
    tokio::select! {
        () = stopping.cancelled() => None,
        fence = led.wait_for(Option::is_some) => fence.ok().and_then(|fence| *fence),
    }
}

#[cfg(test)]
mod tests;
