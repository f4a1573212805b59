//! Password hashing away from the event loop, a few at a time.

use std::{sync::Arc, time::Duration};

use domain::password;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;
use tonic::Status;

use crate::convert;

/// Hashes at once. Each takes 19 MiB and tens of milliseconds of a core.
const AT_ONCE: usize = 2;
/// Longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// Hashes and checks passwords.
#[derive(Clone)]
pub struct Hasher {
    turns: Arc<Semaphore>,
}

impl Default for Hasher {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Hasher {
    /// Whether a password is the one that was hashed; without a hash it takes as long and says no.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` when too many wait.
    pub async fn verify(&self, password: SecretString, hash: Option<SecretString>) -> Result<bool, Status> {
        self.run(move || password::verify(password.expose_secret(), hash.as_ref())).await
    }

    /// Hashes a password.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` when too many wait.
    pub async fn hash(&self, password: SecretString) -> Result<SecretString, Status> {
        let hash = self.run(move || password::hash(password.expose_secret())).await?;
        hash.map_err(|why| convert::internal(&why))
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
        let busy = || convert::exhausted("BUSY", "too many logins at once", Duration::from_secs(1));
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        let done = tokio::task::spawn_blocking(move || {
            // Held to the end of the work, also when the caller has gone.
            let _turn = turn;
            work()
        });
        done.await.map_err(|why| convert::internal(&why))
    }
}
