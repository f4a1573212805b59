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
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Other,
    Model,
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
    ("stream_options", Slot::Noted),
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
    ("store", Slot::Noted),
];
const GEMINI: Keys = &[("contents", Slot::Messages("contents")), ("tools", Slot::Tools)];

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
            (Self::Message, b"content") => Slot::Content,
            _ => Slot::Other,
        }
    }

    /// The place of a container in this slot of this place; `None`: nothing in it matters.
    pub(super) fn inner(self, slot: Slot, object: bool) -> Option<Self> {
        Some(match (self, slot, object) {
            (Self::Top, Slot::Metadata, true) => Self::Metadata,
            (Self::Top, Slot::System, false) => Self::System,
            (Self::Top, Slot::Messages(_), false) => Self::Messages,
            (Self::Top, Slot::Tools, false) => Self::Tools,
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
