//! Wire formats that clients speak: framing, peek, events, usage, errors. Sans I/O: bytes in, values out. It knows
//! no HTTP implementation, no account and no platform; the relay path, the platforms and converters call it.

pub mod anthropic;
pub mod client;
pub mod decode;
mod dialect;
pub mod error;
pub mod fields;
pub mod framing;
pub mod gate;
pub mod json;
pub mod models;
pub mod peek;
pub mod session;
pub mod tap;

pub use dialect::{Dialect, Operation};
