//! A data-plane node: relays requests and reports usage.
