//! A data-plane node: relays requests and reports usage.

pub mod access_log;
pub mod app;
pub mod config;
pub mod metrics;
pub mod ops;
pub mod pumps;
pub mod records;
pub mod relay;
pub mod routes;
pub mod server;
