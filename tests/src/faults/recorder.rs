//! A TCP proxy that changes nothing and remembers everything: what a real client put on the wire, and what it got.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;
use bytes::{Buf as _, BytesMut};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::{JoinHandle, JoinSet},
};

use crate::wire::{Framing, Head, parse_head, take_piece};

/// One request and its answer.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// The request's head.
    pub request: Head,
    /// The request's body.
    pub request_body: Vec<u8>,
    /// The answer's head.
    pub answer: Head,
    /// The answer's body.
    pub answer_body: Vec<u8>,
    /// Whether the answer came to its end.
    pub complete: bool,
}

/// Both directions of one connection, as they passed.
#[derive(Debug, Default)]
struct Tape {
    up: Mutex<Vec<u8>>,
    down: Mutex<Vec<u8>>,
}

/// A running recorder.
#[derive(Debug)]
pub struct Recorder {
    /// Where it listens.
    pub address: SocketAddr,
    tapes: Arc<Mutex<Vec<Arc<Tape>>>>,
    task: JoinHandle<()>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Recorder {
    /// Starts one in front of a listener.
    pub async fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let tapes: Arc<Mutex<Vec<Arc<Tape>>>> = Arc::default();
        let kept = tapes.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let tape = Arc::new(Tape::default());
                kept.lock().push(tape.clone());
                connections.spawn(async move { drop(connection(client, target, &tape).await) });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, tapes, task })
    }

    /// All that passed, connection by connection, requests paired with their answers.
    pub fn exchanges(&self) -> Result<Vec<Exchange>> {
        let tapes: Vec<Arc<Tape>> = self.tapes.lock().clone();
        let mut exchanges = Vec::new();
        for tape in tapes {
            let (up, down) = (tape.up.lock().clone(), tape.down.lock().clone());
            let (asked, answered) = (messages(&up)?, messages(&down)?);
            let mut answers = answered.into_iter();
            for (request, request_body, _) in asked {
                let (answer, answer_body, complete) = answers.next().unwrap_or_default();
                exchanges.push(Exchange { request, request_body, answer, answer_body, complete });
            }
        }
        Ok(exchanges)
    }
}

async fn connection(client: TcpStream, to: SocketAddr, tape: &Tape) -> Result<()> {
    let server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let up = copy(from_client, to_server, &tape.up);
    let down = copy(from_server, to_client, &tape.down);
    // Whoever closes first ends both ways, so that an abort is passed on as one.
    tokio::select! {
        _ = up => {}
        _ = down => {}
    }
    Ok(())
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, tape: &Mutex<Vec<u8>>) -> Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        tape.lock().extend_from_slice(&buffer[..read]);
        to.write_all(&buffer[..read]).await?;
    }
}

/// The messages of one direction: head, body, and whether it is complete.
fn messages(bytes: &[u8]) -> Result<Vec<(Head, Vec<u8>, bool)>> {
    let (mut buffer, mut messages) = (BytesMut::from(bytes), Vec::new());
    while let Some((head, length)) = parse_head(&buffer)? {
        buffer.advance(length);
        if head.status == 100 {
            continue;
        }
        let (mut framing, mut body) = (head.framing()?, Vec::new());
        while let Some(piece) = take_piece(&mut buffer, &mut framing)? {
            body.extend_from_slice(&piece);
        }
        messages.push((head, body, matches!(framing, Framing::Done | Framing::ToEnd)));
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipelined_messages_are_told_apart() {
        let bytes = b"POST /a HTTP/1.1\r\ncontent-length: 2\r\n\r\nhiGET /b HTTP/1.1\r\n\r\n";
        let found = messages(bytes).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].1.as_slice(), found[0].2), (&b"hi"[..], true));
        assert_eq!(found[1].0.target, "/b");
        let cut = messages(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab").unwrap();
        assert_eq!((cut[0].1.as_slice(), cut[0].2), (&b"ab"[..], false));
    }
}
