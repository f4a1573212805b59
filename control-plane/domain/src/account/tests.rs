//! Tests of the account's words.
