//! OpenAI's Chat Completions, and embeddings beside it: what of their events, usage and errors the relay reads, and the one
//! rewrite that it makes ([`include_usage`]).

pub mod error;
pub mod events;
pub mod include_usage;
pub mod usage;
