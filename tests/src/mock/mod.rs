//! A mock upstream that speaks all four dialects exactly (Anthropic Messages, OpenAI Chat Completions with embeddings and
//! Responses, Gemini), misbehaves on command, and keeps its own ledger. Tests run it in their own process; the benchmark and people run the same thing as `mock-upstream`.

mod admin;
mod answer;
mod anthropic;
pub mod api;
pub mod compress;
mod count;
mod faults;
mod gemini;
mod ledger;
pub mod oauth;
mod openai_chat;
mod openai_responses;
pub mod scenario;
mod server;
mod writer;

#[cfg(test)]
mod tests;

pub use ledger::{Counted, Entry, Ledger};
pub use oauth::OauthMock;
pub use scenario::{Behaviour, Encoding, Fault, Registry, Scenario, UsageQuirk};
pub use server::{Mock, Options};

/// Unix microseconds.
pub fn now_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as i64)
}
