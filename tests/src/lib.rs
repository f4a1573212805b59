//! Cross-plane tests: sandbox, mock upstream, faults, load.
