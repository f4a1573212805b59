//! A counter row as bytes: its expiry (8 bytes, big endian; the largest number: none), then per field the length of its
//! name (1 byte), the name, and the value (8 bytes).

use crate::{
    error::{Error, Result},
    kv::{Row, RowChange},
};

/// A row with its expiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) expires_at_ms: i64,
    pub(super) fields: Row,
}

impl Stored {
    /// An empty row.
    pub(super) fn new(change: &RowChange) -> Self {
        Self { expires_at_ms: change.expires_at_ms.unwrap_or(i64::MAX), fields: Row::new() }
    }

    /// Takes a change over.
    pub(super) fn take(&mut self, change: &RowChange) {
        for (field, amount) in &change.add {
            let value = self.fields.entry(field.clone()).or_default();
            *value = value.saturating_add(*amount);
        }
        for (field, least) in &change.raise {
            let value = self.fields.entry(field.clone()).or_insert(*least);
            *value = (*least).max(*value);
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.expires_at_ms.to_be_bytes().to_vec();
        for (field, value) in &self.fields {
            // Longer names are refused before anything is written.
            bytes.push(field.len() as u8);
            bytes.extend_from_slice(field.as_bytes());
            bytes.extend_from_slice(&value.to_be_bytes());
        }
        bytes
    }

    pub(super) fn decode(name: &str, bytes: &[u8]) -> Result<Self> {
        read(bytes).ok_or_else(|| Error::corrupt(format!("row {name}"), "it is cut off"))
    }
}

fn read(bytes: &[u8]) -> Option<Stored> {
    let (expiry, mut rest) = bytes.split_first_chunk()?;
    let mut fields = Row::new();
    while let Some((length, after)) = rest.split_first() {
        let (field, after) = after.split_at_checked(usize::from(*length))?;
        let (value, after) = after.split_first_chunk()?;
        fields.insert(std::str::from_utf8(field).ok()?.to_owned(), i64::from_be_bytes(*value));
        rest = after;
    }
    Some(Stored { expires_at_ms: i64::from_be_bytes(*expiry), fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_what_was_written_and_refuse_what_was_cut() {
        let fields = Row::from([("a".to_owned(), i64::MIN), ("tokens".to_owned(), 7)]);
        let row = Stored { expires_at_ms: 1_700_000_000_000, fields };
        let bytes = row.encode();
        assert_eq!(Stored::decode("r", &bytes).unwrap(), row);
        let whole = [8, 8 + 1 + 1 + 8, bytes.len()];
        for length in (0..bytes.len()).filter(|length| !whole.contains(length)) {
            assert!(Stored::decode("r", &bytes[..length]).is_err(), "{length}");
        }
        let fixture = include_bytes!("../../testdata/row.v1");
        assert_eq!(bytes, fixture);
    }
}
