//! The node's side of the control plane's services: one small task each, with a handle for the rest of the node. They
//! carry messages between `link` and the rooms that understand them; `app` starts them.

pub mod activation;
#[cfg(test)]
mod bed;
pub mod bindings;
pub mod config;
pub mod events;
pub mod leases;
pub mod lives;
pub mod recovery;
pub mod refusals;
pub mod tokens;
pub mod usage;

use std::{future::Future, time::Duration};

use tonic::Status;

/// How long a stream may take to be accepted, and a message to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

async fn in_time<T>(what: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    tokio::time::timeout(PATIENCE, what)
        .await
        .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")))
}
