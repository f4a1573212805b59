//! Fault tools: what can go wrong between two processes, and to one.

mod proxy;

pub use proxy::{Mode, Proxy};
