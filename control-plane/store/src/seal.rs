//! Encryption of what must not be readable in the store: AES-256-GCM under a data key of the deployment, which itself
//! lies in the store wrapped by the master key. The master key never lies there.
//!
//! An envelope is: version byte, number of the data key (4 bytes, big endian), nonce (12), ciphertext with tag. Its
//! additional data is `kind/id`, so that no envelope can stand in for another. The sealer is called by the record layer
//! alone; what a backend or a feed sees is sealed already.

mod keys;
mod master;

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use zeroize::Zeroizing;

pub(crate) use self::keys::DataKey;
pub use self::master::MasterKey;
use crate::{
    codec,
    error::{Error, Result},
};

const NONCE: usize = 12;
const HEAD: usize = 1 + 4 + NONCE;

/// The data keys, unwrapped: seals with the newest, opens with each.
pub(crate) struct Sealer {
    ring: RwLock<Ring>,
}

#[derive(Default)]
struct Ring {
    newest: Option<u32>,
    keys: FxHashMap<u32, Held>,
}

/// A data key, unwrapped.
struct Held {
    cipher: Aes256Gcm,
    /// Kept so that a store that lost its newest writes can be given the key back under which records were sealed.
    key: Zeroizing<[u8; 32]>,
    created_at_ms: i64,
}

impl Sealer {
    /// A sealer without keys, which can do nothing until some are installed.
    pub(crate) fn empty() -> Self {
        Self { ring: RwLock::default() }
    }

    /// Adds an unwrapped data key.
    pub(crate) fn install(&self, number: u32, key: Zeroizing<[u8; 32]>, created_at_ms: i64) {
        let mut ring = self.ring.write();
        let cipher = Aes256Gcm::new((&*key).into());
        ring.keys.insert(number, Held { cipher, key, created_at_ms });
        ring.newest =
            ring.keys.iter().max_by_key(|(number, held)| (held.created_at_ms, **number)).map(|(n, _)| *n);
    }

    /// All data keys: number, key, when it was made.
    pub(crate) fn keys(&self) -> Vec<(u32, Zeroizing<[u8; 32]>, i64)> {
        let ring = self.ring.read();
        ring.keys.iter().map(|(number, held)| (*number, held.key.clone(), held.created_at_ms)).collect()
    }

    /// Whether a data key is known.
    pub(crate) fn knows(&self, number: u32) -> bool {
        self.ring.read().keys.contains_key(&number)
    }

    /// Seals `body` for the document `kind/id`.
    pub(crate) fn seal(&self, kind: &str, id: &str, body: &[u8]) -> Result<Vec<u8>> {
        let ring = self.ring.read();
        let what = || format!("{kind}/{id}");
        let newest = ring.newest.and_then(|number| Some((number, ring.keys.get(&number)?)));
        let Some((number, held)) = newest else {
            return Err(Error::Sealed { what: what(), why: "there is no data key".into() });
        };
        encrypt(&held.cipher, number, what().as_bytes(), body)
            .ok_or_else(|| Error::Sealed { what: what(), why: "it cannot be encrypted".into() })
    }

    /// The number of the data key that an envelope needs, `None` when it is no envelope.
    pub(crate) fn key_of(envelope: &[u8]) -> Option<u32> {
        match envelope {
            [codec::SEALED, a, b, c, d, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
            _ => None,
        }
    }

    /// Opens the envelope of the document `kind/id`.
    pub(crate) fn open(&self, kind: &str, id: &str, envelope: &[u8]) -> Result<Vec<u8>> {
        let refuse = |why: String| Error::Sealed { what: format!("{kind}/{id}"), why };
        let number = Self::key_of(envelope).ok_or_else(|| refuse("it is not sealed".into()))?;
        let ring = self.ring.read();
        let held = ring.keys.get(&number).ok_or_else(|| refuse(format!("data key {number} is unknown")))?;
        decrypt(&held.cipher, format!("{kind}/{id}").as_bytes(), envelope)
            .ok_or_else(|| refuse("it was altered, or sealed for another record".into()))
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(..)")
    }
}

/// An envelope under a fresh random nonce; `None` only when the system gives no randomness.
fn encrypt(cipher: &Aes256Gcm, key: u32, aad: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).ok()?;
    let sealed = cipher.encrypt(&nonce.into(), Payload { msg: plain, aad }).ok()?;
    let mut envelope = Vec::with_capacity(HEAD + sealed.len());
    envelope.push(codec::SEALED);
    envelope.extend_from_slice(&key.to_be_bytes());
    envelope.extend_from_slice(&nonce);
    envelope.extend_from_slice(&sealed);
    Some(envelope)
}

/// The content of an envelope; `None` when it does not authenticate.
fn decrypt(cipher: &Aes256Gcm, aad: &[u8], envelope: &[u8]) -> Option<Vec<u8>> {
    let nonce: [u8; NONCE] = envelope.get(HEAD - NONCE..HEAD)?.try_into().ok()?;
    cipher.decrypt(&nonce.into(), Payload { msg: envelope.get(HEAD..)?, aad }).ok()
}

#[cfg(test)]
mod tests;
