//! A control-plane replica.
