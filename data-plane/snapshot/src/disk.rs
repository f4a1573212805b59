//! The last good snapshot on the node's disk, so that a node that restarts without a control plane relays on.
//!
//! It holds credentials, so it is sealed: AES-256-GCM under a key derived from a node secret that lives outside the data
//! directory and a salt of its own in every file. A header (magic, version, salt), then sealed parts of one
//! `SnapshotChunk` each; a part's nonce and associated data carry its number and whether it is the last, so that parts
//! cannot be moved, dropped or cut off. Writing replaces the file atomically; reading takes any bytes without panic.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use hmac::{Hmac, Mac as _};
use prost::Message as _;
use proto::node;
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{Applied, Handle, Snapshot};

const MAGIC: &[u8; 8] = b"CRSSNAPS";
/// Version of the format that is written.
pub const VERSION: u16 = 1;
/// Entries of one part.
const PART: usize = 256;
/// Longest sealed part that is read: a bound on memory for a file that is not ours.
const MAX_PART: usize = 64 << 20;

/// Why a snapshot could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// There is none.
    #[error("there is no snapshot on disk")]
    Absent,
    /// The disk.
    #[error("the snapshot file: {0}")]
    Io(#[from] io::Error),
    /// A newer release wrote it.
    #[error("the snapshot on disk has version {0}, which this release does not know")]
    Version(u16),
    /// It is damaged, or sealed with another node secret.
    #[error("the snapshot on disk is damaged or sealed with another secret: {0}")]
    Damaged(&'static str),
}

/// Writes a snapshot: to a file beside, synced, then renamed.
///
/// # Errors
/// [`DiskError::Io`]; the file that was there is still there.
pub fn save(snapshot: &Snapshot, path: &Path, secret: &SecretSlice<u8>) -> Result<(), DiskError> {
    let beside = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    let mut out = BufWriter::new(file);
    write_to(snapshot, &mut out, secret)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Reads a snapshot into a handle, as if the control plane had sent it.
///
/// # Errors
/// See [`DiskError`]; the handle's snapshot is then as it was.
pub fn load(handle: &Handle, path: &Path, secret: &SecretSlice<u8>) -> Result<Applied, DiskError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(DiskError::Absent),
        Err(error) => return Err(error.into()),
    };
    let read = read_from(handle, &mut BufReader::new(file), secret);
    if read.is_err() {
        handle.disconnected();
    }
    read
}

/// Writes a sealed snapshot.
///
/// # Errors
/// [`DiskError::Io`].
pub fn write_to(
    snapshot: &Snapshot,
    out: &mut impl Write,
    secret: &SecretSlice<u8>,
) -> Result<(), DiskError> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|_| io::Error::other("no randomness"))?;
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    out.write_all(&salt)?;
    let cipher = cipher(secret, &salt);
    let mut entries = snapshot.entries().peekable();
    for number in 0.. {
        let mut chunk = node::SnapshotChunk {
            revision: snapshot.revision().map(crate::Revision::to_wire),
            store_identity: snapshot.store_identity().to_owned(),
            entries: entries.by_ref().take(PART).collect(),
            last: false,
        };
        chunk.last = entries.peek().is_none();
        let plain = Zeroizing::new(chunk.encode_to_vec());
        let (nonce, aad) = labels(number, chunk.last);
        let sealed = cipher.encrypt(&nonce.into(), Payload { msg: &plain, aad: &aad });
        let sealed = sealed.map_err(|_| io::Error::other("a part could not be sealed"))?;
        let length = u32::try_from(sealed.len()).map_err(|_| io::Error::other("a part is too long"))?;
        out.write_all(&[u8::from(chunk.last)])?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(&sealed)?;
        if chunk.last {
            break;
        }
    }
    out.flush()?;
    Ok(())
}

/// Reads a sealed snapshot into a handle.
///
/// # Errors
/// See [`DiskError`].
pub fn read_from(
    handle: &Handle,
    from: &mut impl Read,
    secret: &SecretSlice<u8>,
) -> Result<Applied, DiskError> {
    let mut head = [0; 42];
    exactly(from, &mut head)?;
    if &head[..8] != MAGIC {
        return Err(DiskError::Damaged("it does not begin as a snapshot does"));
    }
    let version = u16::from_le_bytes([head[8], head[9]]);
    if version != VERSION {
        return Err(DiskError::Version(version));
    }
    let cipher = cipher(secret, &head[10..]);
    for number in 0.. {
        let mut frame = [0; 5];
        exactly(from, &mut frame)?;
        let last = match frame[0] {
            0 => false,
            1 => true,
            _ => return Err(DiskError::Damaged("a part is neither last nor not")),
        };
        let length = u32::from_le_bytes([frame[1], frame[2], frame[3], frame[4]]) as usize;
        if length > MAX_PART {
            return Err(DiskError::Damaged("a part is too long"));
        }
        // Grows with what is there, not with what the length claims.
        let mut sealed = Vec::new();
        from.by_ref().take(length as u64).read_to_end(&mut sealed)?;
        if sealed.len() < length {
            return Err(DiskError::Damaged("it ends too early"));
        }
        let (nonce, aad) = labels(number, last);
        let plain = cipher.decrypt(&nonce.into(), Payload { msg: &sealed, aad: &aad });
        let plain = Zeroizing::new(plain.map_err(|_| DiskError::Damaged("a part does not open"))?);
        let chunk = node::SnapshotChunk::decode(plain.as_slice());
        let chunk = chunk.map_err(|_| DiskError::Damaged("a part is no message"))?;
        if chunk.revision.is_none() {
            return Err(DiskError::Damaged("it has no revision"));
        }
        let applied = handle.apply_chunk(chunk).map_err(|_| DiskError::Damaged("a part does not apply"))?;
        if last {
            return Ok(applied);
        }
    }
    Err(DiskError::Damaged("it has too many parts"))
}

fn exactly(from: &mut impl Read, into: &mut [u8]) -> Result<(), DiskError> {
    from.read_exact(into).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => DiskError::Damaged("it ends too early"),
        _ => error.into(),
    })
}

fn cipher(secret: &SecretSlice<u8>, salt: &[u8]) -> Aes256Gcm {
    let mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(secret.expose_secret());
    let Ok(mut mac) = mac else { unreachable!("HMAC takes keys of any length") };
    mac.update(b"crs node snapshot 1");
    mac.update(salt);
    let key = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
    Aes256Gcm::new((&*key).into())
}

/// Nonce and associated data of a part. The key is a file's own, so that a counter is nonce enough.
fn labels(number: u64, last: bool) -> ([u8; 12], [u8; 9]) {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    nonce[8] = u8::from(last);
    let mut aad = [0; 9];
    aad.copy_from_slice(&nonce[..9]);
    (nonce, aad)
}

#[cfg(test)]
mod tests;
