//! Outbound calls of the control plane, all through the one connector of `upstream`: what is asked seldom and answered
//! whole, such as the probe of an account. It knows neither the store nor domain words; jobs and API call it.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use upstream::{Connector, FetchLimits, Proxy};

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The account's proxy is not usable.
    #[error("proxy: {0}")]
    Proxy(#[from] upstream::ProxyError),
    /// No connection, or none that held.
    #[error("{0}")]
    Upstream(#[from] upstream::Error),
}

/// Sends requests; clones share the connector.
#[derive(Clone)]
pub struct Http {
    connector: Arc<Connector>,
}

impl Http {
    /// Over a connector, which guards addresses and bounds times.
    pub fn new(connector: Arc<Connector>) -> Self {
        Self { connector }
    }

    /// Over a connector of its own that goes to this machine alone, for tests of those who send.
    ///
    /// # Errors
    /// When the connector cannot be built.
    pub fn to_this_machine() -> Result<Self, upstream::SetupError> {
        let guard = upstream::Guard::new(Vec::new()).with_loopback();
        Ok(Self::new(Connector::new(upstream::Options { guard, ..upstream::Options::default() })?))
    }

    /// Sends a request to its absolute URL, through `proxy_url` unless that is empty, and reads the whole answer: at
    /// most 30 s and 4 MiB. A redirect is an answer like any other.
    ///
    /// # Errors
    /// When no whole answer came; an error status is an answer.
    pub async fn send(&self, request: Request<Bytes>, proxy_url: &str) -> Result<Response<Bytes>, Error> {
        let proxy = match proxy_url {
            "" => None,
            url => Some(Arc::new(Proxy::parse(url)?)),
        };
        Ok(self.connector.fetch(request, proxy, FetchLimits::default()).await?)
    }
}

#[cfg(test)]
mod tests;
