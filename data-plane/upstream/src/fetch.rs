//! One request, one whole answer, on a connection of its own: for the control plane's clients, which ask seldom.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, header::CONNECTION};
use http_body_util::BodyExt as _;
use process::tasks::Tasks;

use crate::{
    body::Pieces,
    connect::Connector,
    error::Error,
    exchange::{Exchange, Mode},
    proxy::Proxy,
    target::{Route, Target},
};

/// An answer with its whole body.
pub type Fetched = Response<Bytes>;

/// Bounds of one fetch.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest time from the first look-up to the last byte.
    pub time: Duration,
    /// Longest answer, bytes.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(30), bytes: 4 << 20 }
    }
}

impl Connector {
    /// Sends a request to its absolute URL and reads the whole answer. Redirects are answers like any other.
    pub async fn fetch(
        self: &Arc<Self>,
        request: Request<Bytes>,
        proxy: Option<Arc<Proxy>>,
        limits: Limits,
    ) -> Result<Fetched, Error> {
        let late = Error::Timeout(limits.time.as_millis() as u64);
        tokio::time::timeout(limits.time, self.fetch_untimed(request, proxy, limits.bytes))
            .await
            .unwrap_or(Err(late))
    }

    async fn fetch_untimed(
        self: &Arc<Self>,
        request: Request<Bytes>,
        proxy: Option<Arc<Proxy>>,
        longest: u64,
    ) -> Result<Fetched, Error> {
        let route = Arc::new(Route { target: Target::of(request.uri())?, proxy });
        let mut request = request.map(Pieces::from);
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        let exchange = Exchange::new(Arc::clone(self), Mode::Inline, Tasks::new("fetch"));
        let (head, mut body) = exchange.send(&route, request).await?.into_parts();
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let data = frame?.into_data().unwrap_or_default();
            if (whole.len() + data.len()) as u64 > longest {
                return Err(Error::TooLong(longest));
            }
            whole.extend_from_slice(&data);
        }
        Ok(Response::from_parts(head, whole.freeze()))
    }
}
