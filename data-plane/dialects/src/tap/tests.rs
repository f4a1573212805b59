use proptest::prelude::*;

use super::*;

const STREAM: &[u8] = include_bytes!("../../testdata/stream.sse");
const BROTLI: &[u8] = include_bytes!("../../testdata/stream.sse.br");

fn tapped(pieces: &[&[u8]]) -> Tapped {
    let mut tap = UsageTap::stream(Dialect::AnthropicMessages, None);
    for piece in pieces {
        tap.push(piece);
    }
    tap.finish()
}

fn whole(body: &str) -> Tapped {
    let mut tap = UsageTap::whole(Dialect::AnthropicMessages, None);
    for piece in body.as_bytes().chunks(13) {
        tap.push(piece);
    }
    tap.finish()
}

fn delta(usage: &str) -> String {
    format!("event: message_delta\ndata: {{\"type\":\"message_delta\",\"usage\":{usage}}}\n\n")
}

const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\
    \"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\n";
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

fn expected() -> TokenUsage {
    TokenUsage {
        input: 25,
        output: 15,
        cache_read: 1000,
        cache_write_5m: 100,
        cache_write_1h: 200,
        ..TokenUsage::default()
    }
}

#[test]
fn a_whole_stream() {
    let tapped = tapped(&[STREAM]);
    assert_eq!(tapped.usage, expected());
    assert_eq!(tapped.model.as_deref(), Some("claude-opus-5-5"));
    assert_eq!(tapped.service_tier.as_deref(), Some("standard"));
    assert!(tapped.complete && tapped.usage_final && !tapped.irregular && !tapped.undecodable);
    assert_eq!(tapped.error, None);
    assert_eq!(tapped.usage_or_estimate(), (expected(), false));
}

#[test]
fn every_split_says_the_same() {
    let all = tapped(&[STREAM]);
    for cut in 0..=STREAM.len() {
        assert_eq!(tapped(&[&STREAM[..cut], &STREAM[cut..]]), all, "cut at {cut}");
    }
    for size in [1, 2, 3, 50, 145, 1000] {
        assert_eq!(tapped(&STREAM.chunks(size).collect::<Vec<_>>()), all, "pieces of {size}");
    }
}

#[test]
fn other_spellings_say_the_same() {
    let text = std::str::from_utf8(STREAM).unwrap();
    let strip = |tapped: Tapped| Tapped { text_bytes: 0, ..tapped };
    let all = strip(tapped(&[STREAM]));
    for other in [
        text.replace('\n', "\r\n"),
        text.replace("\":", "\" : "),
        text.lines().filter(|line| !line.starts_with("event:")).map(|line| format!("{line}\n")).collect(),
        text.replace("data: ", "data:"),
        text.trim_end().to_owned(),
    ] {
        for size in [1, 37, usize::MAX] {
            assert_eq!(strip(tapped(&other.as_bytes().chunks(size).collect::<Vec<_>>())), all, "{other}");
        }
    }
}

#[test]
fn a_coded_stream_says_the_same() {
    let mut tap = UsageTap::stream(Dialect::AnthropicMessages, Some("br"));
    for piece in BROTLI.chunks(11) {
        tap.push(piece);
    }
    assert_eq!(tap.finish(), tapped(&[STREAM]));
    let mut tap = UsageTap::stream(Dialect::AnthropicMessages, Some("zstd"));
    tap.push(STREAM);
    let tapped = tap.finish();
    assert!(tapped.undecodable && !tapped.usage_final && !tapped.complete);
}

#[test]
fn usage_twice_counts_once_and_never_is_an_estimate() {
    let twice = [START, &delta("{\"output_tokens\":5}"), &delta("{\"output_tokens\":9}"), STOP].concat();
    assert_eq!(tapped(&[twice.as_bytes()]).usage.output, 9);
    let text = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
        \"delta\":{\"type\":\"text_delta\",\"text\":\"0123456789abcdef\"}}\n\n";
    let never = tapped(&[[START, &text.repeat(10), STOP].concat().as_bytes()]);
    assert!(never.complete && !never.usage_final);
    let never = tapped(&[[START, &text.repeat(10)].concat().as_bytes()]);
    let (usage, estimated) = never.usage_or_estimate();
    assert!(estimated && usage.input == 10);
    assert!((40..=60).contains(&usage.output), "160 bytes of text are about 40 tokens, not {}", usage.output);
}

#[test]
fn a_short_stream_that_breaks_off_is_not_estimated_at_nothing() {
    let text = |kind: &str, field: &str, text: &str| {
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
             {{\"type\":\"{kind}\",\"{field}\":\"{text}\"}}}}\n\n"
        )
    };
    let begun = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\"}}\n\n\
        event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":\
        {\"type\":\"text\",\"text\":\"\"}}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n";
    let estimate = |events: &[String]| {
        let stream = [begun, &events.concat()].concat();
        let (usage, estimated) = tapped(&[stream.as_bytes()]).usage_or_estimate();
        assert!(estimated, "{stream}");
        usage.output
    };
    assert_eq!(estimate(&[]), 0, "nothing was said yet");
    assert_eq!(estimate(&[text("text_delta", "text", "Hi")]), 1);
    assert_eq!(estimate(&[text("text_delta", "text", "a"), text("text_delta", "text", "b")]), 2);
    assert_eq!(estimate(&[text("thinking_delta", "thinking", "sixteen bytes ..")]), 4);
    assert_eq!(estimate(&[text("input_json_delta", "partial_json", "{\\\"a\\\":1}")]), 2);
    let cut = text("text_delta", "text", "a sentence that breaks");
    assert!((4..=6).contains(&estimate(&[cut[..cut.len() - 8].to_owned()])));
    // Longer than what is kept of the end: within a quarter of the truth.
    let many: Vec<_> = (0..300).map(|_| text("text_delta", "text", "0123456789abcdef")).collect();
    assert!((900..=1500).contains(&estimate(&many)), "{}", estimate(&many));
}

#[test]
fn off_figures_are_flagged() {
    for usage in ["{\"output_tokens\":-4}", "{\"output_tokens\":\"4\"}", "{\"output_tokens\":0}"] {
        let tapped = tapped(&[[START, &delta(usage), STOP].concat().as_bytes()]);
        assert!(tapped.irregular && tapped.usage_final && tapped.usage_or_estimate().1, "{usage}");
    }
}

#[test]
fn a_stream_that_breaks_off_or_ends_in_an_error_is_not_whole() {
    let cut = tapped(&[&STREAM[..STREAM.len() - 30]]);
    assert!(!cut.complete && cut.usage_final);
    let error =
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}\n\n";
    let text = format!("data: {{\"type\":\"content_block_delta\",\"text\":\"{}\"}}\n\n", "x".repeat(300));
    let failed = tapped(&[START.as_bytes(), text.repeat(40).as_bytes(), error.as_bytes()]);
    assert!(!failed.complete);
    assert_eq!(failed.error.unwrap().error_type.as_deref(), Some("api_error"));
    assert_eq!(failed.usage.input, 10);
}

#[test]
fn a_huge_event_is_bounded_and_what_follows_is_read() {
    let huge = format!("data: {{\"type\":\"content_block_delta\",\"text\":\"{}", "y".repeat(100_000));
    let mut tap = UsageTap::stream(Dialect::AnthropicMessages, None);
    tap.push(START.as_bytes());
    for _ in 0..30 {
        tap.push(huge.as_bytes());
    }
    tap.push(b"\n\n");
    tap.push(delta("{\"output_tokens\":7}").as_bytes());
    tap.push(STOP.as_bytes());
    let tapped = tap.finish();
    assert!(tapped.complete);
    assert_eq!(tapped.usage.output, 7);
}

#[test]
fn an_answer_in_one_document() {
    let body = r#"{"id":"msg","type":"message","model":"claude-haiku-4-5","content":[{"type":"text",
        "text":"\"usage\":{\"output_tokens\":1}"},{"type":"tool_use","input":{"usage":{"output_tokens":2}}}],
        "usage":{"input_tokens":3,"output_tokens":4,"service_tier":"priority"}}"#;
    let tapped = whole(body);
    assert_eq!((tapped.usage.input, tapped.usage.output), (3, 4));
    assert!(tapped.complete && tapped.usage_final);
    assert_eq!(tapped.model.as_deref(), Some("claude-haiku-4-5"));
    assert_eq!(tapped.service_tier.as_deref(), Some("priority"));
    let cut = whole(&body[..body.len() - 1]);
    assert!(!cut.complete && cut.usage_final && cut.usage.output == 4);
    let failed = whole(r#"{"type":"error","error":{"type":"overloaded_error","message":"no"}}"#);
    assert_eq!(failed.error.unwrap().error_type.as_deref(), Some("overloaded_error"));
    assert!(!whole("<html>").complete);
    assert!(!whole(r#"{"usage":null}"#).usage_final);
}

#[test]
fn the_headers_tell_which_tap() {
    let of = |content_type: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", content_type.parse().unwrap());
        UsageTap::of(Dialect::AnthropicMessages, false, &headers).kind
    };
    assert!(matches!(of("Text/Event-Stream; charset=utf-8"), Kind::Stream(_)));
    assert!(matches!(of("application/json"), Kind::Whole(_)));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        pieces in proptest::collection::vec(prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..80),
            Just(START.as_bytes().to_vec()),
            Just(STOP.as_bytes().to_vec()),
            Just(b"data: {\"type\":\"message_delta\",\"usage\":".to_vec()),
            Just(b"\n".to_vec()),
        ], 0..12),
    ) {
        for coding in [None, Some("gzip"), Some("br"), Some("zstd")] {
            let mut stream = UsageTap::stream(Dialect::AnthropicMessages, coding);
            let mut whole = UsageTap::whole(Dialect::AnthropicMessages, coding);
            for piece in &pieces {
                stream.push(piece);
                whole.push(piece);
            }
            stream.finish();
            whole.finish();
        }
    }
}

#[test]
fn a_broken_character_does_not_cost_the_figures() {
    let mut broken = [START, &delta("{\"output_tokens\":8}"), STOP].concat().into_bytes();
    let at = memchr::memmem::find(&broken, b"\"usage\":{\"output_tokens\":8").unwrap();
    broken.splice(at..at, b"\"stop\":\"\xff\xfe\",".iter().copied());
    assert_eq!(tapped(&[&broken]).usage.output, 8);
}
