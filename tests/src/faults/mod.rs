//! Fault tools: what can go wrong between two processes, and a witness of what passed.

mod proxy;
mod recorder;

pub use proxy::{Mode, Proxy};
pub use recorder::{Exchange, Recorder};
