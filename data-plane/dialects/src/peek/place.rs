//! The few places of a body that matter, as data: which key leads where.

use crate::Dialect;

/// A container that the scanner looks into. All others it skips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Top,
    Metadata,
    System,
    SystemPart,
    Messages,
    Message,
    Content,
    Block,
    CacheControl,
    Tools,
    /// Chat's `stream_options`.
    StreamOptions,
    /// Responses' `conversation`.
    Conversation,
    /// Gemini's `systemInstruction`,
    Instruction,
    /// its `generationConfig`,
    GenerationConfig,
    /// and the request within the body of Gemini CLI's own API.
    Request,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Other,
    Model,
    /// Gemini's, whose plain requests name the model in their path: there it is no name, or none that counts.
    BodyModel,
    Stream,
    MaxOutput(&'static str),
    CacheKey,
    Metadata,
    UserId(&'static str),
    System,
    Messages(&'static str),
    Tools,
    /// Of interest only by where it stands.
    Noted,
    Content,
    Text,
    Cache,
    CacheType,
    Element,
    Role,
    StreamOptions,
    IncludeUsage,
    BodySession,
    Previous(&'static str),
    Conversation,
    Store,
    Instruction,
    GenerationConfig,
    Request,
}

type Keys = &'static [(&'static str, Slot)];

const ANTHROPIC: Keys = &[
    ("model", Slot::Model),
    ("stream", Slot::Stream),
    ("max_tokens", Slot::MaxOutput("max_tokens")),
    ("metadata", Slot::Metadata),
    ("system", Slot::System),
    ("messages", Slot::Messages("messages")),
    ("tools", Slot::Tools),
    ("anthropic_version", Slot::Noted),
    ("anthropic_beta", Slot::Noted),
];
const CHAT: Keys = &[
    ("model", Slot::Model),
    ("stream", Slot::Stream),
    ("max_tokens", Slot::MaxOutput("max_tokens")),
    ("max_completion_tokens", Slot::MaxOutput("max_completion_tokens")),
    ("user", Slot::UserId("user")),
    ("prompt_cache_key", Slot::CacheKey),
    ("messages", Slot::Messages("messages")),
    ("tools", Slot::Tools),
    ("stream_options", Slot::StreamOptions),
    ("session_id", Slot::BodySession),
    ("conversation_id", Slot::BodySession),
];
const RESPONSES: Keys = &[
    ("model", Slot::Model),
    ("stream", Slot::Stream),
    ("max_output_tokens", Slot::MaxOutput("max_output_tokens")),
    ("user", Slot::UserId("user")),
    ("prompt_cache_key", Slot::CacheKey),
    ("instructions", Slot::System),
    ("input", Slot::Messages("input")),
    ("tools", Slot::Tools),
    ("session_id", Slot::BodySession),
    ("conversation_id", Slot::BodySession),
    ("previous_response_id", Slot::Previous("previous_response_id")),
    ("conversation", Slot::Conversation),
    ("store", Slot::Store),
];
/// Google's servers read both spellings.
const GEMINI: Keys = &[
    ("contents", Slot::Messages("contents")),
    ("tools", Slot::Tools),
    ("systemInstruction", Slot::Instruction),
    ("system_instruction", Slot::Instruction),
    ("generationConfig", Slot::GenerationConfig),
    ("generation_config", Slot::GenerationConfig),
    ("model", Slot::BodyModel),
    ("request", Slot::Request),
    ("session_id", Slot::BodySession),
];

/// The top-level keys that this dialect's scanner knows.
pub(super) const fn top(dialect: Dialect) -> Keys {
    match dialect {
        Dialect::AnthropicMessages => ANTHROPIC,
        Dialect::OpenaiChat => CHAT,
        Dialect::OpenaiResponses => RESPONSES,
        Dialect::Gemini => GEMINI,
    }
}

impl Place {
    /// What the value of this key is, in an object that is no top-level one.
    pub(super) fn slot(self, key: &[u8]) -> Slot {
        match (self, key) {
            (Self::Metadata, b"user_id") => Slot::UserId("metadata.user_id"),
            (Self::SystemPart | Self::Block, b"text") => Slot::Text,
            (Self::SystemPart | Self::Block, b"cache_control") => Slot::Cache,
            (Self::CacheControl, b"type") => Slot::CacheType,
            (Self::Message, b"content" | b"parts") => Slot::Content,
            (Self::Message, b"role") => Slot::Role,
            (Self::StreamOptions, b"include_usage") => Slot::IncludeUsage,
            (Self::Conversation, b"id") => Slot::Previous("conversation"),
            (Self::Instruction, b"parts") => Slot::System,
            (Self::GenerationConfig, b"maxOutputTokens" | b"max_output_tokens") => {
                Slot::MaxOutput("maxOutputTokens")
            }
            (Self::Request, key) => {
                let known = GEMINI.iter().find(|(name, _)| name.as_bytes() == key);
                let slot = known.map_or(Slot::Other, |(_, slot)| *slot);
                if matches!(slot, Slot::BodyModel | Slot::Request) { Slot::Other } else { slot }
            }
            _ => Slot::Other,
        }
    }

    /// The place of a container in this slot of this place; `None`: nothing in it matters.
    pub(super) fn inner(self, slot: Slot, object: bool) -> Option<Self> {
        Some(match (self, slot, object) {
            (Self::Top, Slot::Metadata, true) => Self::Metadata,
            (Self::Top | Self::Instruction, Slot::System, false) => Self::System,
            (Self::Top | Self::Request, Slot::Messages(_), false) => Self::Messages,
            (Self::Top | Self::Request, Slot::Tools, false) => Self::Tools,
            (Self::Top, Slot::StreamOptions, true) => Self::StreamOptions,
            (Self::Top, Slot::Conversation, true) => Self::Conversation,
            (Self::Top | Self::Request, Slot::Instruction, true) => Self::Instruction,
            (Self::Top | Self::Request, Slot::GenerationConfig, true) => Self::GenerationConfig,
            (Self::Top, Slot::Request, true) => Self::Request,
            (Self::System, Slot::Element, true) => Self::SystemPart,
            (Self::Messages, Slot::Element, true) => Self::Message,
            (Self::Message, Slot::Content, false) => Self::Content,
            (Self::Content, Slot::Element, true) => Self::Block,
            (Self::SystemPart | Self::Block, Slot::Cache, true) => Self::CacheControl,
            _ => return None,
        })
    }

    pub(super) const fn is_array(self) -> bool {
        matches!(self, Self::System | Self::Messages | Self::Content | Self::Tools)
    }
}
