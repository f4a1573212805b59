//! Puts an answer on the wire, watching whether the client is still there, and writes to the ledger what went out.

use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::{
    compress::{self, Compressor},
    ledger::Ledger,
    now_us,
    scenario::{Behaviour, Fault},
};
use crate::wire::Conn;

/// The answer that is being written.
pub struct Writer<'a> {
    conn: &'a mut Conn,
    /// Ledger and number of the entry; `None` where no book is kept.
    book: Option<(&'a Ledger, usize)>,
    digest: Sha256,
    bytes: usize,
    events: usize,
}

/// Whether the connection may serve another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It may.
    Keep,
    /// It is to be closed.
    Close,
}

impl<'a> Writer<'a> {
    /// For an answer on that connection.
    pub fn new(conn: &'a mut Conn, book: Option<(&'a Ledger, usize)>) -> Self {
        Self { conn, book, digest: Sha256::new(), bytes: 0, events: 0 }
    }

    /// A whole answer of known length.
    pub async fn whole(mut self, head: &str, body: &[u8], behaviour: &Behaviour) -> Result<After> {
        let mut compressor = Compressor::new(behaviour.encoding)?;
        let mut body = compressor.event(body)?;
        body.extend(compressor.finish()?);
        let off = if let Some(Fault::WrongLength { by }) = behaviour.fault { by } else { 0 };
        let length = body.len() as i64 + off;
        let encoding = encoding_header(behaviour);
        let head = format!("{head}{encoding}content-length: {length}\r\n\r\n");
        let sent = async {
            if let Some(Fault::Trickle { every_ms }) = behaviour.fault {
                self.raw(head.as_bytes()).await?;
                return self.trickle(&body, every_ms).await;
            }
            self.raw(&[head.as_bytes(), &body].concat()).await
        };
        let result = sent.await;
        self.count(&body);
        self.events = 1;
        self.close_entry(result.is_ok());
        result?;
        Ok(if off == 0 { After::Keep } else { After::Close })
    }

    /// A stream of events, misbehaving as told.
    pub async fn stream(mut self, head: &str, events: &[Bytes], behaviour: &Behaviour) -> Result<After> {
        let encoding = encoding_header(behaviour);
        self.raw(format!("{head}{encoding}transfer-encoding: chunked\r\n\r\n").as_bytes()).await?;
        let result = self.events(events, behaviour).await;
        let finished = matches!(result, Ok(After::Keep));
        self.close_entry(finished);
        result
    }

    async fn events(&mut self, events: &[Bytes], behaviour: &Behaviour) -> Result<After> {
        self.pause(behaviour.first_delay_ms).await?;
        let mut compressor = Compressor::new(behaviour.encoding)?;
        if behaviour.burst {
            let all = compressor.event(&events.concat())?;
            self.chunk(&all, events.len()).await?;
        } else {
            for (at, event) in events.iter().enumerate() {
                if self.breaks_off(at, event, behaviour).await? {
                    return Ok(After::Close);
                }
                if is_delta(event) && at > 3 {
                    self.pause(behaviour.interval_ms).await?;
                }
                let event = if behaviour.stamp { stamped(event) } else { event.clone() };
                let bytes = compressor.event(&event)?;
                match behaviour.fault {
                    Some(Fault::Trickle { every_ms }) => {
                        self.raw(format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
                        self.trickle(&bytes, every_ms).await?;
                        self.raw(b"\r\n").await?;
                        self.count(&bytes);
                        self.events += 1;
                    }
                    _ => self.chunk(&bytes, 1).await?,
                }
            }
        }
        let tail = compressor.finish()?;
        if !tail.is_empty() {
            self.chunk(&tail, 0).await?;
        }
        self.raw(b"0\r\n\r\n").await?;
        Ok(After::Keep)
    }

    /// Faults that end a stream before this event.
    async fn breaks_off(&mut self, at: usize, event: &Bytes, behaviour: &Behaviour) -> Result<bool> {
        match behaviour.fault {
            Some(Fault::CloseAfter { events }) if at == events as usize => Ok(true),
            Some(Fault::ResetAfter { events }) if at == events as usize => {
                let half = &event[..event.len() / 2];
                self.raw(format!("{:x}\r\n", event.len()).as_bytes()).await?;
                self.raw(half).await?;
                self.count(half);
                // What is written must have gone out before the reset throws away what has not.
                self.pause(20).await?;
                self.conn.reset_on_drop();
                Ok(true)
            }
            Some(Fault::StallAfter { events }) if at == events as usize => {
                self.pause(3_600_000).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Bytes as they are, outside the count.
    pub async fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        if let Err(error) = self.conn.io.write_all(bytes).await {
            self.left();
            return Err(error.into());
        }
        Ok(())
    }

    async fn chunk(&mut self, bytes: &[u8], events: usize) -> Result<()> {
        let mut framed = Vec::with_capacity(bytes.len() + 16);
        framed.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        framed.extend_from_slice(bytes);
        framed.extend_from_slice(b"\r\n");
        self.raw(&framed).await?;
        self.count(bytes);
        self.events += events;
        Ok(())
    }

    async fn trickle(&mut self, bytes: &[u8], every_ms: u64) -> Result<()> {
        for byte in bytes {
            self.raw(&[*byte]).await?;
            self.pause(every_ms).await?;
        }
        Ok(())
    }

    fn count(&mut self, bytes: &[u8]) {
        if self.book.is_some() {
            self.digest.update(bytes);
        }
        self.bytes += bytes.len();
    }

    /// Waits, and fails at once when the client leaves meanwhile.
    pub async fn pause(&mut self, ms: u64) -> Result<()> {
        if ms == 0 {
            return Ok(());
        }
        let time = tokio::time::sleep(Duration::from_millis(ms));
        tokio::pin!(time);
        let mut one = [0];
        let gone = tokio::select! {
            () = &mut time => return Ok(()),
            peeked = self.conn.io.peek(&mut one) => !matches!(peeked, Ok(1..)),
        };
        if gone {
            self.left();
            bail!("the client left");
        }
        time.await;
        Ok(())
    }

    fn left(&self) {
        if let Some((ledger, number)) = self.book {
            ledger.amend(number, |entry| entry.client_left = true);
        }
    }

    fn close_entry(&mut self, finished: bool) {
        let Some((ledger, number)) = self.book else { return };
        let digest = hex::encode(std::mem::take(&mut self.digest).finalize());
        ledger.amend(number, |entry| {
            entry.events = self.events;
            entry.answer_bytes = self.bytes;
            entry.answer_sha256 = digest;
            entry.finished = finished;
            entry.ended_us = now_us();
        });
    }
}

fn encoding_header(behaviour: &Behaviour) -> String {
    let name = behaviour.encoding.map(compress::name);
    name.map(|name| format!("content-encoding: {name}\r\n")).unwrap_or_default()
}

fn is_delta(event: &Bytes) -> bool {
    let has = |mark: &[u8]| memchr::memmem::find(event, mark).is_some();
    event.starts_with(b"event: content_block_delta")
        || event.starts_with(b"event: response.output_text.delta")
        || has(b"\"delta\":{\"content\":")
        || has(b"\"candidates\"")
}

/// What stands before a delta's text, by dialect.
const TEXTS: [&[u8]; 3] = [b"\"text\":\"", b"\"content\":\"", b"\"delta\":\""];

/// The event with the time in the first 16 characters of its text, where it is a delta that has room.
fn stamped(event: &Bytes) -> Bytes {
    let start = TEXTS.iter().find_map(|mark| Some(memchr::memmem::find(event, mark)? + mark.len()));
    match start {
        Some(start) if is_delta(event) && event.len() > start + 16 => {
            let mut changed = event.to_vec();
            changed[start..start + 16].copy_from_slice(format!("{:016}", now_us()).as_bytes());
            changed.into()
        }
        _ => event.clone(),
    }
}
