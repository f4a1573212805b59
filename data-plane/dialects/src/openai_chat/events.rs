//! The chunks of a streamed chat completion that the relay reads: the one with usage, the last, and errors.

use memchr::memmem;

use super::{error, usage};
use crate::{anthropic::usage::Counts, fields::Fields, framing::sse::Message, heard::Heard};

/// What stands at a stream's end.
const DONE: &[u8] = b"[DONE]";

/// Hears a chunk.
pub fn hear(message: &Message<'_>) -> Heard {
    let Some(data) = message.data.as_deref() else { return Heard::silence() };
    if data.trim_ascii() == DONE {
        return Heard { silent: true, ends: true, ..Heard::default() };
    }
    let mut fields = Fields::new(&["error", "usage", "model", "service_tier"]);
    // A broken character in a text must not cost the figures beside it, and no reader of ours judges one.
    let _ = fields.push(data);
    let present = |key| fields.get(key).filter(|raw| *raw != b"null");
    let named_error = message.event == Some(b"error");
    if present("error").is_some() || named_error {
        return Heard::error(error::read(data));
    }
    let usage = present("usage")
        .map(|raw| Counts { service_tier: text(&fields, "service_tier"), ..usage::parse(raw) });
    Heard {
        usage_final: usage.is_some(),
        usage,
        model: text(&fields, "model").filter(|model| !model.is_empty()),
        ends: says_finish(data),
        ..Heard::default()
    }
}

/// Whether a chunk says why the model stopped: some servers leave `[DONE]` out. The key stands in no text, where its quotes
/// would be escaped.
fn says_finish(data: &[u8]) -> bool {
    const KEY: &[u8] = b"\"finish_reason\"";
    memmem::find_iter(data, KEY).any(|at| {
        let value = data[at + KEY.len()..].trim_ascii_start();
        value.strip_prefix(b":").is_some_and(|value| value.trim_ascii_start().starts_with(b"\""))
    })
}

pub(crate) fn text(fields: &Fields, key: &str) -> Option<String> {
    serde_json::from_slice(fields.get(key)?).ok()
}
