//! Peek takes any bytes, at any split alike, and never believes what a JSON parser would not.
#![no_main]

use dialects::{Dialect, peek};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (step, body) = (usize::from(input.0 % 17) + 1, input.1);
    for dialect in Dialect::ALL {
        let whole = peek::peek(dialect, body);
        let mut scanner = peek::Scanner::new(dialect);
        let pushed = body.chunks(step).try_for_each(|piece| scanner.push(piece));
        let parts = pushed.and_then(|()| scanner.finish());
        assert_eq!(whole.is_ok(), parts.is_ok(), "a split changed the verdict");
        let (Ok(whole), Ok(parts)) = (whole, parts) else { continue };
        assert_eq!(whole, parts, "a split changed what was found");
        if std::str::from_utf8(body).is_err() {
            // Strings that peek has no use for are passed on unread, whatever their bytes: the upstream's to judge.
            continue;
        }
        // serde_json gives up at a depth of 128, at numbers that no double holds and at halves of surrogate pairs, which the
        // grammar allows: no verdict on the text.
        match serde_json::from_slice::<serde_json::Value>(body) {
            Ok(value) => assert_eq!(whole.model.as_deref(), value["model"].as_str()),
            Err(error) => {
                let told = error.to_string();
                let half = body.windows(3).any(|at| at.eq_ignore_ascii_case(b"\\ud"))
                    && (told.contains("hex escape") || told.contains("surrogate"));
                let given_up = half || told.contains("recursion") || told.contains("number out of range");
                assert!(given_up, "taken, but no JSON: {told}");
            }
        }
        if let Some((span, with)) = &whole.usage_splice {
            let spliced = [&body[..span.start], with.as_bytes(), &body[span.end..]].concat();
            if let Ok(value) = serde_json::from_slice::<serde_json::Value>(&spliced) {
                let asked = &value["stream_options"]["include_usage"];
                assert!(*asked == true, "{asked}");
            }
        }
        if let (Some(model), Some(span)) = (whole.model, whole.model_span) {
            let spliced: String = serde_json::from_slice(&body[span]).expect("the span is the model's JSON string");
            assert_eq!(spliced, model);
        }
    }
});
