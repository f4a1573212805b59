//! The AWS event-stream framer takes any bytes, finds the same messages at any split, and reads back what is written.
#![no_main]

use dialects::framing::aws_event_stream::{Framer, Malformed, encode};
use libfuzzer_sys::fuzz_target;

fn messages(stream: &[u8], step: usize) -> (Vec<Vec<u8>>, Result<(), Malformed>) {
    let (mut framer, mut found) = (Framer::default(), Vec::new());
    for piece in stream.chunks(step) {
        let read = framer.push(piece, |message| {
            let _ = message.text(":event-type");
            found.push(message.payload.to_vec());
        });
        if read.is_err() {
            return (found, read);
        }
    }
    let end = framer.finish();
    (found, end)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (step, stream) = (usize::from(input.0 % 31) + 1, input.1);
    assert_eq!(messages(stream, stream.len().max(1)).0, messages(stream, step).0, "a split changed the messages");
    let written = encode(&[(":event-type", "chunk")], stream);
    assert_eq!(messages(&written, step), (vec![stream.to_vec()], Ok(())));
});
