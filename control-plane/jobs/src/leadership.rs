//! Which replica runs the jobs: the one that holds a lease in the store.

use std::{sync::Arc, time::Duration};

use process::tasks::Tasks;
use store::Store;
use tokio::sync::watch;

/// The role in the store.
pub const ROLE: &str = "jobs";

/// A leader that was not heard for so long is replaced, milliseconds.
const TTL_MS: i64 = 6_000;
/// How often the lease is asked for or renewed.
const EVERY: Duration = Duration::from_secs(2);

/// The fencing number while this replica leads.
pub(crate) type Led = watch::Receiver<Option<u64>>;

/// Asks for the lease for ever; gives it back when the tasks stop, so that the next leader need not wait.
pub(crate) fn seek(store: &Store, holder: Arc<str>, tasks: &Tasks) -> Led {
    let (tell, led) = watch::channel(None);
    let (store, stopping) = (store.clone(), tasks.stopping());
    tasks.spawn("leadership", async move {
        while !stopping.is_cancelled() {
            let fence = match store.lead(ROLE, &holder, TTL_MS).await {
                Ok(fence) => fence,
                // Whether the lease still holds is not known: the fence decides what may be written.
                Err(error) => {
                    tracing::warn!(%error, "the jobs' leadership could not be asked for");
                    None
                }
            };
            tell.send_if_modified(|led| {
                let changed = *led != fence;
                if changed {
                    tracing::info!(leads = fence.is_some(), fence, "leadership of the jobs");
                }
                *led = fence;
                changed
            });
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
        // A store that is away lets the lease run out by itself.
        let _ = store.release(ROLE, &holder).await;
    });
    led
}
