//! The lives of this node: every process start is an epoch of its own, under which it holds leases. The file of an epoch
//! is locked while its process lives, so that the next one can say for certain which have ended: their concurrency slots
//! are free then. An orderly end leaves its file too: the next life tells. Two processes may share the folder during a rolling restart.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use proto::rules::ids::Epoch;

/// This life, and those before it that were not told of yet.
pub struct Lives {
    folder: PathBuf,
    epoch: Epoch,
    _lock: File,
    /// Locked here, so that no other process tells of them at the same time.
    ended: Mutex<Vec<(Epoch, File)>>,
}

impl Lives {
    /// Begins a life in a folder (`<data-dir>/lives`), made if need be.
    ///
    /// # Errors
    /// What the system says.
    pub fn begin(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let epoch = Epoch::generate();
        let lock = open(&folder.join(epoch.as_str()))?;
        lock.try_lock().map_err(io::Error::from)?;
        let lives = Self { folder: folder.to_owned(), epoch, _lock: lock, ended: Mutex::default() };
        lives.look()?;
        Ok(lives)
    }

    /// This life's epoch.
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// Epochs that have ended for good and were not told of yet.
    pub fn ended(&self) -> Vec<String> {
        self.ended.lock().iter().map(|(epoch, _)| epoch.as_str().to_owned()).collect()
    }

    /// Looks for lives that have ended since.
    ///
    /// # Errors
    /// What the system says.
    pub fn look(&self) -> io::Result<()> {
        let mut ended = self.ended.lock();
        for entry in std::fs::read_dir(&self.folder)? {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            if name == self.epoch.as_str() || ended.iter().any(|(epoch, _)| epoch.as_str() == name) {
                continue;
            }
            match OpenOptions::new().read(true).write(true).open(self.folder.join(&name)) {
                Ok(file) => {
                    if file.try_lock().is_ok() {
                        ended.push((name.into(), file));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether no other process lives on this folder, as one does that is being replaced.
    ///
    /// # Errors
    /// What the system says.
    pub fn is_alone(&self) -> io::Result<bool> {
        self.look()?;
        let ended = self.ended.lock();
        for entry in std::fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let known = |epoch: &Epoch| name == *epoch.as_str();
            if !known(&self.epoch) && !ended.iter().any(|(epoch, _)| known(epoch)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The control plane knows of these.
    pub fn told(&self, epochs: &[String]) {
        self.ended.lock().retain(|(epoch, _)| {
            let told = epochs.iter().any(|told| told == epoch.as_str());
            // A file that stays is told of again, which changes nothing.
            !(told && std::fs::remove_file(self.folder.join(epoch.as_str())).is_ok())
        });
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lives_that_have_ended_are_told_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lives::begin(folder.path()).unwrap();
        let second = Lives::begin(folder.path()).unwrap();
        assert!(second.ended().is_empty(), "the first still lives");
        assert!(!second.is_alone().unwrap());
        let epoch = first.epoch().as_str().to_owned();
        drop(first);
        second.look().unwrap();
        assert_eq!(second.ended(), std::slice::from_ref(&epoch));
        assert!(second.is_alone().unwrap());
        let third = Lives::begin(folder.path()).unwrap();
        assert!(third.ended().is_empty(), "the second tells of it");
        second.told(&[epoch]);
        assert!(second.ended().is_empty());
        second.look().unwrap();
        assert!(second.ended().is_empty());
    }
}
