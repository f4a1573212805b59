//! The database file: opened by one process at a time, reopened after an I/O error.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::RwLock;
use redb::{Database, DatabaseError, StorageError};

use crate::error::{Error, Result};

/// Memory for pages of the file. Small, since lists are read from views and a page cache lies below.
const CACHE: usize = 8 << 20;
/// How long a reopening waits for readers to let go.
const READERS: Duration = Duration::from_secs(5);

/// The file.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    /// `None`: closed, or being reopened.
    database: RwLock<Option<Arc<Database>>>,
}

impl File {
    /// Opens or makes the file in a directory, which is made where it is missing.
    pub(super) fn open(directory: &Path) -> Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|why| Error::Unfit {
            why: format!("store directory {} cannot be made: {why}", directory.display()),
        })?;
        let path = directory.join("store.redb");
        let database = open(&path)?;
        Ok(Self { path, database: RwLock::new(Some(Arc::new(database))) })
    }

    /// The open database.
    pub(super) fn database(&self) -> Result<Arc<Database>> {
        self.database.read().clone().ok_or_else(|| Error::unavailable("the store is closed"))
    }

    /// Closes the file once its readers have let go.
    pub(super) fn close(&self) {
        let database = self.database.write().take();
        drop(database);
    }

    /// Opens the file anew: after an I/O error (a full disk) the old handle refuses everything.
    pub(super) fn reopen(&self) {
        let Some(database) = self.database.write().take() else { return };
        let waits_until = Instant::now() + READERS;
        let mut held = Some(database);
        while let Some(database) = held.take() {
            if Arc::strong_count(&database) > 1 && Instant::now() < waits_until {
                std::thread::sleep(Duration::from_millis(5));
                held = Some(database);
            }
        }
        match open(&self.path) {
            Ok(database) => *self.database.write() = Some(Arc::new(database)),
            Err(why) => tracing::error!(%why, "the embedded store cannot be reopened"),
        }
    }
}

fn open(path: &Path) -> Result<Database> {
    Database::builder().set_cache_size(CACHE).create(path).map_err(|why| match why {
        DatabaseError::DatabaseAlreadyOpen => Error::InUse { path: path.to_owned() },
        DatabaseError::Storage(StorageError::Io(why)) => {
            Error::Unfit { why: format!("{} cannot be opened: {why}", path.display()) }
        }
        why => Error::corrupt(path.display().to_string(), why),
    })
}
