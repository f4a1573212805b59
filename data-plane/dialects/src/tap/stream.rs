//! The tap of a stream of events. It reads the two or three events that carry usage, and the last few for how the
//! stream ended; all others it only searches.
//!
//! Why searching for the bytes `"usage"` misses no such event and hits no text: `usage` as a key is written with a quote
//! at both ends, and nothing but blanks may stand between it and its colon, which is therefore not part of the search.
//! Inside any JSON string a quote is written `\"`, so text that speaks of `"usage"` reads `\"usage\"`, in which `usage` is
//! followed by a backslash. What the search does hit beside keys (a text that is exactly `usage`) is read and found to
//! be another event. A key written with escapes would be missed; no writer of JSON does that to letters.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

use super::Tapped;
use crate::{
    anthropic::{
        error::Found,
        events::{self, Event},
        usage::Counts,
    },
    framing::sse::{self, Framer},
};

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""usage""#));

/// An event longer than this is not read.
const MAX_EVENT: usize = 1 << 20;
/// So much of the end is kept, to see how it ended. It is paid for by every open stream.
const TAIL: usize = 1024;
/// What stands around the text of a delta.
const AROUND: &[u8] = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
    \"delta\":{\"type\":\"text_delta\",\"text\":\"\"}}\n\n";
/// Lines of an event, the empty one included.
const LINES: u64 = 3;

#[derive(Debug)]
pub(super) struct Stream {
    framer: Framer,
    tail: Vec<u8>,
    /// Whether `tail` lacks the stream's beginning.
    tail_cut: bool,
    bytes: u64,
    lines: u64,
    read: Read,
}

/// What the events with usage said.
#[derive(Debug, Default)]
struct Read {
    counts: Counts,
    model: Option<String>,
    last: bool,
    /// Bytes and lines of events that were read: they are no text.
    bytes: u64,
    lines: u64,
}

impl Stream {
    pub(super) fn new() -> Self {
        Self {
            framer: Framer::new(MAX_EVENT),
            tail: Vec::new(),
            tail_cut: false,
            bytes: 0,
            lines: 0,
            read: Read::default(),
        }
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.lines += memchr::memchr_iter(b'\n', piece).count() as u64;
        self.keep_tail(piece);
        let mut piece = piece;
        if self.framer.is_between() && USAGE.find(piece).is_none() {
            // Events that begin and end in this piece carry nothing; an LF after an LF always ends one.
            let end = if piece.ends_with(b"\n\n") {
                piece.len()
            } else {
                memmem::rfind(piece, b"\n\n").map_or(0, |at| at + 2)
            };
            piece = &piece[end..];
        }
        let read = &mut self.read;
        self.framer.push(piece, |event| {
            if let sse::Event::Whole(bytes) = event
                && USAGE.find(bytes).is_some()
            {
                read.event(bytes);
            }
        });
    }

    fn keep_tail(&mut self, piece: &[u8]) {
        let piece = if let Some(from) = piece.len().checked_sub(TAIL) {
            self.tail_cut |= from > 0 || !self.tail.is_empty();
            self.tail.clear();
            &piece[from..]
        } else {
            piece
        };
        if self.tail.len() + piece.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() + piece.len() - TAIL);
            self.tail_cut = true;
        }
        self.tail.extend_from_slice(piece);
    }

    pub(super) fn finish(mut self) -> Tapped {
        // An upstream may end without the empty line after its last event.
        let rest = self.framer.rest();
        if USAGE.find(rest).is_some() {
            self.read.event(rest);
        }
        let (complete, error) = self.ending();
        let text = self.bytes.saturating_sub(self.read.bytes);
        let around = self.lines.saturating_sub(self.read.lines) / LINES * AROUND.len() as u64;
        Tapped {
            model: self.read.model.take(),
            complete,
            error,
            usage_final: self.read.last,
            text_bytes: text.saturating_sub(around),
            ..Tapped::default()
        }
        .with_counts(self.read.counts)
    }

    /// Whether the last events say that the answer is whole, and whether one is an error.
    fn ending(&self) -> (bool, Option<Found>) {
        let mut tail = self.tail.as_slice();
        if self.tail_cut
            && let Some(start) = memmem::find(tail, b"\n\n")
        {
            tail = &tail[start + 2..];
        }
        let (mut complete, mut error) = (false, None);
        let mut judge = |bytes: &[u8]| {
            if memmem::find(bytes, b"message_stop").is_none() && memmem::find(bytes, b"error").is_none() {
                return;
            }
            match events::read(&sse::read(bytes)) {
                Event::Stop => complete = true,
                Event::Error(found) => error = Some(found),
                _ => {}
            }
        };
        let mut framer = Framer::new(2 * TAIL);
        framer.push(tail, |event| {
            if let sse::Event::Whole(bytes) = event {
                judge(bytes);
            }
        });
        judge(framer.rest());
        (complete, error)
    }
}

impl Read {
    fn event(&mut self, bytes: &[u8]) {
        let usage = match events::read(&sse::read(bytes)) {
            Event::Start { model, usage } => {
                self.model = model.or_else(|| self.model.take());
                usage
            }
            Event::Delta { usage } => {
                self.last |= usage.as_ref().is_some_and(|usage| usage.output.is_some());
                usage
            }
            _ => return,
        };
        self.bytes += bytes.len() as u64;
        self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        if let Some(usage) = usage {
            self.counts.update(usage);
        }
    }
}
