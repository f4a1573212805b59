//! The connection driven by a task of its own.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use process::tasks::Tasks;

use super::{Sender, handshake, inline::stale_or_broken};
use crate::{body::Pieces, connect::Connector, error::Error, pool::Pool, target::Route};

/// Connections kept by route.
pub(super) struct Kept(Arc<Pool<Sender>>);

impl Kept {
    pub(super) fn new(max_idle: usize, idle_timeout: Duration) -> Arc<Self> {
        Arc::new(Self(Pool::new(max_idle, idle_timeout)))
    }

    pub(super) fn sweep(&self, now: Instant) -> usize {
        self.0.sweep(now)
    }

    async fn take(&self, route: &Route) -> Option<Sender> {
        loop {
            let mut sender = self.0.take(route, Instant::now())?;
            // A connection is put back when its answer has ended, which may be before its task has noticed.
            if std::future::poll_fn(|cx| sender.poll_ready(cx)).await.is_ok() {
                return Some(sender);
            }
        }
    }
}

/// Sends on a kept connection, else on a new one. A kept one that closed before anything was written is replaced.
pub(super) async fn send(
    kept: &Arc<Kept>,
    connector: &Connector,
    tasks: &Tasks,
    route: &Arc<Route>,
    mut request: Request<Pieces>,
) -> Result<Response<Answer>, Error> {
    while let Some(mut sender) = kept.take(route).await {
        match sender.try_send_request(request).await {
            Ok(answer) => return Ok(answer.map(|body| Answer::new(sender, body, kept, route))),
            Err(mut failure) => match failure.take_message() {
                Some(unsent) => request = unsent,
                None => return Err(stale_or_broken(failure.error())),
            },
        }
    }
    let (mut sender, connection) = Box::pin(handshake(connector, route)).await?;
    tasks.spawn("upstream connection", async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    match sender.try_send_request(request).await {
        Ok(answer) => Ok(answer.map(|body| Answer::new(sender, body, kept, route))),
        Err(failure) => Err(Error::broken(failure.error())),
    }
}

/// An answer's body with the handle of the connection that brings it.
pub(super) struct Answer {
    sender: Option<Sender>,
    body: Incoming,
    ended: bool,
    home: Arc<Kept>,
    route: Arc<Route>,
}

impl Answer {
    fn new(sender: Sender, body: Incoming, home: &Arc<Kept>, route: &Arc<Route>) -> Self {
        let mut answer = Self {
            sender: Some(sender),
            body,
            ended: false,
            home: Arc::clone(home),
            route: Arc::clone(route),
        };
        if answer.body.is_end_stream() {
            answer.end();
        }
        answer
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => {
                if self.body.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(Ok(Frame::data(frame.into_data().unwrap_or_default()))))
            }
            Some(Err(error)) => {
                self.ended = true;
                self.sender = None;
                Poll::Ready(Some(Err(Error::broken(&error))))
            }
            None => {
                self.end();
                Poll::Ready(None)
            }
        }
    }

    fn end(&mut self) {
        self.ended = true;
        if let Some(sender) = self.sender.take()
            && !sender.is_closed()
        {
            self.home.0.put(&self.route, sender, Instant::now());
        }
    }
}
