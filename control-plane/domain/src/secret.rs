//! Secrets: how they are made, stored, compared and masked.
//!
//! A secret in a record is a [`SecretString`], which cannot be serialised by accident; a record says field by field that
//! it is to be stored, with `#[serde(with = "crate::secret::stored")]`, and is then sealed by the store. Used by every
//! record of this crate and by the API.

use std::fmt::Write as _;

use proto::rules::key_hash::Digest;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What stands for a secret wherever people look.
pub const MASK: &str = "***";
/// Prefix of generated relay keys.
pub const KEY_PREFIX: &str = "cr_";

/// The system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no randomness")]
pub struct NoRandomness;

/// `N` random bytes.
///
/// # Errors
/// When the system gives none.
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// A new relay key: the prefix and 64 hex digits (256 bits).
///
/// # Errors
/// When the system gives no randomness.
pub fn relay_key() -> Result<SecretString, NoRandomness> {
    Ok(format!("{KEY_PREFIX}{}", hex::encode(random::<32>()?)).into())
}

/// A password for people: 20 letters and digits that are not mistaken for each other (118 bits).
///
/// # Errors
/// When the system gives no randomness.
pub fn password() -> Result<SecretString, NoRandomness> {
    const LETTERS: &[u8; 60] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789-_+";
    let mut text = String::with_capacity(20);
    while text.len() < 20 {
        for byte in random::<32>()? {
            // 240 is the largest multiple of 60 in a byte: what is above would favour some letters.
            if byte < 240 && text.len() < 20 {
                text.push(char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
            }
        }
    }
    Ok(text.into())
}

/// SHA-256 of a secret of full entropy, in hex: how tokens are stored.
pub fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// Whether two texts are equal, in a time that depends on their lengths alone.
pub fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// The first characters of a relay key, to recognise it by: its prefix (up to the first `_`) and six characters.
pub fn hint(secret: &str) -> String {
    let prefix = secret.find('_').map_or(0, |at| at + 1).min(12);
    secret.chars().take(prefix + 6).collect()
}

/// A token of ours: a prefix, the id of its record and 256 random bits.
///
/// The id lets it be found by a look-up that an attacker learns nothing from; the digest covers the whole text.
#[derive(Debug)]
pub struct Minted {
    /// Id of the record.
    pub id: String,
    /// The text, shown once.
    pub secret: SecretString,
    /// What is stored of it.
    pub digest: String,
}

/// Makes a token with a prefix such as `crs_at_`.
///
/// # Errors
/// When the system gives no randomness.
pub fn mint(prefix: &str) -> Result<Minted, NoRandomness> {
    let id = uuid::Uuid::now_v7();
    let mut text = format!("{prefix}{}", id.simple());
    for byte in random::<32>()? {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(Minted { id: id.to_string(), digest: digest(&text), secret: text.into() })
}

/// The id of the record that a token names; `None` when it is no token with that prefix.
pub fn minted_id(prefix: &str, text: &str) -> Option<String> {
    let rest = text.strip_prefix(prefix)?;
    if rest.len() != 96 || !rest.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    uuid::Uuid::try_parse(&rest[..32]).ok().map(|id| id.to_string())
}

/// `serde(with)`: a secret that is stored (sealed by the store, since its record says so).
pub mod stored {
    use secrecy::{ExposeSecret as _, SecretString};
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the secret.
    ///
    /// # Errors
    /// The serialiser's.
    pub fn serialize<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose_secret())
    }

    /// Reads the secret.
    ///
    /// # Errors
    /// The deserialiser's.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
        String::deserialize(from).map(SecretString::from)
    }
}

/// `serde(with)`: secrets by name.
pub mod stored_map {
    use std::collections::BTreeMap;

    use secrecy::{ExposeSecret as _, SecretString};
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the secrets.
    ///
    /// # Errors
    /// The serialiser's.
    pub fn serialize<S: Serializer>(
        secrets: &BTreeMap<String, SecretString>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(secrets.iter().map(|(name, secret)| (name, secret.expose_secret())))
    }

    /// Reads the secrets.
    ///
    /// # Errors
    /// The deserialiser's.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<String, SecretString>, D::Error> {
        let plain = BTreeMap::<String, String>::deserialize(from)?;
        Ok(plain.into_iter().map(|(name, secret)| (name, secret.into())).collect())
    }
}

/// `serde(with)`: a digest as hex.
pub mod digest_hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    use super::Digest;

    /// Writes the digest.
    ///
    /// # Errors
    /// The serialiser's.
    pub fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(digest.0))
    }

    /// Reads the digest.
    ///
    /// # Errors
    /// The deserialiser's, and texts that are not 64 hex digits.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = hex::decode(&text).map_err(|_| D::Error::custom("a digest is hex"))?;
        Digest::from_slice(&bytes).ok_or_else(|| D::Error::custom("a digest has 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_minted_token_names_its_record() {
        let minted = mint("crs_at_").unwrap();
        let text = minted.secret.expose_secret();
        assert_eq!(minted_id("crs_at_", text), Some(minted.id.clone()));
        assert_eq!(minted_id("crs_jt_", text), None);
        assert_eq!(minted_id("crs_at_", &text[..text.len() - 1]), None);
        assert_eq!(minted_id("crs_at_", &format!("crs_at_é{}", "0".repeat(94))), None);
        assert!(same(&minted.digest, &digest(text)));
    }

    #[test]
    fn a_relay_key_looks_as_in_version_1() {
        let key = relay_key().unwrap();
        assert_eq!(key.expose_secret().len(), 67);
        assert_eq!(hint(key.expose_secret()).len(), 9);
        assert_eq!(hint("sk-proj-123456789"), "sk-pro");
    }

    #[test]
    fn passwords_have_their_length() {
        assert_eq!(password().unwrap().expose_secret().len(), 20);
    }
}
