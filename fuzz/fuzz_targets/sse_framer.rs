//! The SSE framer takes any bytes and finds the same events at any split.
#![no_main]

use dialects::framing::sse::{Event, Framer};
use libfuzzer_sys::fuzz_target;

fn events(stream: &[u8], step: usize, max: usize) -> Vec<(bool, Vec<u8>)> {
    let (mut framer, mut found) = (Framer::new(max), Vec::new());
    for piece in stream.chunks(step) {
        framer.push(piece, |event| {
            found.push(match event {
                Event::Whole(bytes) => (true, bytes.to_vec()),
                // How much of an event that is too long was kept may follow the pieces; that it was too long may not.
                Event::Cut(_) => (false, Vec::new()),
            });
        });
    }
    found
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (step, max, stream) = (usize::from(input.0 % 31) + 1, 16 + usize::from(input.1), input.2);
    let whole = events(stream, stream.len().max(1), 1 << 20);
    assert_eq!(whole, events(stream, step, 1 << 20), "a split changed the events");
    assert_eq!(whole, events(stream, 1, 1 << 20), "single bytes changed the events");
    assert!(whole.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() <= stream.len());
    assert_eq!(events(stream, step, max).len(), events(stream, 1, max).len());
});
