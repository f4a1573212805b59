//! How events are cut out of a stream of bytes, by kind of framing.

pub mod sse;
