//! Anthropic's `usage` object, read with tolerance: gateways before the API leave fields out, write null, numbers as
//! texts, or worse. What is off is counted as far as it makes sense and flagged, never refused.

use serde::Deserialize;
use serde_json::Value;

mod said;
#[cfg(test)]
mod tests;

pub use crate::usage::Counts;
use said::Said;

impl Counts {
    /// Reads a `usage` value; what is no object counts nothing and is irregular.
    pub fn read(usage: &Value) -> Self {
        Said::deserialize(usage).map_or_else(|_| Self::nothing(), |Said(counts)| counts)
    }

    /// Reads a `usage` value from its text.
    pub fn parse(usage: &[u8]) -> Self {
        serde_json::from_slice(usage).map_or_else(|_| Self::nothing(), |Said(counts)| counts)
    }
}
