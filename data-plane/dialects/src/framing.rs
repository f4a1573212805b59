//! How events are cut out of a stream of bytes, by kind of framing.

use crate::{Dialect, tap::is_event_stream};

pub mod aws_event_stream;
pub mod json_array;
pub mod sse;

/// How an answer's body is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// It is one document.
    Document,
    /// Server-sent events.
    Sse,
    /// A JSON array, element by element.
    JsonArray,
}

impl Framing {
    /// Of an answer with this content type. Gemini streams an array to those who ask for a stream without `alt=sse`.
    pub fn of(dialect: Dialect, streaming: bool, content_type: Option<&str>) -> Self {
        if is_event_stream(content_type) {
            Self::Sse
        } else if streaming && dialect == Dialect::Gemini && content_type.is_some_and(is_json) {
            Self::JsonArray
        } else {
            Self::Document
        }
    }

    /// Whether its parts come one after another, as they are made.
    pub const fn is_stream(self) -> bool {
        !matches!(self, Self::Document)
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// Either framer, told the same.
#[derive(Debug)]
pub(crate) enum Framer {
    Sse(sse::Framer),
    JsonArray(json_array::Framer),
}

impl Framer {
    pub(crate) fn new(framing: Framing, max: usize) -> Self {
        match framing {
            Framing::JsonArray => Self::JsonArray(json_array::Framer::new(max)),
            _ => Self::Sse(sse::Framer::new(max)),
        }
    }

    pub(crate) fn push(&mut self, piece: &[u8], tell: impl FnMut(sse::Event<'_>)) {
        match self {
            Self::Sse(framer) => framer.push(piece, tell),
            Self::JsonArray(framer) => framer.push(piece, tell),
        }
    }

    pub(crate) fn rest(&self) -> &[u8] {
        match self {
            Self::Sse(framer) => framer.rest(),
            Self::JsonArray(framer) => framer.rest(),
        }
    }

    /// What an event of this framing says.
    pub(crate) fn read<'a>(&self, event: &'a [u8]) -> sse::Message<'a> {
        match self {
            Self::Sse(_) => sse::read(event),
            Self::JsonArray(_) => sse::Message { event: None, data: Some(event.into()) },
        }
    }
}
