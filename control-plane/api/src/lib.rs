//! The admin API: gRPC services, permissions, REST transcoding, OpenAPI, docs, on one port.
//!
//! [`admin`] builds the service that a listener serves; [`bootstrap::ensure`] is called before. Who accepts connections
//! puts a [`Peer`] into each request's extensions.

mod admin;
mod auth;
pub mod bootstrap;
mod client;
mod contract;
mod convert;
mod guard;
mod openapi;
mod page;
mod probe;
mod records;
mod rest;
mod routes;
mod services;

pub use admin::{Admin, Deps, Options, admin};
pub use auth::with_kinds;
pub use client::{Network, Peer};
pub use probe::Prober;
pub use rest::bindings::BindingError;

#[cfg(test)]
mod testing;
