//! How a relay key's secret becomes the digest under which it is stored and looked up.
//!
//! Ours is HMAC-SHA-256 under a pepper that only the deployment knows, so that a stolen store cannot be searched.
//! Version 1's is SHA-256 over the secret followed by its `ENCRYPTION_KEY`, without separator; imported keys keep it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};

/// A scheme's name on the wire and in the store.
pub const HMAC_SHA256: &str = "hmac-sha256";
/// The name of version 1's scheme.
pub const V1_SHA256: &str = "v1-sha256";

/// 32 bytes that stand for a secret. Prints as a mask.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// A digest from the wire; `None` unless it has 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// A pepper made ready: keying HMAC once costs two hash blocks less per look-up.
#[derive(Clone)]
pub struct Pepper(Hmac<Sha256>);

impl Pepper {
    /// A pepper of any length.
    pub fn new(pepper: &[u8]) -> Self {
        match Hmac::<Sha256>::new_from_slice(pepper) {
            Ok(mac) => Self(mac),
            Err(_) => unreachable!("HMAC takes keys of any length"),
        }
    }

    /// Our digest of a secret.
    pub fn digest(&self, secret: &[u8]) -> Digest {
        let mut mac = self.0.clone();
        mac.update(secret);
        Digest(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(..)")
    }
}

/// Version 1's digest of a secret.
pub fn v1(encryption_key: &[u8], secret: &[u8]) -> Digest {
    Digest(Sha256::new().chain_update(secret).chain_update(encryption_key).finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v1_is_sha256_of_secret_then_encryption_key() {
        let expected = hex::encode(Sha256::digest(b"cr_abcSECRET"));
        assert_eq!(hex::encode(v1(b"SECRET", b"cr_abc").0), expected);
    }

    #[test]
    fn ours_is_rfc_2104_hmac() {
        // RFC 4231, test case 2.
        let digest = Pepper::new(b"Jefe").digest(b"what do ya want for nothing?");
        assert_eq!(hex::encode(digest.0), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn nothing_of_a_digest_is_printed() {
        assert_eq!(format!("{:?}", Digest([7; 32])), "Digest(..)");
    }
}
