//! Answers in the neutral form: whole, and as the events of a stream.

use super::{Part, Seal, Text};

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer<'a> {
    /// The upstream's id of it.
    pub id: Text<'a>,
    /// The model that served.
    pub model: Text<'a>,
    /// Texts, thoughts and calls.
    pub parts: Vec<Part<'a>>,
    /// Why it ended.
    pub stop: Stop<'a>,
    /// What it used.
    pub usage: Usage,
}

/// Why an answer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stop<'a> {
    /// The model was done.
    #[default]
    End,
    /// The limit on tokens.
    MaxTokens,
    /// It waits for tools.
    ToolUse,
    /// A text that ends answers, where it is told which.
    Sequence(Option<Text<'a>>),
    /// The model, or a filter, would not.
    Refusal,
}

/// Tokens. The parts of the input exclude each other; `reasoning` is part of `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input that was neither read from nor written to a cache.
    pub input: u64,
    /// Input read from a cache.
    pub cache_read: u64,
    /// Input written to a cache.
    pub cache_write: u64,
    /// Of `cache_write`, what was written for an hour.
    pub cache_write_long: u64,
    /// All output.
    pub output: u64,
    /// Of the output, thoughts.
    pub reasoning: u64,
}

impl Usage {
    /// All input.
    pub fn prompt(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }

    /// All tokens.
    pub fn total(&self) -> u64 {
        self.prompt().saturating_add(self.output)
    }
}

/// An answer that is none: the upstream failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault<'a> {
    /// The upstream's word for the failure.
    pub kind: Text<'a>,
    /// For people.
    pub message: Text<'a>,
}

/// What happens in a streamed answer, in order: `Start`, then blocks one after the other (a text, a thought, a call),
/// then `Usage` and `Finish`, then `End`. Blocks open by themselves, but for calls; a block ends where another begins,
/// or at `BlockEnd`.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// The answer begins. Comes once.
    Start {
        /// The upstream's id of it.
        id: Text<'a>,
        /// The model that serves.
        model: Text<'a>,
    },
    /// More text.
    Text(Text<'a>),
    /// More of a thought.
    Thinking(Text<'a>),
    /// The seal of the thought that is open, or of an empty one.
    Seal(Seal<'a>),
    /// A call begins.
    Call {
        /// Its id; empty where the dialect has none.
        id: Text<'a>,
        /// The tool.
        name: Text<'a>,
        /// The name space that the client knows it in.
        namespace: Option<Text<'a>>,
        /// Whether it is of a tool that takes any text.
        is_custom: bool,
    },
    /// More of the open call's arguments.
    Arguments(Text<'a>),
    /// The open block ends.
    BlockEnd,
    /// Usage as far as it is known; the last one counts.
    Usage(Usage),
    /// Why the answer ended.
    Finish(Stop<'a>),
    /// Nothing more comes.
    End,
    /// The upstream failed within its answer. Nothing more comes.
    Error(Fault<'a>),
}
