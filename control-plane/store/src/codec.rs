//! How values become bytes of the store and back: one version byte, then JSON. A fixture per version lies in
//! `testdata/`; a change of the format is a new version byte, and old ones stay readable.
//!
//! Which fields a record has is its own matter: new ones need a serde default.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Error, Result};

/// JSON follows.
pub(crate) const JSON: u8 = 1;
/// A sealed envelope follows (`seal`).
pub(crate) const SEALED: u8 = 2;
/// A link of the audit chain follows: 32 bytes of hash, then JSON (`audit`).
pub(crate) const AUDIT: u8 = 3;

/// Encodes a value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = vec![JSON];
    serde_json::to_writer(&mut bytes, value)
        .map_err(|why| Error::Invalid { why: format!("a value has no JSON form: {why}") })?;
    Ok(bytes)
}

/// Decodes a value; `what` names it in the error, which tells a position but nothing of the content.
pub(crate) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    match bytes.split_first() {
        Some((&JSON, body)) => serde_json::from_slice(body)
            .map_err(|why| Error::corrupt(what, format!("{:?} at column {}", why.classify(), why.column()))),
        Some((version, _)) => Err(Error::corrupt(what, format!("format {version} is of a later release"))),
        None => Err(Error::corrupt(what, "it is empty")),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        name: String,
        amount: i64,
        list: Vec<u8>,
    }

    fn sample() -> Sample {
        Sample { name: "käy \"one\"".into(), amount: i64::MIN, list: vec![0, 255] }
    }

    #[test]
    fn version_1_reads_and_writes_what_it_always_did() {
        let fixture = include_bytes!("../testdata/document.v1");
        assert_eq!(encode(&sample()).unwrap(), fixture);
        assert_eq!(decode::<Sample>("sample", fixture).unwrap(), sample());
    }

    #[test]
    fn errors_name_the_value_and_show_nothing_of_it() {
        let error = decode::<Sample>("key/7", b"\x01{\"name\":\"sk-secret\"").unwrap_err().to_string();
        assert!(error.contains("key/7") && !error.contains("secret"), "{error}");
        assert!(decode::<Sample>("key/7", b"\x09{}").is_err());
        assert!(decode::<Sample>("key/7", b"").is_err());
    }
}
