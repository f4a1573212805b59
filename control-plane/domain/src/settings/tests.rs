//! Tests of the settings's words.
