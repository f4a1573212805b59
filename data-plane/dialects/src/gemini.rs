//! Google's generateContent: what of its paths, events, usage and errors the relay reads.

pub mod error;
pub mod events;
pub mod path;
pub mod usage;
