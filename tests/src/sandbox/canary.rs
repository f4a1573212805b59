//! Secrets that must never be found where they do not belong: in a log, a metric, or a file on disk.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use parking_lot::Mutex;

/// The secrets of one run.
#[derive(Debug, Default)]
pub struct Canaries {
    secrets: Mutex<Vec<(String, String)>>,
}

impl Canaries {
    /// Adds a secret with a name for messages. Short ones are refused: they would be found by chance.
    pub fn add(&self, name: &str, secret: &str) {
        assert!(secret.len() >= 12, "the canary {name} is too short");
        self.secrets.lock().push((name.to_owned(), secret.to_owned()));
    }

    /// Fails when a text holds one of them.
    pub fn search_text(&self, place: &str, text: &[u8]) -> Result<()> {
        for (name, secret) in self.secrets.lock().iter() {
            if memchr::memmem::find(text, secret.as_bytes()).is_some() {
                bail!("{name} stands in clear in {place}");
            }
        }
        Ok(())
    }

    /// Fails when a file below a folder holds one of them, and says how many files were read.
    pub fn search_files(&self, folder: &Path) -> Result<usize> {
        let (mut folders, mut count) = (vec![folder.to_owned()], 0);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)?.flatten() {
                let path: PathBuf = entry.path();
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() {
                    // A file may go away while we look, as segments do.
                    let Ok(content) = fs::read(&path) else { continue };
                    self.search_text(&path.display().to_string(), &content)?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_any_file_is_found() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        let canaries = Canaries::default();
        canaries.add("key", "cr_0123456789abcdef");
        fs::write(folder.path().join("sub/a"), b"\x00\xffharmless").unwrap();
        assert_eq!(canaries.search_files(folder.path()).unwrap(), 1);
        fs::write(folder.path().join("sub/b"), b"\x00\xffcr_0123456789abcdef\x00").unwrap();
        assert!(canaries.search_files(folder.path()).is_err());
    }
}
