//! A data-plane node: relays requests and reports usage.

pub mod access_log;
pub mod metrics;
pub mod ops;
pub mod pumps;
pub mod records;
