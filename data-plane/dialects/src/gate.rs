//! The first-event gate (distribution, rule 19): until the first event is known, a failure can still go to another
//! account. It judges; the pieces stay with the caller, who passes them on untouched once it says so.

use crate::{
    Dialect,
    decode::Decoder,
    framing::{Framer, Framing, sse},
    heard,
};

#[cfg(test)]
mod tests;

/// No more than this is held back, as it came or decoded.
pub const MAX_HELD: usize = 64 * 1024;

/// What to do with the pieces so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Keep them: only comments and pings have come, or part of an event.
    Hold,
    /// Pass them on, and all that follow. Nothing more needs to be asked.
    Release,
    /// The first event is an error: the attempt failed.
    Error {
        /// Its type; `error` where it names none.
        error_type: String,
        /// Its message.
        message: String,
    },
    /// The stream ended without an event: the attempt failed.
    Empty,
}

/// Judges the beginning of one answer's stream.
#[derive(Debug)]
pub struct FirstEvent {
    dialect: Dialect,
    decoder: Decoder,
    framer: Framer,
    held: usize,
    decoded: usize,
    judged: Option<Gate>,
}

impl FirstEvent {
    /// A gate for a stream of this dialect and framing with this `content-encoding`.
    pub fn new(dialect: Dialect, framing: Framing, content_encoding: Option<&str>) -> Self {
        let (decoder, framer) = (Decoder::new(content_encoding), Framer::new(framing, MAX_HELD));
        Self { dialect, decoder, framer, held: 0, decoded: 0, judged: None }
    }

    /// Judges with the next piece. After the first answer but [`Gate::Hold`], that answer stands.
    pub fn push(&mut self, piece: &[u8]) -> Gate {
        if let Some(judged) = &self.judged {
            return judged.clone();
        }
        self.held += piece.len();
        let (dialect, framer) = (self.dialect, &mut self.framer);
        let (decoded, judged) = (&mut self.decoded, &mut self.judged);
        let readable = self.decoder.push(piece, |bytes| {
            *decoded += bytes.len();
            let is_sse = matches!(framer, Framer::Sse(_));
            framer.push(bytes, |event| {
                if judged.is_none() {
                    *judged = judge(dialect, is_sse, event);
                }
            });
        });
        // What cannot be read cannot be judged, and what is too long may not be held.
        if judged.is_none() && (readable.is_err() || self.held >= MAX_HELD || self.decoded >= MAX_HELD) {
            *judged = Some(Gate::Release);
        }
        judged.clone().unwrap_or(Gate::Hold)
    }

    /// The stream has ended.
    pub fn finish(self) -> Gate {
        self.judged.unwrap_or(Gate::Empty)
    }
}

fn judge(dialect: Dialect, is_sse: bool, event: sse::Event<'_>) -> Option<Gate> {
    let sse::Event::Whole(bytes) = event else { return Some(Gate::Release) };
    let message =
        if is_sse { sse::read(bytes) } else { sse::Message { event: None, data: Some(bytes.into()) } };
    let heard = heard::hear(dialect, &message);
    match heard.error {
        Some(found) => Some(Gate::Error {
            error_type: found.error_type.unwrap_or_else(|| "error".into()),
            message: found.message.unwrap_or_default(),
        }),
        None if heard.silent => None,
        None => Some(Gate::Release),
    }
}
