//! What can go wrong on the way out, and what had already happened by then.

use std::net::IpAddr;

use crate::target::TargetError;

/// Why a connector could not be built.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The extra CA file cannot be read or holds no certificate.
    #[error("extra CA file {path}: {why}")]
    CaFile {
        /// Which file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// TLS itself could not be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Why an exchange failed. No variant holds a credential: a proxy is named by host and port alone.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address to go to is none that may be gone to.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// An address is in a range that the guard refuses.
    #[error(
        "{host} is at {address}, which is {range}; add its network to the setting upstream-allow-private to permit it"
    )]
    Refused {
        /// Host as it was named.
        host: String,
        /// Address that was refused.
        address: IpAddr,
        /// What kind of address it is.
        range: &'static str,
    },
    /// The name has no address.
    #[error("{host} cannot be resolved: {why}")]
    Resolve {
        /// Host as it was named.
        host: String,
        /// The resolver's words.
        why: String,
    },
    /// No connection came about.
    #[error("connecting to {host}: {why}")]
    Connect {
        /// Host and port.
        host: String,
        /// The kernel's words.
        why: String,
    },
    /// The proxy refused, or broke off.
    #[error("proxy {host}: {why}")]
    Proxy {
        /// The proxy's host and port.
        host: String,
        /// What it said.
        why: String,
    },
    /// The TLS handshake failed.
    #[error("TLS with {host}: {why}")]
    Tls {
        /// Host.
        host: String,
        /// The library's words.
        why: String,
    },
    /// Connecting took too long.
    #[error("connecting to {host} took longer than {limit_ms} ms")]
    ConnectTimeout {
        /// Host and port.
        host: String,
        /// The limit.
        limit_ms: u64,
    },
    /// A kept connection died before any byte of the answer had come: the same request may be tried once more.
    #[error("the kept connection was closed before an answer came")]
    Stale,
    /// The connection broke after the request, or part of it, had gone out.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The whole took too long (only [`crate::Connector::fetch`]).
    #[error("no complete answer within {0} ms")]
    Timeout(u64),
    /// The answer is longer than the caller takes (only [`crate::Connector::fetch`]).
    #[error("the answer is longer than {0} bytes")]
    TooLong(u64),
}

impl Error {
    /// Whether nothing of the request can have reached the upstream.
    pub fn before_sending(&self) -> bool {
        !matches!(self, Self::Stale | Self::Broken(_) | Self::Timeout(_) | Self::TooLong(_))
    }

    /// A short name for metrics and records.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Target(_) => "target",
            Self::Refused { .. } => "refused",
            Self::Resolve { .. } => "resolve",
            Self::Connect { .. } => "connect",
            Self::Proxy { .. } => "proxy",
            Self::Tls { .. } => "tls",
            Self::ConnectTimeout { .. } => "connect_timeout",
            Self::Stale => "stale",
            Self::Broken(_) => "broken",
            Self::Timeout(_) => "timeout",
            Self::TooLong(_) => "too_long",
        }
    }

    /// From hyper's, for a connection that had answered something already or was fresh.
    pub(crate) fn broken(error: &hyper::Error) -> Self {
        Self::Broken(words(error))
    }
}

/// An error with its causes in one line.
pub(crate) fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
