//! What a converted stream costs for each event, beside framing alone (what a pass-through's tap does at least):
//! `cargo run --release -p convert --example per_chunk`.

use std::time::Instant;

use convert::{Options, Plan};
use dialects::{Dialect, framing::sse::Framer};

const EVENTS: usize = 200_000;

fn request(from: Dialect) -> &'static [u8] {
    match from {
        Dialect::AnthropicMessages => br#"{"max_tokens":1,"messages":[{"role":"user","content":"a"}]}"#,
        Dialect::OpenaiChat => br#"{"messages":[{"role":"user","content":"a"}]}"#,
        Dialect::OpenaiResponses => br#"{"input":"a"}"#,
        Dialect::Gemini => br#"{"contents":[{"parts":[{"text":"a"}]}]}"#,
    }
}

/// An event with a few words, as each dialect streams it.
fn event(upstream: Dialect) -> &'static str {
    match upstream {
        Dialect::AnthropicMessages => {
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" some words\"}}\n\n"
        }
        Dialect::OpenaiChat => {
            "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" some words\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"
        }
        Dialect::OpenaiResponses => {
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":9,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\" some words\",\"logprobs\":[]}\n\n"
        }
        Dialect::Gemini => {
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" some words\"}],\"role\":\"model\"},\"index\":0}],\"modelVersion\":\"m\",\"responseId\":\"r\"}\n\n"
        }
    }
}

fn main() {
    for upstream in Dialect::ALL {
        let event = event(upstream).as_bytes();
        let (start, mut framer, mut seen) = (Instant::now(), Framer::new(1 << 20), 0_usize);
        for _ in 0..EVENTS {
            framer.push(event, |_| seen += 1);
        }
        let framing = start.elapsed().as_nanos() as f64 / EVENTS as f64;
        assert_eq!(seen, EVENTS);
        for client in Dialect::ALL {
            let Some(plan) = Plan::new(client, upstream, Plan::operation(client)) else { continue };
            let options = Options { model: "m", request_id: "req_1", ..Options::default() };
            let Ok(converted) = plan.request(request(client), &options) else { continue };
            let (mut stream, mut out) = (converted.reply.stream(), Vec::with_capacity(4096));
            let start = Instant::now();
            for _ in 0..EVENTS {
                out.clear();
                stream.push(event, &mut out);
            }
            let each = start.elapsed().as_nanos() as f64 / EVENTS as f64;
            eprintln!("{upstream} -> {client}: {each:.0} ns an event ({framing:.0} ns to frame it)");
        }
    }
}
