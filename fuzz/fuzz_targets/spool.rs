//! The spool reads any bytes as a segment without a panic, and gives out nothing that stands in them no more than once.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let found = spool::inspect("0190b0a4-0000-4000-8000-000000000001", 1, bytes).expect("memory does not fail");
    let payloads = found.intents.values().map(Vec::len).sum::<usize>()
        + found.notes.iter().map(|(_, payload)| payload.len()).sum::<usize>()
        + found.outcomes.iter().map(|(record, _)| record.payload.len()).sum::<usize>();
    assert!(payloads <= bytes.len());
});
