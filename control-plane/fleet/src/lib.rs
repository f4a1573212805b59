//! Nodes, as the control plane sees them: registry, receipts, leases and reclaims, bindings, ingestion of usage,
//! verdicts on accounts. It implements the services of `crs.node.v1` over the store; it knows no admin API.

pub mod counters;
