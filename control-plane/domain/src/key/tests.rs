//! Tests of the key's words.
