//! The events of a streamed answer that the relay reads: few, and only for what they say beside the text.

use serde::Deserialize;
use serde_json::Value;

use super::{
    error::{self, Found},
    usage::Counts,
};
use crate::framing::sse::Message;

/// What an event is, as far as the relay cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A comment, or nothing that a client is told of.
    Nothing,
    /// `ping`.
    Ping,
    /// `error`.
    Error(Found),
    /// `message_start`: the model, and the first usage.
    Start {
        /// The model that serves.
        model: Option<String>,
        /// Usage so far.
        usage: Option<Counts>,
    },
    /// `message_delta`: usage so far, in the end the final one.
    Delta {
        /// Usage so far.
        usage: Option<Counts>,
    },
    /// `message_stop`: the answer is whole.
    Stop,
    /// Any other.
    Other,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    message: Option<Value>,
    #[serde(default)]
    usage: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

/// Reads an event. The data's own `type` counts before the event's name: some gateways leave the name out.
pub fn read(message: &Message<'_>) -> Event {
    let Some(data) = message.data.as_deref() else { return Event::Nothing };
    let name = message.event.and_then(|name| std::str::from_utf8(name).ok());
    // A broken character in a text must not cost the figures beside it.
    let parsed = serde_json::from_slice::<Data>(data)
        .or_else(|_| serde_json::from_str(&String::from_utf8_lossy(data)));
    let Ok(parsed) = parsed else {
        // Private forms of errors need not be JSON; of all else, what is broken off says nothing.
        return if name == Some("error") { Event::Error(error::read(data)) } else { Event::Other };
    };
    match parsed.kind.as_deref().or(name) {
        Some("ping") => Event::Ping,
        Some("error") => Event::Error(error::read(data)),
        Some("message_start") => start(parsed.message.unwrap_or_default()),
        Some("message_delta") => Event::Delta { usage: parsed.usage.as_ref().map(Counts::read) },
        Some("message_stop") => Event::Stop,
        // An error in another dialect's form, or in none.
        _ if name == Some("error") || parsed.error.is_some_and(|error| !error.is_null()) => {
            Event::Error(error::read(data))
        }
        _ => Event::Other,
    }
}

fn start(message: Value) -> Event {
    let model = message.get("model").and_then(Value::as_str).map(str::to_owned);
    Event::Start { model, usage: message.get("usage").map(Counts::read) }
}
