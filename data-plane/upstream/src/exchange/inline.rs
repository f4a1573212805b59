//! The connection polled by whoever reads the answer.

use std::{
    future::Future as _,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::TrySendError};

use super::{
    Connection, Sender,
    filter::{Quiet, Step},
    handshake,
};
use crate::{body::Pieces, connect::Connector, error::Error, pool::Pool, target::Route};

/// Pieces are joined up to here: beyond, copying costs more than another write.
const JOIN: usize = 16 * 1024;

/// A connection nobody else drives.
pub(super) struct Live {
    sender: Sender,
    connection: Connection,
    quiet: Quiet,
    /// The connection's own future has ended: it must not be polled again.
    closed: bool,
}

impl Live {
    /// Whether it can take another request now that an answer has ended.
    fn free(&mut self) -> bool {
        !self.closed && (self.sender.is_ready() || self.good())
    }

    /// One look whether an idle connection is still good: the upstream may have closed it.
    fn good(&mut self) -> bool {
        let connection = &mut self.connection;
        !self.closed
            && self.quiet.glance(|cx| Pin::new(connection).poll(cx)).is_pending()
            && self.sender.is_ready()
    }

    async fn request(
        &mut self,
        request: Request<Pieces>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Pieces>>> {
        let Self { sender, connection, quiet, closed } = self;
        let mut answer = pin!(sender.try_send_request(request));
        std::future::poll_fn(|cx| {
            let step = |cx: &mut Context<'_>| {
                if !*closed && Pin::new(&mut *connection).poll(cx).is_ready() {
                    *closed = true;
                }
                match answer.as_mut().poll(cx) {
                    Poll::Ready(answer) => Step::Done(answer),
                    Poll::Pending => Step::Rest,
                }
            };
            quiet.poll(cx, step, || Poll::Pending)
        })
        .await
    }
}

/// Connections kept by route.
pub(super) struct Kept(Arc<Pool<Box<Live>>>);

impl Kept {
    pub(super) fn new(max_idle: usize, idle_timeout: Duration) -> Arc<Self> {
        Arc::new(Self(Pool::new(max_idle, idle_timeout)))
    }

    pub(super) fn sweep(&self, now: Instant) -> usize {
        self.0.sweep(now)
    }

    fn take(&self, route: &Route) -> Option<Box<Live>> {
        let now = Instant::now();
        loop {
            let mut live = self.0.take(route, now)?;
            if live.good() {
                return Some(live);
            }
        }
    }
}

/// Sends on a kept connection, else on a new one. A kept one that closed before anything was written is replaced.
pub(super) async fn send(
    kept: &Arc<Kept>,
    connector: &Connector,
    route: &Arc<Route>,
    mut request: Request<Pieces>,
) -> Result<Response<Answer>, Error> {
    while let Some(mut live) = kept.take(route) {
        match live.request(request).await {
            Ok(answer) => return Ok(answer.map(|body| Answer::new(live, body, kept, route))),
            Err(mut failure) => match failure.take_message() {
                Some(unsent) => request = unsent,
                None => return Err(stale_or_broken(failure.error())),
            },
        }
    }
    let mut live = Box::pin(open(connector, route)).await?;
    match live.request(request).await {
        Ok(answer) => Ok(answer.map(|body| Answer::new(live, body, kept, route))),
        Err(failure) => Err(Error::broken(failure.error())),
    }
}

/// A parse error is the upstream's answer, if a bad one; anything else on a kept connection is its death.
pub(super) fn stale_or_broken(error: &hyper::Error) -> Error {
    if error.is_parse() { Error::broken(error) } else { Error::Stale }
}

async fn open(connector: &Connector, route: &Route) -> Result<Box<Live>, Error> {
    let (sender, connection) = handshake(connector, route).await?;
    let mut live = Box::new(Live { sender, connection, quiet: Quiet::new(), closed: false });
    // The first look makes it ready for a request.
    let Live { connection, quiet, closed, .. } = &mut *live;
    *closed = quiet.glance(|cx| Pin::new(connection).poll(cx)).is_ready();
    Ok(live)
}

/// An answer's body with the connection that brings it.
pub(super) struct Answer {
    live: Option<Box<Live>>,
    body: Incoming,
    /// An error that came behind data which is on its way to the reader.
    failed: Option<Error>,
    ended: bool,
    home: Arc<Kept>,
    route: Arc<Route>,
}

impl Answer {
    fn new(live: Box<Live>, body: Incoming, home: &Arc<Kept>, route: &Arc<Route>) -> Self {
        let mut answer = Self {
            live: Some(live),
            body,
            failed: None,
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
        self.ended && self.failed.is_none()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let Some(live) = &mut self.live else {
            return Poll::Ready(None);
        };
        let Live { connection, quiet, closed, .. } = &mut **live;
        let body = &mut self.body;
        let mut ready = Joined::default();
        let gathered = std::cell::Cell::new(0);
        let step = |cx: &mut Context<'_>| {
            if !*closed && Pin::new(&mut *connection).poll(cx).is_ready() {
                *closed = true;
            }
            match Pin::new(&mut *body).poll_frame(cx) {
                // Trailers are not relayed: nothing that is spoken here has any.
                Poll::Ready(Some(Ok(frame))) => ready.push(frame.into_data().unwrap_or_default()),
                Poll::Ready(Some(Err(error))) => return Step::Done(Some(Err(Error::broken(&error)))),
                Poll::Ready(None) => return Step::Done(None),
                Poll::Pending => return Step::Rest,
            }
            gathered.set(ready.len);
            if body.is_end_stream() {
                Step::Done(None)
            } else if ready.len >= JOIN {
                Step::Done(Some(Ok(())))
            } else {
                Step::Again
            }
        };
        let given = || if gathered.get() == 0 { Poll::Pending } else { Poll::Ready(Some(Ok(()))) };
        let end = quiet.poll(cx, step, given);
        match end {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => self.end(),
            Poll::Ready(Some(Ok(()))) => {}
            Poll::Ready(Some(Err(error))) => {
                self.live = None;
                self.ended = true;
                self.failed = Some(error);
            }
        }
        match ready.take() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None => Poll::Ready(self.failed.take().map(Err)),
        }
    }

    /// The whole has come: the connection is free for the next request, if it is still good.
    fn end(&mut self) {
        self.ended = true;
        if let Some(mut live) = self.live.take()
            && live.free()
        {
            self.home.0.put(&self.route, live, Instant::now());
        }
    }
}

/// Pieces that were ready together: one as it is, several in one buffer.
#[derive(Default)]
struct Joined {
    first: Bytes,
    rest: BytesMut,
    len: usize,
}

impl Joined {
    fn push(&mut self, piece: Bytes) {
        self.len += piece.len();
        if self.first.is_empty() {
            self.first = piece;
            return;
        }
        if self.rest.is_empty() {
            self.rest.reserve((self.len * 4).clamp(1024, 2 * JOIN));
            self.rest.extend_from_slice(&self.first);
        }
        self.rest.extend_from_slice(&piece);
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn take(self) -> Option<Bytes> {
        match self {
            joined if joined.is_empty() => None,
            joined if joined.rest.is_empty() => Some(joined.first),
            joined => Some(joined.rest.freeze()),
        }
    }
}
