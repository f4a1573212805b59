//! A session's identity can be told from any body and any header values without a panic, and is always the same.
#![no_main]

use dialects::{Dialect, client, peek, session};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &[u8], &[u8])| {
    let mut headers = http::HeaderMap::new();
    for name in ["x-claude-code-session-id", "session-id", "user-agent", "x-claude-code-agent-id"] {
        if let Ok(value) = http::HeaderValue::from_bytes(input.0) {
            headers.insert(name, value);
        }
    }
    if let Ok(text) = std::str::from_utf8(input.1) {
        let _ = session::session_of_user_id(text);
    }
    let body = peek::peek(Dialect::AnthropicMessages, input.2).unwrap_or_default();
    for headers in [&headers, &http::HeaderMap::new()] {
        let first = session::identify(Dialect::AnthropicMessages, headers, &body);
        assert_eq!(first, session::identify(Dialect::AnthropicMessages, headers, &body));
        let _ = client::kind(headers, Some(&body));
    }
});
