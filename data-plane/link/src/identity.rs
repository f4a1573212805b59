//! Who the node is, stamped on every call.

use std::fmt;

use proto::rules::ids::{Epoch, NodeId};
use secrecy::{ExposeSecret as _, SecretString};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

use crate::Error;

/// Who a node is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Kept in the node's data directory.
    pub node: NodeId,
    /// This life of the process, under which it holds leases.
    pub epoch: Epoch,
    /// For people: the host's name where none is configured.
    pub name: String,
    /// Release.
    pub version: String,
    /// With what it may join; empty: it proves itself by its certificate, or is in this process.
    pub join_token: SecretString,
}

impl Identity {
    pub(crate) fn stamp(&self) -> Result<Stamp, Error> {
        let value = |what: &'static str, text: &str| -> Result<MetadataValue<Ascii>, Error> {
            text.parse().map_err(|_| Error::Identity(what))
        };
        let token = self.join_token.expose_secret().trim();
        let authorization = match token {
            "" => None,
            token => {
                let mut authorization = value("the join token", &format!("Bearer {token}"))?;
                authorization.set_sensitive(true);
                Some(authorization)
            }
        };
        // A host name may be anything; people's names for machines must not keep a node from joining.
        let name: String = self.name.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect();
        Ok(Stamp {
            authorization,
            node: value("the node id", self.node.as_str())?,
            epoch: value("the epoch", self.epoch.as_str())?,
            name: value("the node name", &name)?,
            version: value("the version", &self.version)?,
        })
    }
}

/// Adds the identity to each call.
#[derive(Clone)]
pub struct Stamp {
    authorization: Option<MetadataValue<Ascii>>,
    node: MetadataValue<Ascii>,
    epoch: MetadataValue<Ascii>,
    name: MetadataValue<Ascii>,
    version: MetadataValue<Ascii>,
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamp").field("node", &self.node).field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Interceptor for Stamp {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        if let Some(authorization) = &self.authorization {
            metadata.insert("authorization", authorization.clone());
        }
        metadata.insert("crs-node-id", self.node.clone());
        metadata.insert("crs-node-epoch", self.epoch.clone());
        metadata.insert("crs-node-name", self.name.clone());
        metadata.insert("crs-version", self.version.clone());
        Ok(request)
    }
}
