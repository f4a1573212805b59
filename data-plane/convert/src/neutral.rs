//! ★ The one intermediate form. Each dialect has a reader into it and a writer out of it, so that four dialects need
//! eight halves and not twelve wholes. It says what the dialects have in common in the richest of their ways; what one
//! of them alone knows never gets in here and is declared a loss by its reader ([`crate::loss`]).

use dialects::Dialect;

mod answer;

pub use crate::json::{Json, Object, Text};
pub use answer::{Answer, Event, Fault, Stop, Usage};

/// A request for a conversation's next turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request<'a> {
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether a streamed answer is to tell its usage where the dialect leaves that to the client.
    pub stream_usage: bool,
    /// The conversation, instructions included, in order.
    pub turns: Vec<Turn<'a>>,
    /// Functions that the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Which of them it may or must call.
    pub choice: Option<Choice<'a>>,
    /// Whether it may call several at once; none: the dialect's default, which is yes everywhere.
    pub parallel: Option<bool>,
    /// No more tokens than this.
    pub max_output: Option<u64>,
    /// Sampling.
    pub sampling: Sampling,
    /// Texts that end the answer.
    pub stop: Vec<Text<'a>>,
    /// How to think; none: the model's default.
    pub reasoning: Option<Reasoning>,
    /// The form of the answer.
    pub format: Format<'a>,
    /// A name for the person on whose behalf it is asked.
    pub user: Option<Text<'a>>,
    /// What cached prefixes are to be told apart by.
    pub cache_key: Option<Text<'a>>,
    /// Tools that stand in a name space, by the flat names under which they are told.
    pub namespaces: Vec<Spaced<'a>>,
}

/// A tool that stands in a name space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spaced<'a> {
    /// Name space and name in one.
    pub flat: Text<'a>,
    /// The name space.
    pub space: Text<'a>,
    /// The name in it.
    pub name: Text<'a>,
}

/// Sampling parameters, as far as more than one dialect has them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sampling {
    /// Temperature.
    pub temperature: Option<f64>,
    /// Nucleus.
    pub top_p: Option<f64>,
    /// Number of candidates for a token.
    pub top_k: Option<u64>,
    /// Seed.
    pub seed: Option<i64>,
    /// Penalty by frequency.
    pub frequency_penalty: Option<f64>,
    /// Penalty by presence.
    pub presence_penalty: Option<f64>,
}

/// How much to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as possible.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// As much as possible.
    Max,
}

/// How to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// How much, in words. [`Effort::None`] switches it off.
    pub effort: Option<Effort>,
    /// How much, in tokens.
    pub budget: Option<u64>,
    /// Whether the model is to decide how much.
    pub adaptive: bool,
    /// Whether the thoughts, or a summary of them, are to be shown; none: the dialect's default.
    pub shown: Option<bool>,
}

/// The form of the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Format<'a> {
    /// Any text.
    #[default]
    Text,
    /// Some JSON object.
    Json,
    /// JSON of a schema.
    Schema {
        /// Its name.
        name: Option<Text<'a>>,
        /// What it is for.
        description: Option<Text<'a>>,
        /// JSON Schema.
        schema: Json<'a>,
        /// Whether the answer must follow it exactly.
        strict: Option<bool>,
    },
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whoever wrote the instructions.
    System,
    /// The user, and the tools that answer in the user's name.
    User,
    /// The model.
    Assistant,
}

/// One message, or a run of items by the same speaker.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn<'a> {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub pieces: Vec<Piece<'a>>,
}

/// A part of a turn, with its mark for the prompt cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece<'a> {
    /// The part.
    pub part: Part<'a>,
    /// Whether the prompt up to here is to be cached.
    pub cache: Option<Cache>,
}

/// How long a cached prompt is to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// The default: five minutes.
    Short,
    /// An hour.
    Long,
}

/// A part of a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Part<'a> {
    /// A text.
    Text(Text<'a>),
    /// An image, a document or a sound.
    Media(Media<'a>),
    /// What the model thought.
    Thinking(Thinking<'a>),
    /// A call of a tool.
    Call(Call<'a>),
    /// A tool's answer.
    Answer(ToolAnswer<'a>),
}

/// What kind of medium it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An image.
    Image,
    /// A document.
    Document,
    /// A sound.
    Audio,
}

/// An image, a document or a sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Media<'a> {
    /// What kind.
    pub kind: Kind,
    /// Its MIME type; empty: not told.
    pub mime: Text<'a>,
    /// Its bytes or where they are.
    pub source: Source<'a>,
    /// Its file name or title.
    pub name: Option<Text<'a>>,
}

/// Where a medium's bytes are.
#[derive(Clone, Debug, PartialEq)]
pub enum Source<'a> {
    /// Here, in base64.
    Base64(Text<'a>),
    /// Here, as text.
    Plain(Text<'a>),
    /// At an address.
    Url(Text<'a>),
}

/// What the model thought.
#[derive(Clone, Debug, PartialEq)]
pub struct Thinking<'a> {
    /// The thoughts, or a summary; may be empty.
    pub text: Text<'a>,
    /// What the provider needs to take its thoughts back.
    pub seal: Option<Seal<'a>>,
}

/// State of a provider that the client holds for it: a signature or encrypted thoughts. It means something to the
/// dialect that it came from, and nothing to any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal<'a> {
    /// Whose it is.
    pub origin: Dialect,
    /// For Anthropic a signature, for Responses encrypted content, for Gemini a thought signature.
    pub value: Text<'a>,
    /// For Responses the item's id, for Anthropic `redacted` where the thoughts themselves are encrypted; else empty.
    pub tag: Text<'a>,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Call<'a> {
    /// By which its answer names it; empty where the dialect has none.
    pub id: Text<'a>,
    /// The tool.
    pub name: Text<'a>,
    /// The name space that the client knows it in; in requests it is part of the name.
    pub namespace: Option<Text<'a>>,
    /// A JSON object, as text; where `is_custom`, any text.
    pub arguments: Text<'a>,
    /// Whether it is of a tool that takes any text.
    pub is_custom: bool,
}

/// A tool's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolAnswer<'a> {
    /// The call's id; empty where the dialect has none.
    pub id: Text<'a>,
    /// The tool, where it is told; else empty.
    pub name: Text<'a>,
    /// Texts and media.
    pub pieces: Vec<Piece<'a>>,
    /// Whether the tool failed.
    pub is_error: bool,
    /// Whether it answers a call of a tool that takes any text.
    pub is_custom: bool,
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool<'a> {
    /// Its name, as the upstream is to see it.
    pub name: Text<'a>,
    /// What it does.
    pub description: Option<Text<'a>>,
    /// JSON Schema of its arguments; none: none are told.
    pub schema: Option<Json<'a>>,
    /// Whether arguments must follow the schema exactly.
    pub strict: Option<bool>,
    /// Whether it takes any text; the grammar of that text, where one is told, ends its description.
    pub is_custom: bool,
    /// Whether the prompt up to here is to be cached.
    pub cache: Option<Cache>,
}

/// Which tools to call.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice<'a> {
    /// As the model likes.
    Auto,
    /// None.
    None,
    /// At least one.
    Any,
    /// This one.
    Tool(Text<'a>),
}

impl<'a> Part<'a> {
    /// The part as a piece without a cache mark.
    pub fn piece(self) -> Piece<'a> {
        Piece { part: self, cache: None }
    }
}

impl<'a> Turn<'a> {
    /// A turn of these.
    pub fn new(role: Role, pieces: Vec<Piece<'a>>) -> Self {
        Self { role, pieces }
    }

    /// A turn of one text.
    pub fn text(role: Role, text: Text<'a>) -> Self {
        Self { role, pieces: vec![Part::Text(text).piece()] }
    }
}
