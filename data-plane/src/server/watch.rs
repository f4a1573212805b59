//! What hyper does not tell of an HTTP/1 connection: heads that state a length in two ways, and time.
//!
//! It reads along, byte for byte, just enough to know where heads are: `Content-Length` together with
//! `Transfer-Encoding` is noted (hyper silently drops the former), a head must come in within its time, and a connection
//! without a request may not be idle for ever. It changes nothing that passes, but for hyper's own answers to heads that it
//! cannot read, which `unread` words.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use smallvec::SmallVec;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use super::{answer::Door, unread};
use crate::config::ServerConfig;

/// What the connection's reader and its service know together.
#[derive(Debug)]
pub struct Link {
    ambiguous: AtomicBool,
    chunked: AtomicBool,
    busy: AtomicBool,
}

impl Link {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            ambiguous: AtomicBool::new(false),
            chunked: AtomicBool::new(false),
            busy: AtomicBool::new(false),
        })
    }

    /// Whether a head stated its length in two ways.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.ambiguous.load(Relaxed)
    }

    /// Whether a body came in chunks, so that where the next head begins is hyper's word alone: the connection ends.
    pub(super) fn was_chunked(&self) -> bool {
        self.chunked.load(Relaxed)
    }

    /// A request is at work.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.store(true, Relaxed);
        Busy(Arc::clone(self))
    }
}

/// A request at work on a connection: it is not idle until this is dropped.
pub struct Busy(Arc<Link>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.store(false, Relaxed);
    }
}

/// Where in the bytes of the connection the reader is.
#[derive(Debug, PartialEq, Eq)]
enum At {
    /// Before or in a head.
    Head,
    /// In a body, with so many bytes to come.
    Body(u64),
    /// It does not look any more: a body in chunks, after which the connection ends.
    Unwatched,
}

/// Follows heads and bodies.
#[derive(Debug)]
struct Follower {
    at: At,
    /// The line that has begun: its first bytes are all that matters.
    line: SmallVec<[u8; 48]>,
    /// The beginning of the latest head's first line, once that has ended.
    first: SmallVec<[u8; 48]>,
    /// Whether anything of the head has come.
    begun: bool,
    length: Option<u64>,
    encoded: bool,
}

impl Follower {
    fn new() -> Self {
        Self {
            at: At::Head,
            line: SmallVec::new(),
            first: SmallVec::new(),
            begun: false,
            length: None,
            encoded: false,
        }
    }

    fn feed(&mut self, mut bytes: &[u8], link: &Link) {
        while !bytes.is_empty() {
            match &mut self.at {
                At::Unwatched => return,
                At::Body(left) => {
                    let taken = (*left).min(bytes.len() as u64);
                    *left -= taken;
                    bytes = &bytes[taken as usize..];
                    if *left == 0 {
                        self.at = At::Head;
                    }
                }
                At::Head => {
                    let end = memchr::memchr(b'\n', bytes);
                    let part = &bytes[..end.unwrap_or(bytes.len())];
                    let room = 48_usize.saturating_sub(self.line.len());
                    self.line.extend_from_slice(&part[..part.len().min(room)]);
                    bytes = &bytes[end.map_or(bytes.len(), |end| end + 1)..];
                    if end.is_some() {
                        self.line_ended(link);
                    }
                }
            }
        }
    }

    fn line_ended(&mut self, link: &Link) {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            // Empty lines before a head are skipped, as hyper does.
            if self.begun {
                self.head_ended(link);
            }
            return;
        }
        if !std::mem::replace(&mut self.begun, true) {
            self.first = SmallVec::from_slice(line);
            return;
        }
        match line[0] | 0x20 {
            b't' if named(line, b"transfer-encoding").is_some() => self.encoded = true,
            b'c' => {
                if let Some(value) = named(line, b"content-length") {
                    // What is no number is hyper's to refuse.
                    let value = std::str::from_utf8(value).ok().map(str::trim);
                    self.length = Some(value.and_then(|value| value.parse().ok()).unwrap_or(0));
                }
            }
            _ => {}
        }
    }

    fn head_ended(&mut self, link: &Link) {
        if self.encoded {
            link.chunked.store(true, Relaxed);
            link.ambiguous.fetch_or(self.length.is_some(), Relaxed);
        }
        let next = match (self.encoded, self.length) {
            (true, _) => At::Unwatched,
            (false, Some(length)) if length > 0 => At::Body(length),
            _ => At::Head,
        };
        let first = std::mem::take(&mut self.first);
        *self = Self { at: next, first, ..Self::new() };
    }

    /// The beginning of the latest request line, as far as it has come.
    fn request_line(&self) -> &[u8] {
        if self.begun || self.line.is_empty() { &self.first } else { &self.line }
    }

    /// Whether a head has begun and not ended.
    fn within_head(&self) -> bool {
        self.at == At::Head && (self.begun || !self.line.is_empty())
    }
}

/// A header line's value, if it has this name.
fn named<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    start.eq_ignore_ascii_case(name).then_some(value)
}

/// A client connection, watched.
pub struct Watched<S> {
    stream: S,
    link: Arc<Link>,
    follower: Follower,
    header_timeout: Duration,
    idle_timeout: Duration,
    /// When the head that is coming in began; the connection's begin, for its first.
    head_since: Option<Instant>,
    idle_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    door: Arc<Door>,
    peer: SocketAddr,
    /// What goes out in the place of an answer of hyper's own, and how much of it has gone.
    instead: Option<(Vec<u8>, usize)>,
}

impl<S> Watched<S> {
    pub(super) fn new(
        stream: S,
        link: Arc<Link>,
        config: &ServerConfig,
        door: Arc<Door>,
        peer: SocketAddr,
    ) -> Self {
        Self {
            stream,
            link,
            follower: Follower::new(),
            header_timeout: config.header_timeout,
            idle_timeout: config.idle_timeout,
            head_since: Some(Instant::now()),
            idle_since: None,
            timer: None,
            door,
            peer,
            instead: None,
        }
    }

    fn seen(&mut self, bytes: &[u8]) {
        self.follower.feed(bytes, &self.link);
        self.idle_since = None;
        if !self.follower.within_head() {
            self.head_since = None;
        } else if self.head_since.is_none() {
            self.head_since = Some(Instant::now());
        }
    }

    /// Whether the client has taken too long. Set anew only when the timer has run out: a request costs nothing here.
    fn late(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = if let Some(since) = self.head_since {
            since + self.header_timeout
        } else if self.link.busy.load(Relaxed) || self.follower.at != At::Head {
            // A body's time is the reader's matter, an answer's the upstream's.
            self.idle_since = None;
            return false;
        } else {
            *self.idle_since.get_or_insert_with(Instant::now) + self.idle_timeout
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        if timer.deadline() > deadline.into() {
            timer.as_mut().reset(deadline.into());
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return true;
            }
            timer.as_mut().reset(deadline.into());
        }
        false
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => {
                let this = self.get_mut();
                this.seen(&buffer.filled()[before..]);
                Poll::Ready(Ok(()))
            }
            Poll::Pending if self.late(cx) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    /// Writes our refusal, if these bytes are hyper's own; they count as written when all of it is.
    fn replaced(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.instead.is_none() {
            let status = unread::hypers_own(bytes)?;
            let line = self.follower.request_line();
            self.instead = Some((unread::instead(&self.door, self.peer, status, line), 0));
        }
        let (refusal, gone) = self.instead.as_mut()?;
        while *gone < refusal.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &refusal[*gone..]) {
                Poll::Ready(Ok(0)) => return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Ok(written)) => *gone += written,
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                Poll::Pending => return Some(Poll::Pending),
            }
        }
        self.instead = None;
        Some(Poll::Ready(Ok(bytes.len())))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.replaced(cx, bytes) {
            Some(written) => written,
            None => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [bytes] = slices
            && let Some(written) = self.replaced(cx, bytes)
        {
            return written;
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(text: &str, step: usize) -> (bool, bool, At) {
        let (link, mut follower) = (Link::new(), Follower::new());
        for piece in text.as_bytes().chunks(step) {
            follower.feed(piece, &link);
        }
        (link.is_ambiguous(), link.was_chunked(), follower.at)
    }

    #[test]
    fn a_length_stated_in_two_ways_is_noted_however_it_is_written() {
        for text in [
            "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n",
            "POST / HTTP/1.1\nTRANSFER-ENCODING:chunked\nCONTENT-LENGTH:4\n\n",
            "GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\ncontent-length: 4\r\nx: y\r\ntransfer-encoding: x\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcPOST / HTTP/1.1\r\ncontent-length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            for step in [1, 2, 7, 1000] {
                assert_eq!(follow(text, step), (true, true, At::Unwatched), "{text:?} by {step}");
            }
        }
    }

    #[test]
    fn bodies_are_not_taken_for_heads() {
        let body = "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n";
        let text =
            format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}GET / HTTP/1.1\r\n\r\n", body.len());
        for step in [1, 3, 1000] {
            assert_eq!(follow(&text, step), (false, false, At::Head));
        }
        assert_eq!(follow("POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nabc", 1), (false, false, At::Body(6)));
        assert_eq!(
            follow("\r\n\r\nGET / HTTP/1.1\r\nx-content-length: 4\r\n\r\n", 1),
            (false, false, At::Head)
        );
    }
}
