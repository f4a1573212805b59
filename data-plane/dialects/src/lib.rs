//! Wire formats that clients speak: framing, peek, events, usage, errors. Sans I/O: bytes in, values out. It knows
//! no HTTP implementation, no account and no platform; the relay path, the platforms and converters call it.

pub mod anthropic;
pub mod client;
pub mod decode;
mod dialect;
pub mod error;
pub mod fields;
mod figure;
pub mod framing;
pub mod gate;
pub mod gemini;
pub mod heard;
pub mod json;
pub mod models;
pub mod openai_chat;
pub mod openai_responses;
pub mod peek;
pub mod session;
pub mod tap;
pub mod usage;

pub use dialect::{Dialect, Operation};
