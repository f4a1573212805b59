//! Fault tools: what can go wrong between two processes, and a witness of what passed.

mod previous;
mod proxy;
mod recorder;

pub use previous::{Previous, pinned};
pub use proxy::{Mode, Proxy};
pub use recorder::{Exchange, Recorder};
