//! Where the last login is kept: one TOML file, readable by its owner alone.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// A login and where it holds.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Control plane's address.
    pub address: String,
    /// Access token of a session.
    pub access_token: String,
    /// Refresh token of a session; empty: the access token is an automation token.
    pub refresh_token: String,
    /// Unix seconds at which the access token ends.
    pub ends_at: i64,
}

/// The file of a named profile: under `$CRSCTL_CONFIG_DIR`, else `$XDG_CONFIG_HOME/crs`, else `~/.config/crs`.
#[expect(clippy::disallowed_methods, reason = "this is where crsctl reads its own environment")]
pub fn file(name: &str) -> Result<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let dir = var("CRSCTL_CONFIG_DIR")
        .or_else(|| var("XDG_CONFIG_HOME").map(|dir| dir.join("crs")))
        .or_else(|| var("HOME").map(|home| home.join(".config/crs")))
        .context("neither CRSCTL_CONFIG_DIR, XDG_CONFIG_HOME nor HOME is set")?;
    Ok(dir.join(format!("{name}.toml")))
}

/// Reads a profile; one that is not there is empty.
pub fn load(path: &Path) -> Result<Profile> {
    match fs::read_to_string(path) {
        Ok(text) => {
            toml::from_str(&text).with_context(|| format!("{} is damaged; log in again", path.display()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Profile::default()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Keeps other runs from refreshing a profile's session until the answer is dropped. A refresh token is good once, and
/// the service ends the session of whoever shows one twice: two runs must not show the same one.
pub fn lock(path: &Path) -> Result<fs::File> {
    let beside = path.with_extension("lock");
    let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&beside);
    let file = file.with_context(|| beside.display().to_string())?;
    file.lock().with_context(|| beside.display().to_string())?;
    Ok(file)
}

/// Whether two addresses are one, however they are written.
pub fn same_address(one: &str, other: &str) -> bool {
    let plain = |address: &str| {
        let address = address.trim_end_matches('/');
        address.strip_prefix("http://").unwrap_or(address).to_ascii_lowercase()
    };
    plain(one) == plain(other)
}

/// Writes a profile, whole or not at all.
pub fn save(path: &Path, profile: &Profile) -> Result<()> {
    let dir = path.parent().context("a profile without a folder")?;
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let draft = path.with_extension("toml.new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    // An older draft may have been left with wider permissions.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(toml::to_string(profile)?.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path).with_context(|| path.display().to_string())
}

/// Forgets a profile.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_however_it_is_written() {
        assert!(same_address("http://localhost:4000", "localhost:4000/"));
        assert!(!same_address("http://localhost:4000", "https://localhost:4000"));
        assert!(!same_address("http://localhost:4000", "http://localhost:4001"));
    }

    #[test]
    fn one_run_at_a_time_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("default.toml");
        let held = lock(&path).unwrap();
        let other = fs::OpenOptions::new().write(true).open(path.with_extension("lock")).unwrap();
        assert!(other.try_lock().is_err());
        drop(held);
        other.try_lock().unwrap();
    }

    #[test]
    fn what_is_saved_is_loaded_and_only_the_owner_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/default.toml");
        assert!(load(&path).unwrap() == Profile::default());
        let profile =
            Profile { address: "http://h:1".into(), access_token: "a".into(), ..Profile::default() };
        save(&path, &profile).unwrap();
        assert!(load(&path).unwrap() == profile);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(load(&path).unwrap() == Profile::default());
    }
}
