//! Several nodes against the store half.
