//! The control plane's words and rules, without I/O.

mod record;

pub use record::Record;
