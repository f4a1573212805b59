//! What can go wrong with the store, in words that callers act on. No value of a secret is ever part of an error.

use std::path::PathBuf;

/// Why a call of the store failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The document is not at the version that the caller expected. Nothing was changed.
    #[error("{kind}/{id} has changed: expected {expected}, found {found}")]
    Conflict {
        /// Kind of the document.
        kind: String,
        /// Its id.
        id: String,
        /// What the caller expected, in words.
        expected: String,
        /// The version found; 0: there is no such document.
        found: u64,
    },
    /// Another document holds a value of a unique index. Nothing was changed.
    #[error("{kind}: {index} is taken by {holder}")]
    Duplicate {
        /// Kind of the document.
        kind: String,
        /// The index.
        index: String,
        /// Id of the document that holds the value.
        holder: String,
    },
    /// The change was guarded by a leadership that has passed to another holder. Nothing was changed.
    #[error("leadership of {role} has passed on")]
    Fenced {
        /// The role.
        role: String,
    },
    /// The store did not answer in time, or not at all. A write may or may not have been done.
    #[error("store unavailable: {why}")]
    Unavailable {
        /// What happened.
        why: String,
    },
    /// Writers kept getting in each other's way. Nothing was changed; try again.
    #[error("{what} is contended")]
    Contended {
        /// What they wrote to.
        what: String,
    },
    /// The store directory is in use by another process.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// The configuration or the server cannot carry the store; the text says what to change.
    #[error("{why}")]
    Unfit {
        /// Why, and what to do.
        why: String,
    },
    /// A request that can never succeed: a fault of the caller.
    #[error("invalid store request: {why}")]
    Invalid {
        /// Why.
        why: String,
    },
    /// Bytes in the store that cannot be understood.
    #[error("{what} cannot be read: {why}")]
    Corrupt {
        /// Which bytes.
        what: String,
        /// Why.
        why: String,
    },
    /// A sealed record that cannot be opened with the keys at hand.
    #[error("{what} cannot be opened: {why}")]
    Sealed {
        /// Which record or key.
        what: String,
        /// Why.
        why: String,
    },
}

/// A result of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the same call may succeed a little later without anything being changed by the caller.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Contended { .. })
    }

    pub(crate) fn unavailable(why: impl std::fmt::Display) -> Self {
        Self::Unavailable { why: why.to_string() }
    }

    pub(crate) fn corrupt(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Corrupt { what: what.into(), why: why.to_string() }
    }
}
