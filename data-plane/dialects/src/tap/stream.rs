//! The tap of a stream of events. It reads the few events that carry usage, and the last ones for how the stream ended;
//! all others it only searches.
//!
//! Why searching for a key in quotes misses no such event and hits no text: a key is written with a quote at both ends,
//! and nothing but blanks may stand between it and its colon, which is therefore not part of the search. Inside any JSON
//! string a quote is written `\"`, so text that speaks of `"usage"` reads `\"usage\"`, in which `usage` is followed by a
//! backslash. What the search does hit beside keys (a text that is exactly `usage`) is read and found to be another
//! event. A key written with escapes would be missed; no writer of JSON does that to letters.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

use super::{Boundary, Tapped, text};
use crate::{
    Dialect,
    error::Found,
    framing::{Framer, Framing, sse},
    heard::hear,
    openai_chat,
    usage::Counts,
};

static ANTHROPIC: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""usage""#));
/// Not `usage`, which every chunk says to be null where it is asked for at all.
static CHAT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""prompt_tokens""#));
/// Only the first events, where it is null, and the last one hold a response.
static RESPONSES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""usage""#));
static GEMINI: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""usageMetadata""#));

/// An event longer than this is not read.
const MAX_EVENT: usize = 1 << 20;
/// So much of the end is kept, to see how it ended, and all of a stream of up to twice that. It is paid for by every open
/// stream.
const TAIL: usize = 1024;

/// What a dialect's streams look like.
struct Shape {
    /// What stands in every event with usage, and in few others.
    mark: &'static LazyLock<Finder<'static>>,
    /// Bytes around the text of a delta,
    around: u64,
    /// and its lines, the empty one included.
    lines: u64,
    /// What stands in the events that end a stream, well or not.
    endings: &'static [&'static [u8]],
}

const fn shape(dialect: Dialect) -> Shape {
    match dialect {
        Dialect::AnthropicMessages => Shape {
            mark: &ANTHROPIC,
            around: AROUND.len() as u64,
            lines: 3,
            endings: &[b"message_stop", b"error"],
        },
        Dialect::OpenaiChat => Shape {
            mark: &CHAT,
            around: 230,
            lines: 2,
            endings: &[b"[DONE]", b"\"finish_reason\"", b"error"],
        },
        Dialect::OpenaiResponses => {
            Shape { mark: &RESPONSES, around: 260, lines: 3, endings: &[b"\"response.", b"error"] }
        }
        Dialect::Gemini => Shape {
            mark: &GEMINI,
            around: 200,
            lines: 2,
            endings: &[b"\"finishReason\"", b"\"blockReason\"", b"\"error\""],
        },
    }
}

/// What stands around the text of Anthropic's deltas.
const AROUND: &[u8] = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
    \"delta\":{\"type\":\"text_delta\",\"text\":\"\"}}\n\n";

#[derive(Debug)]
pub(super) struct Stream {
    dialect: Dialect,
    mark: &'static Finder<'static>,
    framer: Framer,
    tail: Vec<u8>,
    bytes: u64,
    lines: u64,
    read: Read,
}

/// What the events with usage said.
#[derive(Debug)]
struct Read {
    dialect: Dialect,
    counts: Counts,
    model: Option<String>,
    answer_id: Option<String>,
    last: bool,
    ends: bool,
    /// An element that is an error.
    error: Option<Found>,
    /// An event too long to be read: its usage may still stand at its end.
    cut: bool,
    /// Bytes and lines of events that were read: they are no text.
    bytes: u64,
    lines: u64,
}

impl Stream {
    pub(super) fn new(dialect: Dialect, framing: Framing) -> Self {
        Self {
            dialect,
            mark: shape(dialect).mark,
            framer: Framer::new(framing, MAX_EVENT),
            tail: Vec::new(),
            bytes: 0,
            lines: 0,
            read: Read {
                dialect,
                counts: Counts::default(),
                model: None,
                answer_id: None,
                last: false,
                ends: false,
                error: None,
                cut: false,
                bytes: 0,
                lines: 0,
            },
        }
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.lines += memchr::memchr_iter(b'\n', piece).count() as u64;
        self.keep_tail(piece);
        let (read, mark) = (&mut self.read, self.mark);
        match &mut self.framer {
            Framer::Sse(framer) => {
                let mut piece = piece;
                if framer.is_between() && mark.find(piece).is_none() {
                    // Events that begin and end in this piece carry nothing; an LF after an LF always ends one.
                    let end = if piece.ends_with(b"\n\n") {
                        piece.len()
                    } else {
                        memmem::rfind(piece, b"\n\n").map_or(0, |at| at + 2)
                    };
                    piece = &piece[end..];
                }
                framer.push(piece, |event| read.told(event, mark, sse::read));
            }
            Framer::JsonArray(framer) => framer.push(piece, |event| {
                if let sse::Event::Whole(bytes) = event
                    && bytes[1..].trim_ascii_start().starts_with(b"\"error\"")
                {
                    read.error = hear(read.dialect, &element(bytes)).error;
                }
                read.told(event, mark, element);
            }),
        }
    }

    fn keep_tail(&mut self, piece: &[u8]) {
        let piece = &piece[piece.len().saturating_sub(2 * TAIL)..];
        let both = self.tail.len() + piece.len();
        if both > 2 * TAIL {
            self.tail.drain(..(both - TAIL).min(self.tail.len()));
        }
        self.tail.extend_from_slice(piece);
    }

    pub(super) fn answer_id(&self) -> Option<String> {
        self.read.answer_id.clone()
    }

    pub(super) fn boundary(&self) -> Boundary {
        let (between, none) = match &self.framer {
            Framer::Sse(framer) => (framer.is_between(), self.bytes == 0),
            Framer::JsonArray(framer) => (framer.is_between() && !framer.is_closed(), framer.elements() == 0),
        };
        match (between, none) {
            (false, _) => Boundary::Within,
            (true, true) => Boundary::Start,
            (true, false) => Boundary::Between,
        }
    }

    pub(super) fn finish(mut self) -> Tapped {
        // An upstream may end without the empty line after its last event.
        let rest = self.framer.rest();
        if self.mark.find(rest).is_some() {
            self.read.event(rest, &self.framer.read(rest));
        }
        let (complete, error) = self.ending();
        if self.read.cut && !self.read.last {
            self.read.counts_at_the_end(&self.tail);
        }
        let (text_bytes, text_events) = self.text();
        Tapped {
            answer_id: self.read.answer_id.take(),
            model: self.read.model.take(),
            complete,
            error,
            usage_final: self.read.last,
            text_bytes,
            text_events,
            ..Tapped::default()
        }
        .with_counts(self.read.counts)
    }

    /// About how many bytes of text came, and at least how many events of text. A stream of which all is still there is
    /// counted; of a longer one, what stands around the text is taken off as it stands in the usual event, and what its
    /// last events hold is the least.
    fn text(&self) -> (u64, u64) {
        let (mut bytes, mut texts) = (0, 0);
        let mut framer = sse::Framer::new(2 * TAIL);
        let mut count = |event: &[u8]| {
            let text = text::bytes(self.dialect, event);
            bytes += text;
            texts += u64::from(text > 0);
        };
        framer.push(self.whole_events(), |event| {
            if let sse::Event::Whole(event) = event {
                count(event);
            }
        });
        count(framer.rest());
        if !self.is_cut() {
            return (bytes, texts);
        }
        let shape = shape(self.dialect);
        let events = self.lines.saturating_sub(self.read.lines) / shape.lines;
        let rest = self.bytes.saturating_sub(self.read.bytes).saturating_sub(events * shape.around);
        // Where each token is a chunk of its own, what stands around it hides how many there were.
        texts = if self.dialect == Dialect::OpenaiChat { texts.max(events) } else { texts };
        (rest.max(bytes), texts)
    }

    /// Whether the stream's beginning is there no more. Told by its length, so that its pieces change nothing.
    fn is_cut(&self) -> bool {
        self.bytes > 2 * TAIL as u64
    }

    /// The end, from the first event that is there from its beginning.
    fn whole_events(&self) -> &[u8] {
        if !self.is_cut() {
            return &self.tail;
        }
        let tail = &self.tail[self.tail.len() - TAIL..];
        memmem::find(tail, b"\n\n").map_or(tail, |start| &tail[start + 2..])
    }

    /// Whether the last events say that the answer is whole, and whether one is an error.
    fn ending(&self) -> (bool, Option<Found>) {
        let (mut complete, mut error) = (self.read.ends, None);
        let endings = shape(self.dialect).endings;
        let mut judge = |bytes: &[u8]| {
            if endings.iter().all(|ending| memmem::find(bytes, ending).is_none()) {
                return;
            }
            let heard = hear(self.dialect, &self.framer.read(bytes));
            complete |= heard.ends;
            error = heard.error.or(error.take());
        };
        if let Framer::JsonArray(_) = &self.framer {
            return (complete, self.read.error.clone());
        }
        let mut framer = sse::Framer::new(2 * TAIL);
        framer.push(self.whole_events(), |event| {
            if let sse::Event::Whole(bytes) = event {
                judge(bytes);
            }
        });
        judge(framer.rest());
        (complete, error)
    }
}

fn element(event: &[u8]) -> sse::Message<'_> {
    sse::Message { event: None, data: Some(event.into()) }
}

impl Read {
    fn told(&mut self, event: sse::Event<'_>, mark: &Finder<'_>, read: impl Fn(&[u8]) -> sse::Message<'_>) {
        match event {
            sse::Event::Whole(bytes) if mark.find(bytes).is_some() => self.event(bytes, &read(bytes)),
            sse::Event::Whole(_) => {}
            sse::Event::Cut(start) => {
                self.cut = true;
                // Of a response too long to be read its name still tells that it is the last event.
                self.ends |= self.dialect == Dialect::OpenaiResponses
                    && [&b"\"response.completed\""[..], b"\"response.incomplete\""]
                        .iter()
                        .any(|name| memmem::find(&start[..start.len().min(256)], name).is_some());
            }
        }
    }

    fn event(&mut self, bytes: &[u8], message: &sse::Message<'_>) {
        let heard = hear(self.dialect, message);
        self.ends |= heard.ends && heard.usage.is_some();
        self.model = heard.model.or_else(|| self.model.take());
        self.answer_id = heard.answer_id.or_else(|| self.answer_id.take());
        self.last |= heard.usage_final;
        if heard.usage.is_none() && !(self.dialect == Dialect::AnthropicMessages && self.model.is_some()) {
            return;
        }
        self.bytes += bytes.len() as u64;
        self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        if let Some(usage) = heard.usage {
            self.counts.update(usage);
        }
    }

    /// The usage at the end of an event that was too long to be read: it stands behind the output.
    fn counts_at_the_end(&mut self, tail: &[u8]) {
        let Some(at) = memmem::rfind(tail, b"\"usage\"") else { return };
        let value = tail[at + 7..].trim_ascii_start();
        let Some(value) = value.strip_prefix(b":").map(<[u8]>::trim_ascii_start) else { return };
        let mut values =
            serde_json::Deserializer::from_slice(value).into_iter::<&serde_json::value::RawValue>();
        if let (Dialect::OpenaiResponses, Some(Ok(usage))) = (self.dialect, values.next()) {
            self.counts.update(openai_chat::usage::parse(usage.get().as_bytes()));
            self.last = true;
        }
    }
}
