//! The master key: 32 bytes, or a passphrase from which they are derived. It wraps data keys and does nothing else, and
//! is never written by us except where a first start on a bare machine makes one.

use std::{
    fmt, fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, engine::general_purpose};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Fragments of keys that stand in examples; compared without case.
const SAMPLES: [&str; 12] = [
    "change",
    "your-",
    "your_",
    "example",
    "placeholder",
    "sample",
    "password",
    "passphrase",
    "encryption-key",
    "encryption_key",
    "default",
    "secret-key",
];
const SHORTEST_PASSPHRASE: usize = 20;

/// The key that wraps the data keys. Prints as a mask; its memory is wiped.
#[derive(Clone)]
pub struct MasterKey(Source);

#[derive(Clone)]
enum Source {
    Key(Zeroizing<[u8; 32]>),
    Passphrase(SecretString),
}

impl MasterKey {
    /// Reads a key: 64 hex digits, or the base64 of 32 bytes, or else a passphrase of at least 20 characters. Empty
    /// keys and keys from examples are refused.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if let Some(key) = raw(text) {
            return if plausible(&key) { Ok(Self(Source::Key(key))) } else { Err(refused("it is a sample")) };
        }
        if text.is_empty() {
            return Err(refused("it is empty"));
        }
        let lower = Zeroizing::new(text.to_lowercase());
        if SAMPLES.iter().any(|sample| lower.contains(sample)) {
            return Err(refused("it reads like a sample"));
        }
        let mut distinct: Vec<char> = text.chars().collect();
        distinct.sort_unstable();
        distinct.dedup();
        if text.chars().count() < SHORTEST_PASSPHRASE || distinct.len() < 8 {
            return Err(refused(
                "it is neither 32 bytes in hex or base64 nor a passphrase of at least 20 characters",
            ));
        }
        Ok(Self(Source::Passphrase(text.into())))
    }

    /// Reads a key from a file, as [`MasterKey::parse`].
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|why| refused(&format!("{} cannot be read: {why}", path.display())))?;
        Self::parse(&text).map_err(|why| refused(&format!("{}: {why}", path.display())))
    }

    /// Reads the key in `path`, or makes a random one there, readable by its owner only, when there is no such file.
    pub fn load_or_create(path: &Path) -> Result<Self> {
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match made {
            Ok(mut file) => {
                let mut key = Zeroizing::new([0; 32]);
                getrandom::fill(key.as_mut()).map_err(|why| refused(&format!("no randomness: {why}")))?;
                let text = Zeroizing::new(format!("{}\n", hex::encode(key.as_ref())));
                file.write_all(text.as_bytes())
                    .and_then(|()| file.sync_all())
                    .map_err(|why| refused(&format!("{} cannot be written: {why}", path.display())))?;
                Ok(Self(Source::Key(key)))
            }
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Self::from_file(path),
            Err(why) => Err(refused(&format!("{} cannot be made: {why}", path.display()))),
        }
    }

    /// A secret of its own for another purpose of the same process, such as a standalone node's snapshot on disk: the
    /// same for the same key and purpose, and of no use to find the key.
    pub fn for_purpose(&self, purpose: &str) -> [u8; 32] {
        let secret: &[u8] = match &self.0 {
            Source::Key(key) => key.as_ref(),
            Source::Passphrase(text) => text.expose_secret().as_bytes(),
        };
        proto::rules::key_hash::Pepper::new(secret).digest(purpose.as_bytes()).0
    }

    /// The 32 bytes: the key itself, or derived from the passphrase and `salt` by argon2id.
    pub(super) fn derive(&self, salt: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
        match &self.0 {
            Source::Key(key) => Ok(key.clone()),
            Source::Passphrase(text) => {
                let params =
                    Params::new(19 * 1024, 2, 1, Some(32)).map_err(|why| refused(&why.to_string()))?;
                let mut key = Zeroizing::new([0; 32]);
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                    .hash_password_into(text.expose_secret().as_bytes(), salt, key.as_mut())
                    .map_err(|why| refused(&why.to_string()))?;
                Ok(key)
            }
        }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

fn refused(why: &str) -> Error {
    Error::Unfit { why: format!("master key refused: {why}") }
}

fn raw(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let bytes = hex::decode(text)
        .ok()
        .or_else(|| general_purpose::STANDARD.decode(text).ok())
        .or_else(|| general_purpose::URL_SAFE_NO_PAD.decode(text).ok())?;
    Zeroizing::new(bytes).as_slice().try_into().ok().map(Zeroizing::new)
}

/// Random bytes are neither few different ones nor equally spaced.
fn plausible(key: &[u8; 32]) -> bool {
    let mut distinct = Zeroizing::new(*key);
    distinct.sort_unstable();
    let distinct = 1 + distinct.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let even = key.windows(3).all(|w| w[1].wrapping_sub(w[0]) == w[2].wrapping_sub(w[1]));
    distinct >= 16 && !even
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_refused() {
        for text in [
            "",
            "  \n",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "short",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "your-encryption-key-here-32-chars",
            "CHANGE-ME-to-32-random-characters",
        ] {
            let error = MasterKey::parse(text).unwrap_err().to_string();
            assert!(text.trim().is_empty() || !error.contains(text.trim()), "{error}");
        }
    }

    #[test]
    fn hex_base64_and_passphrase_are_understood() {
        let bytes: [u8; 32] = std::array::from_fn(|n| (n * n * 7 + 3) as u8);
        let hex = MasterKey::parse(&hex::encode(bytes)).unwrap();
        let base64 = MasterKey::parse(&general_purpose::STANDARD.encode(bytes)).unwrap();
        assert_eq!(hex.derive(b"one").unwrap(), base64.derive(b"two").unwrap());
        let phrase = MasterKey::parse("correct horse battery staple").unwrap();
        assert_eq!(phrase.derive(b"salt-salt-1").unwrap(), phrase.derive(b"salt-salt-1").unwrap());
        assert_ne!(phrase.derive(b"salt-salt-1").unwrap(), phrase.derive(b"salt-salt-2").unwrap());
        assert_eq!(format!("{phrase:?}"), "MasterKey(..)");
    }

    #[test]
    fn a_made_key_is_private_and_read_again() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let made = MasterKey::load_or_create(&path).unwrap();
        let read = MasterKey::load_or_create(&path).unwrap();
        assert_eq!(made.derive(b"").unwrap(), read.derive(b"").unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
