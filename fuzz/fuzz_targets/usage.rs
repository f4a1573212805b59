//! The gate and the usage tap of every dialect take any bytes in any framing and encoding; a split changes nothing, and
//! counts are never negative.
#![no_main]

use dialects::{
    Dialect,
    framing::Framing,
    gate::FirstEvent,
    tap::{Tapped, UsageTap},
};
use libfuzzer_sys::fuzz_target;

fn tap(dialect: Dialect, framing: Framing, body: &[u8], step: usize, encoding: Option<&str>) -> Tapped {
    let mut tap = UsageTap::new(dialect, framing, encoding);
    body.chunks(step.max(1)).for_each(|piece| tap.push(piece));
    let _ = tap.boundary();
    tap.finish()
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (step, body) = (usize::from(input.0 % 23) + 1, input.2);
    let encoding = [None, Some("gzip"), Some("br"), Some("zstd"), Some("nonsense")][usize::from(input.1 % 5)];
    for dialect in Dialect::ALL {
        for framing in [Framing::Document, Framing::Sse, Framing::JsonArray] {
            let parts = tap(dialect, framing, body, step, encoding);
            let (usage, _) = parts.usage_or_estimate();
            let kinds = [usage.input, usage.output, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h];
            let within = [usage.reasoning, usage.audio_input, usage.audio_output, usage.image_input, usage.image_output];
            assert!(kinds.iter().chain(&within).all(|count| *count >= 0), "{usage:?}");
            if encoding.is_none() {
                let whole = tap(dialect, framing, body, body.len(), encoding);
                assert_eq!(format!("{:?}", whole.usage), format!("{:?}", parts.usage), "a split changed the usage");
            }
            let mut gate = FirstEvent::new(dialect, framing, encoding);
            body.chunks(step).for_each(|piece| drop(gate.push(piece)));
            let _ = gate.finish();
        }
    }
});
