//! The gate and the usage tap take any bytes in any encoding; a split changes nothing, and counts are never negative.
#![no_main]

use dialects::{Dialect, gate::FirstEvent, tap::UsageTap};
use libfuzzer_sys::fuzz_target;

fn tap(body: &[u8], step: usize, encoding: Option<&str>, stream: bool) -> dialects::tap::Tapped {
    let dialect = Dialect::AnthropicMessages;
    let mut tap =
        if stream { UsageTap::stream(dialect, encoding) } else { UsageTap::whole(dialect, encoding) };
    body.chunks(step.max(1)).for_each(|piece| tap.push(piece));
    tap.finish()
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (step, body) = (usize::from(input.0 % 23) + 1, input.2);
    let encoding = [None, Some("gzip"), Some("br"), Some("zstd"), Some("nonsense")][usize::from(input.1 % 5)];
    for stream in [false, true] {
        let parts = tap(body, step, encoding, stream);
        let (usage, _) = parts.usage_or_estimate();
        for count in [usage.input, usage.output, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h] {
            assert!(count >= 0, "{usage:?}");
        }
        if encoding.is_none() {
            let whole = tap(body, body.len(), encoding, stream);
            assert_eq!(format!("{:?}", whole.usage), format!("{:?}", parts.usage), "a split changed the usage");
        }
    }
    let mut gate = FirstEvent::new(encoding);
    body.chunks(step).for_each(|piece| drop(gate.push(piece)));
    let _ = gate.finish();
});
