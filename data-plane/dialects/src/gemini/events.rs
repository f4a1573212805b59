//! The parts of a streamed answer: each says the usage so far, the last one why the model stopped. Gemini CLI's own API
//! wraps each in an object of its own.

use memchr::memmem;

use super::{error, usage};
use crate::{fields::Fields, framing::sse::Message, heard::Heard, openai_chat::events::text};

const KEYS: &[&str] =
    &["error", "usageMetadata", "modelVersion", "response.usageMetadata", "response.modelVersion"];

/// Hears a part.
pub fn hear(message: &Message<'_>) -> Heard {
    message.data.as_deref().map_or_else(Heard::silence, part)
}

/// Hears a part that is the whole of `data`.
pub fn part(data: &[u8]) -> Heard {
    if data.trim_ascii().is_empty() {
        return Heard::silence();
    }
    let mut fields = Fields::new(KEYS);
    let _ = fields.push(data);
    let present = |key| fields.get(key).filter(|raw| *raw != b"null");
    if present("error").is_some() {
        return Heard::error(error::read(data));
    }
    let usage = present("usageMetadata").or(present("response.usageMetadata")).map(usage::parse);
    let ends = ends(data);
    Heard {
        usage_final: usage.is_some() && ends,
        usage,
        model: text(&fields, "modelVersion").or_else(|| text(&fields, "response.modelVersion")),
        ends,
        ..Heard::default()
    }
}

/// Whether it says why the model stopped, or that it never began. A key stands in no text, where its quotes would be
/// escaped, and no text that is just that word is followed by a colon.
fn ends(data: &[u8]) -> bool {
    [&b"\"finishReason\""[..], b"\"blockReason\""].iter().any(|key| {
        memmem::find_iter(data, key).any(|at| data[at + key.len()..].trim_ascii_start().starts_with(b":"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_say_usage_so_far_and_the_last_one_that_it_ends() {
        let first = part(br#"{"candidates":[{"content":{"parts":[{"text":"finishReason"},{"text":"\"finishReason\":"}]}}],"usageMetadata":{"promptTokenCount":5},"modelVersion":"m"}"#);
        assert!(!first.ends && !first.usage_final && first.usage.is_some());
        assert_eq!(first.model.as_deref(), Some("m"));
        let last = part(br#"{"response":{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2}},"traceId":"t"}"#);
        assert!(last.ends && last.usage_final);
        assert_eq!(last.usage.unwrap().output, Some(2));
        assert!(part(br#"{"promptFeedback":{"blockReason":"SAFETY"}}"#).ends);
        assert!(part(b" ").silent);
    }

    #[test]
    fn an_error_is_one() {
        let heard = part(br#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#);
        assert_eq!(heard.error.unwrap().error_type.as_deref(), Some("UNAVAILABLE"));
    }
}
