//! What can go wrong, as types.

use std::{io, path::PathBuf};

use proto::rules::ids::Epoch;

/// Why no intent can be taken. No attempt has been made yet: the request is refused, or waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The spool holds as much as it may: the control plane has been away for too long.
    #[error("the spool holds its {max_bytes} bytes and the control plane has not acknowledged them")]
    Cap {
        /// What it may hold.
        max_bytes: u64,
    },
    /// The disk gives no more room.
    #[error("the disk has no room for the spool")]
    Disk,
    /// Writing or syncing failed; what was not synced ships after the next start.
    #[error("the disk failed under the spool")]
    Broken,
}

/// A payload beyond [`crate::MAX_PAYLOAD`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a spool entry of {length} bytes is larger than {max}")]
pub struct TooLarge {
    /// Its length.
    pub length: usize,
    /// What is allowed.
    pub max: usize,
}

/// Why a spool cannot be opened, read or repaired.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk.
    #[error("the spool: {context} {}: {source}", path.display())]
    Io {
        /// What was tried.
        context: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no room for a first segment.
    #[error(transparent)]
    Full(#[from] Full),
    /// A newer release wrote it; it is left alone.
    #[error("the segment {} has version {version}, which this release does not know", path.display())]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u16,
    },
    /// The spool holds no such epoch.
    #[error("the spool holds no epoch {0}")]
    NoEpoch(Epoch),
    /// An epoch is sealed only when each of its intents has an outcome.
    #[error("{0} intents of the old epoch have no outcome yet")]
    Unfinished(usize),
}

impl Error {
    /// Wraps what the system said with what was tried on what.
    pub(crate) fn io(context: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { context, path: path.to_owned(), source }
    }

    /// Whether something is simply not there.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
