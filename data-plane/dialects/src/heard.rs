//! What an event of a streamed answer says beside its text, whatever its dialect: the little that gate and tap ask for.

use crate::{
    Dialect,
    anthropic::events::{self, Event},
    error::Found,
    framing::sse::Message,
    gemini, openai_chat, openai_responses,
    usage::Counts,
};

/// What an event says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// It is a comment, a ping, or a mark at the end: no part of an answer.
    pub silent: bool,
    /// Usage so far.
    pub usage: Option<Counts>,
    /// Whether that usage is the final one, as far as the dialect lets us know.
    pub usage_final: bool,
    /// The model that serves.
    pub model: Option<String>,
    /// The answer's id, by which a later request may name it.
    pub answer_id: Option<String>,
    /// Whether the answer is whole with this event.
    pub ends: bool,
    /// It is an error.
    pub error: Option<Found>,
}

impl Heard {
    /// Nothing that a client is told of.
    pub(crate) fn silence() -> Self {
        Self { silent: true, ..Self::default() }
    }

    pub(crate) fn error(found: Found) -> Self {
        Self { error: Some(found), ..Self::default() }
    }
}

/// Hears an event of a dialect.
pub fn hear(dialect: Dialect, message: &Message<'_>) -> Heard {
    match dialect {
        Dialect::AnthropicMessages => anthropic(events::read(message)),
        Dialect::OpenaiChat => openai_chat::events::hear(message),
        Dialect::OpenaiResponses => openai_responses::events::hear(message),
        Dialect::Gemini => gemini::events::hear(message),
    }
}

fn anthropic(event: Event) -> Heard {
    match event {
        Event::Nothing | Event::Ping => Heard::silence(),
        Event::Error(found) => Heard::error(found),
        Event::Start { model, usage } => Heard { model, usage, ..Heard::default() },
        Event::Delta { usage } => Heard {
            usage_final: usage.as_ref().is_some_and(|usage| usage.output.is_some()),
            usage,
            ..Heard::default()
        },
        Event::Stop => Heard { ends: true, ..Heard::default() },
        Event::Other => Heard::default(),
    }
}
