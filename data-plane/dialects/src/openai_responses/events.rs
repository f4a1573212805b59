//! The events of a streamed response that the relay reads: those that hold the whole response so far (`response.created`
//! and the last one), and errors.

use crate::{
    error::Found,
    fields::Fields,
    framing::sse::Message,
    heard::Heard,
    openai_chat::{
        error::{self, chosen, word},
        events::text,
        usage,
    },
    usage::Counts,
};

const KEYS: &[&str] = &[
    "type",
    "code",
    "message",
    "error",
    "response.id",
    "response.model",
    "response.usage",
    "response.service_tier",
    "response.error",
];

/// Hears an event.
pub fn hear(message: &Message<'_>) -> Heard {
    let Some(data) = message.data.as_deref() else { return Heard::silence() };
    if data.trim_ascii() == b"[DONE]" {
        return Heard::silence();
    }
    let mut fields = Fields::new(KEYS);
    let _ = fields.push(data);
    let named = message.event.and_then(|name| std::str::from_utf8(name).ok());
    let kind = text(&fields, "type").or_else(|| named.map(str::to_owned)).unwrap_or_default();
    let present = |key| fields.get(key).filter(|raw| *raw != b"null");
    if matches!(kind.as_str(), "keepalive" | "ping" | "codex.rate_limits") {
        return Heard::silence();
    }
    let mut heard = Heard {
        answer_id: text(&fields, "response.id"),
        model: text(&fields, "response.model").filter(|model| !model.is_empty()),
        ..Heard::default()
    };
    match kind.as_str() {
        "response.completed" | "response.incomplete" | "response.done" => heard.ends = true,
        "response.failed" => heard.error = Some(failed(present("response.error"))),
        "error" => heard.error = Some(told(&fields, data)),
        _ if present("error").is_some() => heard.error = Some(error::read(data)),
        _ => {}
    }
    heard.usage = present("response.usage")
        .map(|raw| Counts { service_tier: text(&fields, "response.service_tier"), ..usage::parse(raw) });
    heard.usage_final = heard.usage.is_some() && (heard.ends || heard.error.is_some());
    heard
}

/// The error of a response that failed.
fn failed(raw: Option<&[u8]>) -> Found {
    let whole = raw.map(|raw| [b"{\"error\":", raw, b"}"].concat());
    let found = whole.map(|whole| error::read(&whole)).unwrap_or_default();
    Found { error_type: found.error_type.or_else(|| Some("server_error".into())), ..found }
}

/// The error of an `error` event: its fields stand in the event itself, or in an `error` within.
fn told(fields: &Fields, data: &[u8]) -> Found {
    if fields.get("error").is_some_and(|raw| raw.starts_with(b"{")) {
        return error::read(data);
    }
    let message = fields.get("message").and_then(word).map(crate::error::bounded);
    Found { error_type: chosen(None, fields.get("code").and_then(word)), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::sse;

    fn heard(event: &str) -> Heard {
        hear(&sse::read(event.as_bytes()))
    }

    #[test]
    fn the_last_event_says_all() {
        let last = heard(
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\
             \"model\":\"gpt-5.4\",\"output\":[{\"usage\":{\"input_tokens\":9}}],\"service_tier\":\"default\",\
             \"usage\":{\"input_tokens\":10,\"input_tokens_details\":{\"cached_tokens\":4},\"output_tokens\":3}}}\n\n",
        );
        assert!(last.ends && last.usage_final && last.error.is_none());
        assert_eq!((last.answer_id.as_deref(), last.model.as_deref()), (Some("resp_1"), Some("gpt-5.4")));
        let usage = last.usage.unwrap();
        assert_eq!((usage.input, usage.cache_read, usage.output), (Some(6), Some(4), Some(3)));
        assert_eq!(usage.service_tier.as_deref(), Some("default"));
    }

    #[test]
    fn the_first_event_says_who_answers() {
        let first = heard(
            "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"model\":\"m\",\"usage\":null,\"error\":null}}\n\n",
        );
        assert_eq!(first.answer_id.as_deref(), Some("resp_1"));
        assert!(!first.ends && !first.silent && first.error.is_none() && first.usage.is_none());
    }

    #[test]
    fn errors_of_three_forms() {
        let kind = |event| heard(event).error.unwrap().error_type;
        let failed = "data: {\"type\":\"response.failed\",\"response\":{\"id\":\"r\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}}}\n\n";
        assert_eq!(kind(failed).as_deref(), Some("rate_limit_exceeded"));
        let told = "event: error\ndata: {\"type\":\"error\",\"code\":\"server_is_overloaded\",\"message\":\"m\"}\n\n";
        assert_eq!(kind(told).as_deref(), Some("server_is_overloaded"));
        let within = "data: {\"type\":\"error\",\"error\":{\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}}\n\n";
        assert_eq!(kind(within).as_deref(), Some("rate_limit_exceeded"));
        let bare = "data: {\"type\":\"response.failed\",\"response\":{\"error\":null}}\n\n";
        assert_eq!(kind(bare).as_deref(), Some("server_error"));
    }

    #[test]
    fn silence_is_no_event() {
        for event in
            [": comment\n\n", "event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n", "data: [DONE]\n\n"]
        {
            assert!(heard(event).silent, "{event}");
        }
    }
}
