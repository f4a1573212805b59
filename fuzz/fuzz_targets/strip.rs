//! Taking the usage chunk out of a chat stream: a split changes nothing, and all else comes out as it went in, in order.
#![no_main]

use dialects::openai_chat::include_usage::Strip;
use libfuzzer_sys::fuzz_target;

fn through(body: &[u8], step: usize) -> Vec<u8> {
    let mut strip = Strip::default();
    let mut out: Vec<u8> = Vec::new();
    body.chunks(step.max(1)).for_each(|piece| out.extend_from_slice(&strip.push(piece.to_vec().into())));
    out.extend_from_slice(&strip.finish());
    out
}

fuzz_target!(|input: (u8, &[u8])| {
    let (step, body) = (usize::from(input.0 % 31) + 1, input.1);
    let (whole, parts) = (through(body, body.len()), through(body, step));
    assert_eq!(whole, parts, "a split changed what comes out");
    let mut rest = body.iter();
    assert!(whole.iter().all(|byte| rest.any(|other| other == byte)), "something came out that did not go in");
    if memchr::memmem::find(body, b"\"usage\"").is_none() {
        assert_eq!(whole, body);
    }
});
