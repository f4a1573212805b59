//! The tap on the streams of each dialect, cut at every byte.

use super::*;

fn tapped(dialect: Dialect, framing: Framing, pieces: &[&[u8]]) -> Tapped {
    let mut tap = UsageTap::new(dialect, framing, None);
    pieces.iter().for_each(|piece| tap.push(piece));
    tap.finish()
}

/// The same at any split; what it is.
fn split(dialect: Dialect, framing: Framing, body: &str) -> Tapped {
    let whole = tapped(dialect, framing, &[body.as_bytes()]);
    for cut in 0..=body.len() {
        let (first, second) = body.as_bytes().split_at(cut);
        assert_eq!(tapped(dialect, framing, &[first, second]), whole, "cut at {cut}");
    }
    let single: Vec<_> = body.as_bytes().chunks(1).collect();
    assert_eq!(tapped(dialect, framing, &single), whole);
    whole
}

const CHUNK: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-5.4\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\\"prompt_tokens\\\": hi\"},\"finish_reason\":null}],\"usage\":null}\n\n";
const LAST: &str = "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n";
const USAGE: &str = "data: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-5.4-2026\",\"choices\":[],\"service_tier\":\"default\",\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":9,\"total_tokens\":29,\"prompt_tokens_details\":{\"cached_tokens\":5}}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[test]
fn chat() {
    let (dialect, sse) = (Dialect::OpenaiChat, Framing::Sse);
    let all = split(dialect, sse, &format!("{CHUNK}{CHUNK}{LAST}{USAGE}{DONE}"));
    assert_eq!((all.usage.input, all.usage.cache_read, all.usage.output), (15, 5, 9));
    assert_eq!((all.model.as_deref(), all.service_tier.as_deref()), (Some("gpt-5.4-2026"), Some("default")));
    assert!(all.complete && all.usage_final && !all.irregular && all.error.is_none());
    let unmarked = split(dialect, sse, &format!("{CHUNK}{LAST}{USAGE}"));
    assert!(unmarked.complete, "some servers leave [DONE] out");
    let untold = split(dialect, sse, &format!("{}{LAST}{DONE}", CHUNK.repeat(10)));
    assert!(untold.complete && !untold.usage_final);
    let (usage, estimated) = untold.usage_or_estimate();
    assert!(estimated && (10..=60).contains(&usage.output), "{usage:?}");
    let cut = split(dialect, sse, &format!("{CHUNK}{CHUNK}"));
    assert!(!cut.complete && cut.error.is_none());
    let failed = split(
        dialect,
        sse,
        &format!("{CHUNK}data: {{\"error\":{{\"message\":\"m\",\"type\":\"server_error\"}}}}\n\n"),
    );
    assert_eq!(failed.error.unwrap().error_type.as_deref(), Some("server_error"));
}

fn response(kind: &str, more: &str) -> String {
    format!(
        "event: response.{kind}\ndata: {{\"type\":\"response.{kind}\",\"response\":{{\"id\":\"resp_1\",\"model\":\"gpt-5.4\",{more}}}}}\n\n"
    )
}

const DELTA: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"response.completed \\\"usage\\\":\"}\n\n";
const TOLD: &str = "\"usage\":{\"input_tokens\":20,\"input_tokens_details\":{\"cached_tokens\":5},\"output_tokens\":9},\"metadata\":{}";

#[test]
fn responses() {
    let (dialect, sse) = (Dialect::OpenaiResponses, Framing::Sse);
    let created = response("created", "\"usage\":null");
    for last in ["completed", "incomplete"] {
        let all = split(dialect, sse, &format!("{created}{DELTA}{DELTA}{}", response(last, TOLD)));
        assert_eq!((all.usage.input, all.usage.cache_read, all.usage.output), (15, 5, 9));
        assert_eq!((all.answer_id.as_deref(), all.model.as_deref()), (Some("resp_1"), Some("gpt-5.4")));
        assert!(all.complete && all.usage_final && all.error.is_none());
    }
    let error = "\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"m\"},\"usage\":null";
    let failed = split(dialect, sse, &format!("{created}{DELTA}{}", response("failed", error)));
    assert_eq!(failed.error.unwrap().error_type.as_deref(), Some("rate_limit_exceeded"));
    let cut = split(dialect, sse, &format!("{created}{DELTA}{DELTA}"));
    assert!(!cut.complete && !cut.usage_final && cut.answer_id.is_some());
}

#[test]
fn a_response_too_long_to_be_read_still_tells_its_usage() {
    let image = "A".repeat(3 << 20);
    let more = format!("\"output\":[{{\"result\":\"{image}\"}}],{TOLD}");
    let body = format!("{}{}", response("created", "\"usage\":null"), response("completed", &more));
    for size in [1000, 65_536, usize::MAX] {
        let pieces: Vec<_> = body.as_bytes().chunks(size).collect();
        let all = tapped(Dialect::OpenaiResponses, Framing::Sse, &pieces);
        assert!(all.complete && all.usage_final, "{size}");
        assert_eq!((all.usage.input, all.usage.output), (15, 9), "{size}");
    }
}

fn part(text: &str, more: &str) -> String {
    format!(
        "{{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{text}\"}}]}}{more}}}],\"usageMetadata\":{{\"promptTokenCount\":20,\"cachedContentTokenCount\":5,\"candidatesTokenCount\":{},\"thoughtsTokenCount\":2}},\"modelVersion\":\"gemini-2.5-pro\"}}",
        if more.is_empty() { 3 } else { 7 }
    )
}

#[test]
fn gemini_in_both_framings() {
    let (first, last) = (part("hi", ""), part("ho", ",\"finishReason\":\"STOP\""));
    let sse = format!("data: {first}\r\n\r\ndata: {last}\r\n\r\n");
    let array = format!("[{first}\n,\r\n{last}\n]\n");
    for (framing, body) in [(Framing::Sse, &sse), (Framing::JsonArray, &array)] {
        let all = split(Dialect::Gemini, framing, body);
        assert_eq!((all.usage.input, all.usage.cache_read, all.usage.output), (15, 5, 9), "{framing:?}");
        assert_eq!((all.usage.reasoning, all.model.as_deref()), (2, Some("gemini-2.5-pro")));
        assert!(all.complete && all.usage_final && !all.irregular, "{framing:?}");
    }
    let cut = split(Dialect::Gemini, Framing::Sse, &format!("data: {first}\r\n\r\n"));
    assert!(!cut.complete && !cut.usage_final);
    assert_eq!(cut.usage_or_estimate().0.output, 5, "what it said last, since nothing came after");
    let error = "{\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}";
    let failed = split(Dialect::Gemini, Framing::JsonArray, &format!("[{first}\n,{error}\n]"));
    assert_eq!(failed.error.unwrap().error_type.as_deref(), Some("UNAVAILABLE"));
}

#[test]
fn whole_answers_of_every_dialect() {
    let whole = |dialect, body: &str| split(dialect, Framing::Document, body);
    let chat = whole(
        Dialect::OpenaiChat,
        r#"{"id":"c","model":"gpt-5.4","choices":[{"usage":1}],"usage":{"prompt_tokens":7,"completion_tokens":3},"service_tier":"flex"}"#,
    );
    assert_eq!((chat.usage.input, chat.usage.output, chat.service_tier.as_deref()), (7, 3, Some("flex")));
    assert!(chat.complete && chat.usage_final);
    let embeddings = whole(
        Dialect::OpenaiChat,
        r#"{"object":"list","data":[{"embedding":[0.1,-2e-3]}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}"#,
    );
    assert_eq!((embeddings.usage.input, embeddings.usage_or_estimate().1), (8, false));
    let response = whole(
        Dialect::OpenaiResponses,
        r#"{"id":"resp_2","error":null,"model":"m","output":[],"usage":{"input_tokens":4,"output_tokens":2}}"#,
    );
    assert_eq!((response.answer_id.as_deref(), response.usage.output), (Some("resp_2"), 2));
    assert!(response.error.is_none() && response.usage_final);
    let gemini = whole(Dialect::Gemini, &part("hi", ",\"finishReason\":\"STOP\""));
    assert_eq!((gemini.usage.input, gemini.usage.output, gemini.complete), (15, 9, true));
    let wrapped = whole(Dialect::Gemini, &format!("{{\"response\":{},\"traceId\":\"t\"}}", part("hi", "")));
    assert_eq!((wrapped.usage.input, wrapped.model.as_deref()), (15, Some("gemini-2.5-pro")));
}

#[test]
fn where_an_event_may_follow() {
    let boundary = |dialect, framing, body: &str| {
        let mut tap = UsageTap::new(dialect, framing, None);
        tap.push(body.as_bytes());
        tap.boundary()
    };
    let (gemini, chat) = (Dialect::Gemini, Dialect::OpenaiChat);
    assert_eq!(boundary(gemini, Framing::JsonArray, "["), Boundary::Start);
    assert_eq!(boundary(gemini, Framing::JsonArray, "[{}\n"), Boundary::Between);
    assert_eq!(boundary(gemini, Framing::JsonArray, "[{},{"), Boundary::Within);
    assert_eq!(boundary(chat, Framing::Sse, CHUNK), Boundary::Between);
    assert_eq!(boundary(chat, Framing::Sse, "data: {"), Boundary::Within);
}
