//! The admin API: gRPC services, permissions, REST transcoding, OpenAPI, docs, on one port.
//!
//! [`admin`] builds the service that a listener serves; [`bootstrap::ensure`] is called before. Who accepts connections
//! puts a [`Peer`] into each request's extensions.

mod auth;
pub mod bootstrap;
mod client;
mod contract;
mod convert;
mod guard;
mod page;
mod probe;
mod records;
mod rest;
mod services;

pub use auth::with_kinds;
pub use client::{Network, Peer};
pub use probe::Prober;
