//! A whole node, against upstreams written by hand and clients that speak bytes. Its snapshot comes from disk and its
//! control plane is away: what these tests show holds without one. The processes together are the `e2e` crate's matter.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod affinity;
mod answer;
mod bad_input;
mod bed;
mod failover;
mod rules;
mod secrets;
mod serving;
mod streams;
