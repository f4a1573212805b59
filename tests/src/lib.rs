//! Cross-plane tests: a mock upstream that keeps its own ledger, a sandbox that starts real processes, fault tools, and
//! what the load generator shares with them. Nothing of the product imports this crate.
#![allow(
    clippy::disallowed_methods,
    reason = "a test bed reads its environment and the clock, and its tasks end with the test"
)]

pub mod faults;
pub mod load;
pub mod mock;
pub mod sandbox;
pub mod wire;
