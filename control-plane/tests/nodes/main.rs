//! The node services as a node meets them: a real control plane over a real store, spoken to over real gRPC.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod bed;
mod feed;
mod guard;
mod keys;
mod leases;
mod requests;
mod usage;
