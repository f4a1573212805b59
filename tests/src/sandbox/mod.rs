//! Real processes of ours on their own ports and folders: started, signalled, waited for, and searched for secrets at
//! the end. Nothing here sleeps for luck: every wait is for a condition, with a bound.

mod admin;
mod balancer;
mod canary;
mod fleet;
mod ports;
mod process;
mod redis;
mod standalone;
mod talk;

use std::{future::Future, time::Duration};

use anyhow::{Result, bail};

pub use admin::Admin;
pub use balancer::Balancer;
pub use canary::Canaries;
pub use fleet::{Fleet, FleetOptions, Node, Replica};
pub use ports::free_port;
pub use process::{Process, binary};
pub use redis::Redis;
pub use standalone::{Setup, Standalone};
pub use talk::{Talk, body, message};

/// The administrator that every sandbox is started with.
pub const ADMIN: &str = "admin";
/// Its password: a canary too.
pub const PASSWORD: &str = "canary-Adm1n-password-7f3e";

/// Waits until `probe` gives something, at most `bound`.
pub async fn eventually<T, F>(what: &str, bound: Duration, mut probe: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Option<T>>,
{
    let end = tokio::time::Instant::now() + bound;
    loop {
        if let Some(found) = probe().await {
            return Ok(found);
        }
        if tokio::time::Instant::now() >= end {
            bail!("not within {bound:?}: {what}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A random text of 32 hexadecimal digits.
pub fn random_hex() -> String {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => hex::encode(bytes),
        Err(_) => format!("{:032x}", crate::mock::now_us()),
    }
}
