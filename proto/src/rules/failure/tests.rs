//! One test per row.
