//! What a relay must know of a request's body, found while the body arrives: one pass over the pieces, no join, no
//! document. The body itself is not changed and not kept here; texts of the conversation are at most digested (G13).
//!
//! It refuses what two readers could read differently: malformed JSON, a top-level key that comes twice (also when it
//! is written with escapes) or that differs from a known one in case only. The relay's `read` step calls it.

mod asking;
mod digests;
mod members;
mod place;
mod sink;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use members::{Member, Members};

use crate::{
    Dialect,
    json::{Malformed, Reader},
};

/// Why a body is refused. The text names fields of the API, never what the client wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeekError {
    /// The body is no JSON document.
    #[error("the request body is not valid JSON: {0}")]
    Malformed(#[from] Malformed),
    /// The document is not an object.
    #[error("the request body must be a JSON object")]
    NotAnObject,
    /// A key stands twice.
    #[error("{} stands twice in the request body (again at byte {at})", named(.key))]
    RepeatedKey {
        /// The key, where it is one that the API knows.
        key: Option<&'static str>,
        /// Where it stands again.
        at: usize,
    },
    /// A key differs from a known one in case only: readers disagree on what that means.
    #[error("`{key}` must be written exactly so (byte {at})")]
    AmbiguousKey {
        /// The known key.
        key: &'static str,
        /// Where the other spelling stands.
        at: usize,
    },
    /// A known field has a value of another type.
    #[error("`{field}` must be {expected} (byte {at})")]
    WrongType {
        /// The field.
        field: &'static str,
        /// What it must be, with its article.
        expected: &'static str,
        /// Where the value stands.
        at: usize,
    },
    /// A key or a known field is longer than any sensible one.
    #[error("{} is too long (byte {at})", named(.field))]
    TooLong {
        /// The field, where it is a known one.
        field: Option<&'static str>,
        /// Where it stands.
        at: usize,
    },
    /// There are more top-level keys than any API has.
    #[error("the request body has too many top-level keys")]
    TooManyKeys,
}

fn named(key: &Option<&'static str>) -> String {
    key.map_or_else(|| "a top-level key".to_owned(), |key| format!("`{key}`"))
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// `model`.
    pub model: Option<String>,
    /// Where `model`'s value stands in the whole body, its quotes included: what a mapping splices over.
    pub model_span: Option<Range<usize>>,
    /// Where the top-level members stand that a platform may have to take out or put others beside.
    pub members: Members,
    /// `stream`.
    pub stream: Option<bool>,
    /// The cap on output tokens (`max_tokens`, `max_completion_tokens`, `max_output_tokens`; the greater one).
    pub max_output: Option<u64>,
    /// `metadata.user_id` (Anthropic), `user` (OpenAI).
    pub user_id: Option<String>,
    /// `prompt_cache_key`.
    pub prompt_cache_key: Option<String>,
    /// A session that the body names beside the API: `session_id`, `conversation_id`.
    pub body_session: Option<String>,
    /// State that an upstream keeps and the request builds on: `previous_response_id`, `conversation`.
    pub kept_state: Option<KeptState>,
    /// `store`: whether the upstream is to keep the answer, so that a later request can build on it.
    pub store: Option<bool>,
    /// What makes a chat stream tell its usage, where the body does not ask for it.
    pub usage_splice: Option<Splice>,
    /// Whether `messages` (`input`, `contents`) is there, of the right type.
    pub has_messages: bool,
    /// How many elements it has; a text counts as one.
    pub messages: u32,
    /// Whether any tool is offered.
    pub has_tools: bool,
    /// What the conversation starts with, for a session identity where the client names none.
    pub anchors: Anchors,
    /// Bytes of all strings that are values, as written, encoded files (images, documents) left out.
    pub text_bytes: u64,
    /// How many encoded files there are.
    pub files: u32,
    /// Bytes of the whole body.
    pub bytes: u64,
}

/// State that an upstream keeps: which field names it, and its id.
pub type KeptState = (&'static str, String);

/// Bytes of the body that other bytes are to stand for.
pub type Splice = (Range<usize>, &'static str);

/// Digests (SHA-256) of how a conversation starts, version 1's evidence of last resort in its order. Texts are
/// digested as written, so a text written with other escapes is another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anchors {
    /// Parts of the system text marked for caching, with the first message's text if any message is so marked.
    pub cached: Option<[u8; 32]>,
    /// The whole system text.
    pub system: Option<[u8; 32]>,
    /// The text of the first message that has one.
    pub first_message: Option<[u8; 32]>,
}

impl Peek {
    /// A cheap estimate of the input in tokens: four bytes of text a token, 1,600 tokens an image or page.
    pub fn input_tokens(&self) -> u64 {
        self.text_bytes.div_ceil(4) + 1_600 * u64::from(self.files)
    }
}

/// The scanner. After an error it is of no use.
#[derive(Debug)]
pub struct Scanner {
    reader: Reader,
    sink: sink::PeekSink,
}

impl Scanner {
    /// A scanner for a body of this dialect.
    pub fn new(dialect: Dialect) -> Self {
        Self { reader: Reader::default(), sink: sink::PeekSink::new(dialect) }
    }

    /// Leaves [`Peek::anchors`] empty, which spares hashing. For requests whose headers already name their session.
    #[must_use]
    pub fn without_anchors(mut self) -> Self {
        self.sink.digests = false;
        self
    }

    /// Reads the body's next piece, of any length.
    ///
    /// # Errors
    /// As soon as the body is known to be bad.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), PeekError> {
        self.reader.push(piece, &mut self.sink)
    }

    /// The body ends here.
    ///
    /// # Errors
    /// When it ends too soon.
    pub fn finish(mut self) -> Result<Peek, PeekError> {
        self.reader.finish(&mut self.sink)?;
        let mut peek = self.sink.finish();
        peek.bytes = self.reader.offset() as u64;
        Ok(peek)
    }
}

/// Peeks into a body that is in one piece.
///
/// # Errors
/// When the body is bad.
pub fn peek(dialect: Dialect, body: &[u8]) -> Result<Peek, PeekError> {
    let mut scanner = Scanner::new(dialect);
    scanner.push(body)?;
    scanner.finish()
}
