//! The control plane's words and rules, without I/O.
