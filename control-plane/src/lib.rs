//! A control-plane replica: stateless over one store. `crs-control` runs it alone, `crs` beside a node.

pub mod app;
pub mod config;
pub mod ops;

mod bootstrap;
mod condition;
mod connector;
mod history;
mod listen;
mod prober;

pub use app::{App, Error, Listening};
pub use connector::NodeConnector;
