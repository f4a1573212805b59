//! Outbound calls of the control plane, through the one connector.
