//! One request for one answer over HTTP/1.1, on kept connections.
//!
//! Two ways, chosen by a setting. *Inline*: the connection is polled in the task that reads the answer, and pieces
//! that are ready together come as one; nothing is ever delayed. *Pooled*: a task of its own drives each connection,
//! as hyper's own client does. An `Exchange` belongs to one worker thread; its answers may move to another.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header::HOST};
use http_body::{Body, Frame, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use process::tasks::Tasks;

use crate::{
    body::Pieces,
    connect::{Connector, Stream},
    error::Error,
    target::Route,
};

mod filter;
mod inline;
mod pooled;

/// Which way connections are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// In the task that reads the answer.
    #[default]
    Inline,
    /// In a task of their own.
    Pooled,
}

/// Sends requests. One per worker thread.
pub struct Exchange {
    connector: Arc<Connector>,
    way: Way,
}

enum Way {
    Inline(Arc<inline::Kept>),
    Pooled(Arc<pooled::Kept>, Tasks),
}

impl Exchange {
    /// An exchange with no connections yet. `tasks` own the connections' tasks in [`Mode::Pooled`].
    pub fn new(connector: Arc<Connector>, mode: Mode, tasks: Tasks) -> Self {
        let (max_idle, idle_timeout) = (connector.options().max_idle, connector.options().idle_timeout);
        let way = match mode {
            Mode::Inline => Way::Inline(inline::Kept::new(max_idle, idle_timeout)),
            Mode::Pooled => Way::Pooled(pooled::Kept::new(max_idle, idle_timeout), tasks),
        };
        Self { connector, way }
    }

    /// Sends a request and waits for the head of its answer. `Host` is set from the URL and the URL cut down to path
    /// and query. Dropping the future gives the exchange up and closes its connection.
    ///
    /// [`Error::Stale`] says that a kept connection died under the request: it may be sent once more.
    pub async fn send(
        &self,
        route: &Arc<Route>,
        mut request: Request<Pieces>,
    ) -> Result<Response<Answer>, Error> {
        to_origin_form(&mut request, route);
        match &self.way {
            Way::Inline(kept) => Ok(inline::send(kept, &self.connector, route, request)
                .await?
                .map(|body| Answer(Kind::Inline(body)))),
            Way::Pooled(kept, tasks) => {
                let answer = pooled::send(kept, &self.connector, tasks, route, request).await?;
                Ok(answer.map(|body| Answer(Kind::Pooled(body))))
            }
        }
    }

    /// Closes connections that have been idle for too long; how many are still kept.
    pub fn sweep(&self, now: Instant) -> usize {
        match &self.way {
            Way::Inline(kept) => kept.sweep(now),
            Way::Pooled(kept, _) => kept.sweep(now),
        }
    }
}

/// The body of an answer. Dropped before its end, the connection is closed and the upstream told so.
pub struct Answer(Kind);

enum Kind {
    Inline(inline::Answer),
    Pooled(pooled::Answer),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.get_mut().0 {
            Kind::Inline(body) => body.poll(cx),
            Kind::Pooled(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Inline(body) => body.ended(),
            Kind::Pooled(body) => body.ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Inline(body) => body.size_hint(),
            Kind::Pooled(body) => body.size_hint(),
        }
    }
}

/// hyper's two halves of a connection.
type Sender = http1::SendRequest<Pieces>;
type Connection = http1::Connection<TokioIo<Stream>, Pieces>;

/// Bounds of what a connection buffers in either direction.
const MAX_BUFFER: usize = 64 * 1024;

async fn handshake(connector: &Connector, route: &Route) -> Result<(Sender, Connection), Error> {
    let stream = connector.connect(route).await?;
    http1::Builder::new()
        .max_buf_size(MAX_BUFFER)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Error::broken(&error))
}

fn to_origin_form(request: &mut Request<Pieces>, route: &Route) {
    if !request.headers().contains_key(HOST) {
        // The URL's own words, where it has any: they are what the target was read from.
        let host = match request.uri().authority() {
            Some(authority) => HeaderValue::from_str(authority.as_str()),
            None => HeaderValue::try_from(route.target.to_string()),
        };
        // Letters, digits, dots, hyphens, colons and brackets: always a valid value.
        if let Ok(host) = host {
            request.headers_mut().insert(HOST, host);
        }
    }
    if request.uri().scheme().is_some() {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    }
}

#[cfg(test)]
mod tests;
