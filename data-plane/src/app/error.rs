//! Why a node cannot start.

use std::{net::SocketAddr, path::PathBuf};

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder.
    #[error("{what} ({path}): {source}")]
    File {
        /// What it is for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A port.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The spool.
    #[error("spool: {0}")]
    Spool(#[from] spool::Error),
    /// The way to the control plane.
    #[error("control plane: {0}")]
    Link(#[from] link::Error),
    /// The way out.
    #[error("upstream connections: {0}")]
    Upstream(#[from] upstream::SetupError),
    /// The system gives no random bytes.
    #[error("random bytes: {0}")]
    Random(getrandom::Error),
}
