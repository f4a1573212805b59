//! Wire formats that clients speak: framing, peek, events, usage, errors. Sans I/O: bytes in, values out. It knows
//! no HTTP implementation, no account and no platform; the relay path, the platforms and converters call it.

mod dialect;
pub mod json;
pub mod peek;

pub use dialect::{Dialect, Operation};
