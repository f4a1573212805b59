//! Server-sent events (WHATWG HTML, section 9.2): where they end, and what one says. Finding ends is all that a relay
//! needs, since it passes bytes on as they came; reading one is for the few that matter.

use std::borrow::Cow;

use memchr::memchr2;

#[cfg(test)]
mod tests;

/// U+FEFF, which a stream may start with.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Finds the ends of events in a stream that comes in pieces of any size. Lines end in LF, CR or CRLF, mixed as they
/// like; an event ends at an empty line.
#[derive(Debug)]
pub struct Framer {
    /// Bytes of the event that no piece held whole.
    open: Vec<u8>,
    max: usize,
    /// The current line has no byte yet.
    line_empty: bool,
    /// The current event has no byte yet.
    event_empty: bool,
    /// The last byte was CR: an LF now belongs to it.
    after_cr: bool,
    /// The event is longer than `max`; it is told as cut and its rest dropped.
    cut: bool,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Its bytes, the empty line included.
    Whole(&'a [u8]),
    /// It was longer than allowed: its beginning.
    Cut(&'a [u8]),
}

impl Framer {
    /// A framer that keeps at most so many bytes of an event.
    pub fn new(max: usize) -> Self {
        Self { open: Vec::new(), max, line_empty: true, event_empty: true, after_cr: false, cut: false }
    }

    /// Reads the next piece and tells each event that ends in it, in order; without copying where the piece holds it
    /// whole. Empty lines between events are told as part of none.
    pub fn push(&mut self, piece: &[u8], mut tell: impl FnMut(Event<'_>)) {
        let mut start = 0;
        let mut at = 0;
        while at < piece.len() {
            if self.after_cr {
                self.after_cr = false;
                if piece[at] == b'\n' {
                    at += 1;
                    if self.event_empty {
                        start = at;
                    }
                    continue;
                }
            }
            let Some(run) = memchr2(b'\n', b'\r', &piece[at..]) else {
                self.line_empty = false;
                self.event_empty = false;
                break;
            };
            self.after_cr = piece[at + run] == b'\r';
            at += run + 1;
            if run > 0 || !self.line_empty {
                self.line_empty = true;
                self.event_empty = false;
                continue;
            }
            if !self.event_empty {
                self.told(&piece[start..at], &mut tell);
            }
            start = at;
        }
        self.keep(&piece[start.min(piece.len())..]);
    }

    /// Whether no event has begun: the next byte is the first of one, or of the empty lines before it.
    pub fn is_between(&self) -> bool {
        self.event_empty && self.line_empty && !self.after_cr && !self.cut
    }

    /// The bytes of the event that has not ended yet.
    pub fn rest(&self) -> &[u8] {
        &self.open
    }

    fn told(&mut self, end: &[u8], tell: &mut impl FnMut(Event<'_>)) {
        self.event_empty = true;
        if self.open.is_empty() && !self.cut && end.len() <= self.max {
            return tell(Event::Whole(end));
        }
        self.keep(end);
        tell(if self.cut { Event::Cut(&self.open) } else { Event::Whole(&self.open) });
        self.open.clear();
        // One huge event must not be paid for by the rest of the stream.
        self.open.shrink_to(16 * 1024);
        self.cut = false;
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.max - self.open.len();
        self.cut |= bytes.len() > room;
        self.open.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// What an event says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message<'a> {
    /// The `event` field; the last one counts.
    pub event: Option<&'a [u8]>,
    /// All `data` lines, joined by LF. `None`: there is none, so that nobody is told of the event.
    pub data: Option<Cow<'a, [u8]>>,
}

/// Reads an event's fields.
pub fn read(event: &[u8]) -> Message<'_> {
    let mut rest = event.strip_prefix(MARK).unwrap_or(event);
    let mut message = Message::default();
    while !rest.is_empty() {
        let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        let colon = memchr::memchr(b':', line);
        let (name, value) = colon.map_or((line, &[][..]), |at| (&line[..at], &line[at + 1..]));
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"event" => message.event = Some(value),
            b"data" => {
                message.data = Some(match message.data.take() {
                    None => Cow::Borrowed(value),
                    Some(before) => {
                        let mut joined = before.into_owned();
                        joined.push(b'\n');
                        joined.extend_from_slice(value);
                        Cow::Owned(joined)
                    }
                });
            }
            _ => {}
        }
    }
    message
}
