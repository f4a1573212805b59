//! The one channel from a node to the control plane: who the node is, where the control plane is, and streams that are
//! opened again for ever. It does not know what the messages mean; the node's pumps do.

mod identity;
mod keep;
mod membership;
mod pipe;
mod target;

pub use identity::{Identity, Stamp};
pub use keep::Backoff;
pub use pipe::Live;
pub use target::{Connect, Stream, Target};

use membership::Membership;
use tokio_util::sync::CancellationToken;
use tonic::{Status, service::interceptor::InterceptedService, transport::Channel};

/// What the node API's clients run on: `ConfigServiceClient::new(link.channel())`.
pub type NodeChannel = InterceptedService<Channel, Stamp>;

/// Largest message either way, bytes: a snapshot chunk is 1 MiB, a batch of records 1 MiB.
pub const MAX_MESSAGE: usize = 16 << 20;

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The control plane's address is no URL with a host.
    #[error("control plane address {0:?} is no http:// or https:// URL with a host")]
    Address(String),
    /// A client certificate is of no use without TLS.
    #[error("a client certificate needs an https:// control plane")]
    CertificateInTheClear,
    /// A file with certificates or a key cannot be read.
    #[error("certificates in {path}: {why}")]
    File {
        /// Which file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Name, token or ids have characters that a header cannot carry.
    #[error("{0} has characters that a header cannot carry")]
    Identity(&'static str),
    /// The transport's own.
    #[error("transport: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// The channel. It connects at the first call and again whenever it broke; clones share it.
#[derive(Clone, Debug)]
pub struct Link {
    channel: NodeChannel,
    membership: Membership,
}

impl Link {
    /// Makes the link; nothing is sent yet. Errors are mistakes in the configuration, never an absent control plane.
    pub fn new(identity: &Identity, target: &Target) -> Result<Self, Error> {
        let channel = target::channel(target)?;
        let membership = Membership::of(identity);
        Ok(Self { channel: InterceptedService::new(channel, identity.stamp()?), membership })
    }

    /// Cancelled when a control plane that knows this node's join token has said that the membership has ended.
    pub fn membership_ended(&self) -> CancellationToken {
        self.membership.ended()
    }

    /// What the generated clients take. Each call carries the node's identity.
    pub fn channel(&self) -> NodeChannel {
        self.channel.clone()
    }
}

/// Whether a call failed for want of a control plane, rather than being refused by one.
pub fn is_away(status: &Status) -> bool {
    use tonic::Code::{Cancelled, DeadlineExceeded, Unavailable, Unknown};
    matches!(status.code(), Unavailable | DeadlineExceeded | Cancelled)
        || (status.code() == Unknown && std::error::Error::source(status).is_some())
}

#[cfg(test)]
mod tests;
