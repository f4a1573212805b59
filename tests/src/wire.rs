//! HTTP/1.1 by hand: what the mock, the tests' raw client and the load generator need to control every byte, every
//! chunk boundary and every connection end. It is no general client: it trusts nothing, pools nothing, retries nothing.

use std::{net::SocketAddr, time::Instant};

use anyhow::{Context as _, Result, bail};
use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The most that a head may take.
const HEAD_LIMIT: usize = 256 * 1024;

/// A request's or answer's head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Method of a request; empty for an answer.
    pub method: String,
    /// Target of a request, as it was sent.
    pub target: String,
    /// Status of an answer; 0 for a request.
    pub status: u16,
    /// Headers in order, names as sent.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Path without query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Query without `?`; empty when there is none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// How its body is framed. An answer without length ends with the connection.
    pub fn framing(&self) -> Result<Framing> {
        if self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return Ok(Framing::Chunked { left: 0, begun: false });
        }
        if let Some(length) = self.header("content-length") {
            return Ok(Framing::Length(length.trim().parse().context("content-length")?));
        }
        let bodiless = self.status == 0 || self.status == 204 || self.status == 304;
        Ok(if bodiless { Framing::Length(0) } else { Framing::ToEnd })
    }
}

/// How a body is framed, with what is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes more.
    Length(u64),
    /// Chunks: what is left of this one, and whether one has begun.
    Chunked {
        /// Bytes left of the current chunk.
        left: u64,
        /// Whether the current chunk's closing CRLF is still to come.
        begun: bool,
    },
    /// Until the connection ends.
    ToEnd,
    /// Nothing more.
    Done,
}

/// One side of a connection, with what was read too far.
#[derive(Debug)]
pub struct Conn {
    /// The socket.
    pub io: TcpStream,
    buffer: BytesMut,
}

/// A whole answer.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Status.
    pub status: u16,
    /// Headers in order.
    pub head: Head,
    /// The body without framing.
    pub body: Vec<u8>,
    /// When each piece came, and how long it was.
    pub pieces: Vec<(Option<Instant>, usize)>,
    /// Whether the body ended as its framing says; `false`: the connection broke.
    pub complete: bool,
}

impl Reply {
    /// The body as text, invalid bytes replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `Null` when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }
}

impl Conn {
    /// Takes a socket.
    pub fn new(io: TcpStream) -> Self {
        Self { io, buffer: BytesMut::with_capacity(16 * 1024) }
    }

    /// Opens a connection.
    pub async fn connect(to: SocketAddr) -> Result<Self> {
        let io = TcpStream::connect(to).await.with_context(|| format!("connect to {to}"))?;
        io.set_nodelay(true)?;
        Ok(Self::new(io))
    }

    /// Writes bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.io.write_all(bytes).await?)
    }

    /// Reads a head; `None` when the other side closed before its first byte.
    pub async fn head(&mut self) -> Result<Option<Head>> {
        loop {
            if let Some((head, length)) = parse_head(&self.buffer)? {
                self.buffer.advance(length);
                return Ok(Some(head));
            }
            if self.buffer.len() > HEAD_LIMIT {
                bail!("head of more than {HEAD_LIMIT} bytes");
            }
            if self.fill().await? == 0 {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                bail!("connection ended within a head");
            }
        }
    }

    async fn fill(&mut self) -> Result<usize> {
        self.buffer.reserve(16 * 1024);
        Ok(self.io.read_buf(&mut self.buffer).await?)
    }

    /// The next piece of a body, as it comes; `None` at its end.
    pub async fn piece(&mut self, framing: &mut Framing) -> Result<Option<Bytes>> {
        loop {
            if let Some(piece) = take_piece(&mut self.buffer, framing)? {
                return Ok(Some(piece));
            }
            if *framing == Framing::Done {
                return Ok(None);
            }
            if self.fill().await? == 0 {
                if *framing == Framing::ToEnd {
                    *framing = Framing::Done;
                    return Ok(None);
                }
                bail!("connection ended within a body");
            }
        }
    }

    /// Reads a whole answer. A body that breaks off is an answer with `complete == false`.
    pub async fn reply(&mut self) -> Result<Reply> {
        let mut head = self.head().await?.context("connection ended without an answer")?;
        while head.status == 100 {
            head = self.head().await?.context("connection ended after 100")?;
        }
        let mut reply = Reply { status: head.status, ..Reply::default() };
        let mut framing = head.framing()?;
        reply.head = head;
        reply.complete = loop {
            match self.piece(&mut framing).await {
                Ok(Some(piece)) => {
                    reply.pieces.push((Some(Instant::now()), piece.len()));
                    reply.body.extend_from_slice(&piece);
                }
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        Ok(reply)
    }

    /// Makes the connection end by a reset when it is dropped.
    pub fn reset_on_drop(&self) {
        let _ = socket2::SockRef::from(&self.io).set_linger(Some(std::time::Duration::ZERO));
    }
}

/// Reads a head at the buffer's begin: the head and its length; `None` when there is not enough.
pub fn parse_head(buffer: &[u8]) -> Result<Option<(Head, usize)>> {
    let mut slots = [httparse::EMPTY_HEADER; 128];
    let headers = |parsed: &[httparse::Header<'_>]| {
        let one = |header: &httparse::Header<'_>| {
            (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned())
        };
        parsed.iter().map(one).collect()
    };
    if buffer.starts_with(b"HTTP/") {
        let mut answer = httparse::Response::new(&mut slots);
        let httparse::Status::Complete(length) = answer.parse(buffer)? else { return Ok(None) };
        let status = answer.code.unwrap_or_default();
        return Ok(Some((Head { status, headers: headers(answer.headers), ..Head::default() }, length)));
    }
    let mut request = httparse::Request::new(&mut slots);
    let httparse::Status::Complete(length) = request.parse(buffer)? else { return Ok(None) };
    let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    let head = Head {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: headers(request.headers),
        status: 0,
    };
    Ok(Some((head, length)))
}

/// Takes the next piece of a body out of the buffer; `None`: more is needed, or the framing is done.
pub fn take_piece(buffer: &mut BytesMut, framing: &mut Framing) -> Result<Option<Bytes>> {
    match framing {
        Framing::Done => Ok(None),
        Framing::ToEnd => Ok((!buffer.is_empty()).then(|| buffer.split().freeze())),
        Framing::Length(0) => {
            *framing = Framing::Done;
            Ok(None)
        }
        Framing::Length(left) => {
            let length = (*left).min(buffer.len() as u64);
            *left -= length;
            Ok((length > 0).then(|| buffer.split_to(length as usize).freeze()))
        }
        Framing::Chunked { .. } => take_chunk(buffer, framing),
    }
}

fn take_chunk(buffer: &mut BytesMut, framing: &mut Framing) -> Result<Option<Bytes>> {
    let Framing::Chunked { left, begun } = framing else { return Ok(None) };
    if *left > 0 {
        let length = (*left).min(buffer.len() as u64);
        *left -= length;
        return Ok((length > 0).then(|| buffer.split_to(length as usize).freeze()));
    }
    // A size line, after the CRLF that closes the chunk before.
    let skip = if *begun { 2 } else { 0 };
    let Some(rest) = buffer.get(skip..) else { return Ok(None) };
    if *begun && !buffer.starts_with(b"\r\n") {
        bail!("a chunk does not end in CRLF");
    }
    let Some(end) = memchr::memmem::find(rest, b"\r\n") else { return Ok(None) };
    let line = std::str::from_utf8(&rest[..end])?;
    let size = u64::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
        .with_context(|| format!("chunk size {line:?}"))?;
    if size > 0 {
        buffer.advance(skip + end + 2);
        (*left, *begun) = (size, true);
        return take_chunk(buffer, framing);
    }
    // The last chunk: skip trailers to the empty line.
    let tail = &rest[end..];
    let Some(over) = memchr::memmem::find(tail, b"\r\n\r\n") else { return Ok(None) };
    buffer.advance(skip + end + over + 4);
    *framing = Framing::Done;
    Ok(None)
}

/// The bytes of a request with a body of known length.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    let stated = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if !stated && (!body.is_empty() || method == "POST") {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// One request on its own connection.
pub async fn call(
    to: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Reply> {
    let mut conn = Conn::connect(to).await?;
    let host = to.to_string();
    let mut all = vec![("host", host.as_str())];
    all.extend_from_slice(headers);
    conn.send(&request(method, target, &all, body)).await?;
    conn.reply().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(input: &[u8], step: usize) -> (Vec<u8>, Framing) {
        let (mut buffer, mut out) = (BytesMut::new(), Vec::new());
        let mut framing = Framing::Chunked { left: 0, begun: false };
        for part in input.chunks(step) {
            buffer.extend_from_slice(part);
            while let Some(piece) = take_piece(&mut buffer, &mut framing).unwrap() {
                out.extend_from_slice(&piece);
            }
        }
        (out, framing)
    }

    #[test]
    fn chunks_are_read_at_any_split() {
        let input = b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: a\r\n\r\n";
        for step in 1..input.len() {
            assert_eq!(whole(input, step), (b"hello world".to_vec(), Framing::Done), "step {step}");
        }
    }

    #[test]
    fn a_chunk_without_its_end_is_refused() {
        let mut buffer = BytesMut::from(&b"1\r\nabc"[..]);
        let mut framing = Framing::Chunked { left: 0, begun: false };
        assert_eq!(take_piece(&mut buffer, &mut framing).unwrap().unwrap(), "a");
        assert!(take_piece(&mut buffer, &mut framing).is_err());
    }
}
