//! Data keys as records: each lies in the store wrapped by the master key and is never removed, since records sealed
//! under it may be there.

use aes_gcm::{Aes256Gcm, KeyInit as _};
use domain::Record;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{MasterKey, decrypt, encrypt};
use crate::error::{Error, Result};

/// A wrapped data key.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DataKey {
    /// Its number as text: the record's id.
    id: String,
    /// When it was made, Unix milliseconds.
    created_at_ms: i64,
    /// Tells master keys apart without telling anything of them.
    master: String,
    /// Salt of the derivation from a passphrase, hex.
    salt: String,
    /// The envelope, hex.
    wrapped: String,
}

impl DataKey {
    /// A new random data key. Its number is random too, so that keys made by two processes at once are two keys.
    pub(crate) fn generate(master: &MasterKey, now_ms: i64) -> Result<Self> {
        let (mut key, mut number) = (Zeroizing::new([0; 32]), [0; 4]);
        random(key.as_mut())?;
        random(&mut number)?;
        Self::wrap(u32::from_be_bytes(number), &key, master, now_ms)
    }

    /// When it was made, Unix milliseconds.
    pub(crate) fn created_at_ms(&self) -> i64 {
        self.created_at_ms
    }

    /// Its number.
    pub(crate) fn number(&self) -> Result<u32> {
        self.id.parse().map_err(|why| Error::corrupt(self.name(), why))
    }

    /// The key itself.
    pub(crate) fn unwrap(&self, master: &MasterKey) -> Result<Zeroizing<[u8; 32]>> {
        let bytes = |text: &str| hex::decode(text).map_err(|why| Error::corrupt(self.name(), why));
        let wrapping = master.derive(&bytes(&self.salt)?)?;
        if fingerprint(&wrapping) != self.master {
            return Err(Error::Sealed {
                what: self.name(),
                why: format!(
                    "it is wrapped by master key {}, the given one is {}",
                    self.master,
                    fingerprint(&wrapping)
                ),
            });
        }
        let plain =
            decrypt(&Aes256Gcm::new((&*wrapping).into()), self.name().as_bytes(), &bytes(&self.wrapped)?)
                .map(Zeroizing::new)
                .ok_or_else(|| Error::Sealed { what: self.name(), why: "it was altered".into() })?;
        plain.as_slice().try_into().map(Zeroizing::new).map_err(|why| Error::corrupt(self.name(), why))
    }

    /// The same data key, wrapped by another master key.
    pub(crate) fn rewrap(&self, from: &MasterKey, to: &MasterKey) -> Result<Self> {
        Self::wrap(self.number()?, &*self.unwrap(from)?, to, self.created_at_ms)
    }

    /// Wraps a data key.
    pub(crate) fn wrap(number: u32, key: &[u8; 32], master: &MasterKey, created_at_ms: i64) -> Result<Self> {
        let mut salt = [0; 16];
        random(&mut salt)?;
        let wrapping = master.derive(&salt)?;
        let mut data_key = Self {
            id: number.to_string(),
            created_at_ms,
            master: fingerprint(&wrapping),
            salt: hex::encode(salt),
            wrapped: String::new(),
        };
        let cipher = Aes256Gcm::new((&*wrapping).into());
        let envelope = encrypt(&cipher, 0, data_key.name().as_bytes(), key)
            .ok_or_else(|| Error::Sealed { what: data_key.name(), why: "it cannot be encrypted".into() })?;
        data_key.wrapped = hex::encode(envelope);
        Ok(data_key)
    }

    fn name(&self) -> String {
        format!("{}/{}", Self::KIND, self.id)
    }
}

impl Record for DataKey {
    const KIND: &'static str = "data_key";
    const SEALED: bool = false;

    fn id(&self) -> &str {
        &self.id
    }

    fn audit_view(&self) -> serde_json::Value {
        serde_json::json!({ "id": self.id, "created_at_ms": self.created_at_ms, "master": self.master })
    }
}

fn random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes)
        .map_err(|why| Error::Unfit { why: format!("the system gives no randomness: {why}") })
}

fn fingerprint(wrapping: &[u8; 32]) -> String {
    let digest = Sha256::new().chain_update(b"crs master key").chain_update(wrapping).finalize();
    hex::encode(&digest[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(text: &str) -> MasterKey {
        MasterKey::parse(text).unwrap()
    }

    #[test]
    fn only_its_master_key_unwraps_a_data_key_and_a_rewrapped_one_is_the_same() {
        let (one, two) =
            (master("correct horse battery staple"), master("an entirely other phrase of words"));
        let wrapped = DataKey::generate(&one, 0).unwrap();
        let error = wrapped.unwrap(&two).unwrap_err().to_string();
        assert!(error.contains("is wrapped by master key"), "{error}");
        let again = wrapped.rewrap(&one, &two).unwrap();
        assert_eq!(again.unwrap(&two).unwrap(), wrapped.unwrap(&one).unwrap());
        assert!(again.unwrap(&one).is_err());
    }
}
