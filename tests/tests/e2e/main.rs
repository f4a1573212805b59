//! End-to-end tests on real processes. A test that keeps a guarantee (architecture, section 2) has its number in its name.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: a panic is a failure, and clocks and tasks end with the test"
)]

mod bad_input;
mod bed;
mod books;
mod certificates;
mod configuration;
mod converted;
mod dialects;
mod g10_contract;
mod g11_explain;
mod g12_rolling;
mod g1_bytes;
mod g2_secrets;
mod g3_amounts;
mod g3_fleet;
mod g4_failover;
mod g4_kills;
mod g4_usage;
mod g5_outage;
mod g6_changes;
mod g7_failover;
mod g7_streams;
mod health;
mod leadership;
mod limits;
mod membership;
mod oauth;
mod partitions;
mod previous;
mod serving;
mod sessions;
mod store_trouble;
