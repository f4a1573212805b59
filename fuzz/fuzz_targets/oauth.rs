//! Answers of token endpoints and profiles, and what people paste as a code, may be any bytes.
#![no_main]

use std::collections::BTreeMap;

use http::StatusCode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let status = StatusCode::from_u16(100 + input.0 % 500).unwrap_or(StatusCode::OK);
    for platform in platforms::registry::all() {
        if let Some(grants) = platform.grants() {
            if let Ok(tokens) = grants.read(status, input.1, 1_790_000_000_000) {
                assert!(status.is_success() && tokens.issued.contains_key("access_token"));
            }
            let _ = grants.learn(&BTreeMap::new(), status, input.1);
        }
        let _ = platform.seen(status, &http::HeaderMap::new(), input.1, 0);
    }
    if let Ok(code) = platforms::oauth::code(&String::from_utf8_lossy(input.1), "state") {
        assert!(code.bytes().all(|byte| byte.is_ascii_graphic()));
    }
});
