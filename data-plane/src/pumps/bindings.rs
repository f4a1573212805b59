//! Asks the control plane which account a session sticks to. One call for each session that the node does not know; the
//! scheduler keeps the answers.

use std::time::Duration;

use link::Link;
use proto::node::{BindRequest, BindResponse, session_service_client::SessionServiceClient};

/// How long a request waits for its session's binding. Past it the node goes by rendezvous, as all nodes do alike.
const DEADLINE: Duration = Duration::from_millis(500);

/// Why there is no binding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The control plane did not answer in time or is away.
    #[error("the control plane did not answer in time")]
    Away,
    /// It refused.
    #[error("the control plane refused to bind: {0}")]
    Refused(String),
}

/// The way to the bindings. Cheap to clone.
#[derive(Clone)]
pub struct Bindings(Link);

impl Bindings {
    /// Over a link.
    pub fn new(link: Link) -> Self {
        Self(link)
    }

    /// Gets the binding of a session, or sets it.
    ///
    /// # Errors
    /// [`BindError`]; after at most half a second.
    pub async fn bind(&self, request: BindRequest) -> Result<BindResponse, BindError> {
        let mut client = SessionServiceClient::new(self.0.channel());
        match tokio::time::timeout(DEADLINE, client.bind(request)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) if link::is_away(&status) => Err(BindError::Away),
            Ok(Err(status)) => Err(BindError::Refused(status.message().to_owned())),
            Err(_) => Err(BindError::Away),
        }
    }
}
