//! The in-process way to the node services: the very same services, over a pipe in memory instead of a port. What comes
//! this way comes from this process, so it needs no join token.

use std::io;

use process::tasks::Tasks;
use tokio::io::DuplexStream;
use tonic::service::Routes;

use crate::listen::{Ending, connection};

/// Bytes that a pipe holds in each direction.
const PIPE: usize = 256 * 1024;

/// Opens pipes to the node services of this process. Clones share them.
#[derive(Clone)]
pub struct NodeConnector {
    services: Routes,
    ending: Ending,
    tasks: Tasks,
}

impl NodeConnector {
    pub(crate) fn new(services: Routes, ending: &Ending) -> Self {
        Self { services, ending: ending.clone(), tasks: ending.tasks.clone() }
    }

    /// The node's end of a new pipe.
    ///
    /// # Errors
    /// When the control plane is ending.
    pub async fn connect(&self) -> io::Result<DuplexStream> {
        if self.ending.draining.is_cancelled() {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "the control plane is ending"));
        }
        let (near, far) = tokio::io::duplex(PIPE);
        let (services, ending) = (self.services.clone(), self.ending.clone());
        self.tasks.spawn("node-pipe", async move {
            let internal = |extensions: &mut http::Extensions| {
                extensions.insert(fleet::Internal);
            };
            connection(far, services, internal, ending).await;
        });
        Ok(near)
    }
}
