//! Deterministic token counts: the same body always counts the same, and every kind of token comes up.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::ledger::Counted;

/// The body's digest.
pub fn digest(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

/// What a messages request counts, given how many tokens are put out.
pub fn messages(body: &[u8], digest: &[u8; 32], output: i64) -> Counted {
    let mut counted = Counted { input: input(body), output, ..Counted::default() };
    if memchr::memmem::find(body, b"\"cache_control\"").is_some() {
        counted.cache_read = i64::from(digest[1]) * 5;
        let written = 1 + i64::from(digest[2]) * 3;
        if memchr::memmem::find(body, b"\"1h\"").is_some() {
            counted.cache_write_1h = written;
        } else {
            counted.cache_write_5m = written;
        }
    }
    counted
}

/// What a request in another dialect counts: of a body that speaks of caching a part was cached, and of one that asks for
/// reasoning a part of the output is.
pub fn others(body: &[u8], digest: &[u8; 32], output: i64) -> Counted {
    let says = |word: &[u8]| memchr::memmem::find(body, word).is_some();
    let cached = says(b"prompt_cache_key") || says(b"cachedContent");
    let reasons = says(b"\"reasoning") || says(b"thinkingConfig");
    let reasoning = if reasons { 1 + i64::from(digest[4] % 20) } else { 0 };
    Counted {
        input: input(body),
        output: output + reasoning,
        cache_read: if cached { i64::from(digest[1]) * 5 } else { 0 },
        reasoning,
        ..Counted::default()
    }
}

/// Input tokens of a body: what `count_tokens` answers.
pub fn input(body: &[u8]) -> i64 {
    9 + body.len() as i64 / 4
}

/// The usage object of an answer.
pub fn usage(counted: &Counted) -> Value {
    serde_json::json!({
        "input_tokens": counted.input,
        "cache_creation_input_tokens": counted.cache_write_5m + counted.cache_write_1h,
        "cache_read_input_tokens": counted.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": counted.cache_write_5m,
            "ephemeral_1h_input_tokens": counted.cache_write_1h,
        },
        "output_tokens": counted.output,
        "service_tier": "standard",
    })
}
