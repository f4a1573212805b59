//! The typed Rust client of the admin API.
