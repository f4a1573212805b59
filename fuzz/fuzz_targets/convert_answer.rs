//! Any bytes as an upstream's answer, whole and streamed, of any dialect for a client of any other: never a panic, and
//! no split of a stream changes what its client gets.
#![no_main]

use convert::{Options, Plan};
use dialects::Dialect;
use libfuzzer_sys::fuzz_target;

/// A small request of each dialect, with a tool that takes any text where the dialect has such.
fn request(from: Dialect) -> &'static [u8] {
    match from {
        Dialect::AnthropicMessages => br#"{"max_tokens":1,"messages":[{"role":"user","content":"a"}]}"#,
        Dialect::OpenaiChat => {
            br#"{"messages":[{"role":"user","content":"a"}],"stream_options":{"include_usage":true}}"#
        }
        Dialect::OpenaiResponses => br#"{"input":"a","tools":[{"type":"custom","name":"x"}]}"#,
        Dialect::Gemini => br#"{"contents":[{"parts":[{"text":"a"}]}]}"#,
    }
}

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (step, array, body) = (usize::from(input.0 % 29) + 1, input.1, input.2);
    for client in Dialect::ALL {
        for upstream in Dialect::ALL {
            let Some(plan) = Plan::new(client, upstream, Plan::operation(client)) else { continue };
            let options = Options { model: "m", request_id: "req_1", array, ..Options::default() };
            let reply = plan.request(request(client), &options).expect("it can be converted").reply;
            let (Ok(answer) | Err((_, answer))) = reply.answer(body);
            serde_json::from_slice::<serde_json::Value>(&answer).expect("an answer is JSON");
            let run = |step: usize| {
                let (mut stream, mut out) = (reply.clone().stream(), Vec::new());
                body.chunks(step).for_each(|piece| stream.push(piece, &mut out));
                (stream.finish(&mut out), out)
            };
            assert_eq!(run(step), run(body.len().max(1)), "a split changed the stream");
        }
    }
});
