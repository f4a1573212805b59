//! Anthropic's Messages API: what of its events, usage and errors the relay reads.

pub mod error;
pub mod events;
pub mod usage;
