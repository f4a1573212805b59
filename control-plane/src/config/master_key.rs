//! Where the master key comes from. What is accepted as one is the store's to say.

use std::path::PathBuf;

use clap::ArgMatches;
use proto::rules::key_hash::Pepper;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use store::MasterKey;

/// Where the master key comes from, best first: value, file, generated file.
#[derive(Clone, Debug, Default)]
pub struct MasterKeySource {
    /// The key itself.
    pub value: Option<SecretString>,
    /// A file that holds it.
    pub file: Option<PathBuf>,
    /// A file that is made with a new key where it is missing.
    pub generate: Option<PathBuf>,
}

/// No usable master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// None is set.
    #[error("no master key: set CRS_MASTER_KEY or CRS_MASTER_KEY_FILE (`openssl rand -hex 32` makes one)")]
    Missing,
    /// Its file cannot be read.
    #[error("master key file {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is refused, or its file cannot be read or written.
    #[error(transparent)]
    Refused(#[from] store::Error),
}

impl MasterKeySource {
    /// From the arguments `master-key` and `master-key-file`.
    pub fn read(matches: &ArgMatches) -> Self {
        let value = matches.get_one::<String>("master-key").filter(|text| !text.is_empty());
        Self {
            value: value.map(|text| SecretString::from(text.clone())),
            file: matches.get_one::<PathBuf>("master-key-file").cloned(),
            generate: None,
        }
    }

    /// A secret for another purpose that follows from the key, such as sealing what a node keeps on disk. The key must
    /// have been loaded before.
    ///
    /// # Errors
    /// When there is none, or its file cannot be read.
    pub fn derived(&self, purpose: &str) -> Result<SecretSlice<u8>, MasterKeyError> {
        let text = match (&self.value, self.file.as_ref().or(self.generate.as_ref())) {
            (Some(value), _) => value.clone(),
            (None, Some(path)) => SecretString::from(
                std::fs::read_to_string(path)
                    .map_err(|source| MasterKeyError::File { path: path.clone(), source })?,
            ),
            (None, None) => return Err(MasterKeyError::Missing),
        };
        let pepper = Pepper::new(text.expose_secret().trim().as_bytes());
        Ok(SecretSlice::from(pepper.digest(purpose.as_bytes()).0.to_vec()))
    }

    /// The key.
    ///
    /// # Errors
    /// When there is none, it is refused, or its file cannot be read or written.
    pub fn load(&self) -> Result<MasterKey, MasterKeyError> {
        if let Some(value) = &self.value {
            return Ok(MasterKey::parse(value.expose_secret())?);
        }
        if let Some(path) = &self.file {
            return Ok(MasterKey::from_file(path)?);
        }
        let path = self.generate.as_ref().ok_or(MasterKeyError::Missing)?;
        let made = !path.exists();
        let key = MasterKey::load_or_create(path)?;
        if made {
            tracing::info!(path = %path.display(), "a master key was generated: keep a copy of it in a safe place");
        }
        Ok(key)
    }
}
