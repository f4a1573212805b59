//! Whether this node still belongs to its deployment. Only a proof that the membership has ended ends it: an outage, a
//! refusal by a control plane that does not know the token, or a message that somebody made up do not.

use proto::rules::membership::{METADATA, digest, proof};
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::Identity;

/// The membership of one life of a node.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    /// What proves that it has ended.
    proof: String,
    ended: CancellationToken,
}

impl Membership {
    pub(crate) fn of(identity: &Identity) -> Self {
        let digest = digest(identity.join_token.expose_secret().trim());
        let proof = proof(&digest, identity.node.as_str(), identity.epoch.as_str());
        Self { proof, ended: CancellationToken::new() }
    }

    pub(crate) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// Takes note of how a call failed.
    pub(crate) fn heard(&self, status: &Status) {
        let said = status.metadata().get(METADATA).and_then(|said| said.to_str().ok());
        if status.code() == Code::PermissionDenied && said == Some(self.proof.as_str()) {
            self.ended.cancel();
        }
    }
}
