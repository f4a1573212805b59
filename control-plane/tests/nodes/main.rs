//! The node services as a node meets them: a real control plane over a real store, spoken to over real gRPC.

mod bed;
mod feed;
mod guard;
mod keys;
mod leases;
mod usage;
