//! Nodes: registry, receipts, leases and reclaims, bindings, ingestion of usage.
