//! A segment: one file, set aside in full before it is written, with a header that says where its epoch's numbers stand.
//!
//! Header, 256 bytes, little-endian: magic, version u16, its own length u16, 0 u32, number u64, the sequence that the next
//! outcome gets u64, the number that the next intent gets u64, the last sequence of each of the 16 partitions u64, zeros,
//! crc32 u32. With it a reader can begin at any segment.

use std::{io, sync::Arc};

use proto::rules::usage::PARTITIONS;

use crate::{
    fs::SpoolFile,
    record::{self, Entry, FRAME},
};

const MAGIC: &[u8; 8] = b"CRSSPOOL";
/// Version of the format that is written.
pub const VERSION: u16 = 1;
/// Bytes of a header; the first entry stands there.
pub const HEADER: u64 = 256;
/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// Where the numbers of an epoch stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// What the next outcome gets.
    pub next_sequence: u64,
    /// What the next intent gets.
    pub next_intent: u64,
    /// The last outcome of each partition; 0: none.
    pub previous: [u64; PARTITIONS as usize],
}

impl Default for Chain {
    fn default() -> Self {
        Self { next_sequence: 1, next_intent: 1, previous: [0; PARTITIONS as usize] }
    }
}

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub enum Header {
    /// Where the numbers stood.
    Known(Chain),
    /// Nothing was written yet: a segment that was set aside.
    Blank,
    /// A newer release wrote it.
    Newer(u16),
    /// It does not pass its checksum.
    Damaged,
}

/// Name of a segment's file.
pub fn file_name(number: u64) -> String {
    format!("{number:012}.segment")
}

/// Number of a segment by its file's name.
pub fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".segment")?.parse().ok()
}

/// The seed of a segment's checksums.
pub fn seed(epoch: &str, number: u64) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(epoch.as_bytes());
    crc.update(&number.to_le_bytes());
    crc.finalize()
}

/// A header's bytes.
pub fn encode_header(number: u64, chain: &Chain) -> [u8; HEADER as usize] {
    let mut header = [0; HEADER as usize];
    header[..8].copy_from_slice(MAGIC);
    header[8..10].copy_from_slice(&VERSION.to_le_bytes());
    header[10..12].copy_from_slice(&(HEADER as u16).to_le_bytes());
    let numbers = [number, chain.next_sequence, chain.next_intent].into_iter().chain(chain.previous);
    for (place, number) in header[16..].as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
        *place = number.to_le_bytes();
    }
    let crc = crc32fast::hash(&header[..252]);
    header[252..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Reads a header.
pub fn decode_header(header: &[u8]) -> Header {
    let Ok(header) = <&[u8; HEADER as usize]>::try_from(header) else {
        return if header.iter().all(|byte| *byte == 0) { Header::Blank } else { Header::Damaged };
    };
    if header.iter().all(|byte| *byte == 0) {
        return Header::Blank;
    }
    let crc = u32::from_le_bytes([header[252], header[253], header[254], header[255]]);
    if &header[..8] != MAGIC || crc32fast::hash(&header[..252]) != crc {
        return Header::Damaged;
    }
    let version = u16::from_le_bytes([header[8], header[9]]);
    if version != VERSION {
        return Header::Newer(version);
    }
    let mut numbers = header[24..].as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number));
    let mut next = || numbers.next().unwrap_or_default();
    let (next_sequence, next_intent) = (next(), next());
    Header::Known(Chain { next_sequence, next_intent, previous: std::array::from_fn(|_| next()) })
}

/// Reads a segment's header from its file.
pub fn read_header(file: &dyn SpoolFile) -> io::Result<Header> {
    let mut header = [0; HEADER as usize];
    let filled = read_full(file, &mut header, 0)?;
    Ok(decode_header(&header[..filled]))
}

fn read_full(file: &dyn SpoolFile, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match file.read_at(&mut into[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Reads the entries of a segment in order, in big pieces. It passes over what is damaged and finds the next entry that
/// is whole, so that one flipped bit costs one entry.
pub struct Scanner {
    file: Arc<dyn SpoolFile>,
    seed: u32,
    /// Nothing is read from here on.
    end: u64,
    /// Where the next entry is looked for.
    at: u64,
    buffer: Vec<u8>,
    /// Offset of the buffer's first byte.
    start: u64,
    /// End of the last whole entry.
    pub whole_until: u64,
    /// How many entries may have been lost in what was passed over as damaged, at most; 0: nothing was damaged.
    pub lost: u64,
}

impl Scanner {
    /// A scanner from an offset to an end.
    pub fn new(file: Arc<dyn SpoolFile>, seed: u32, from: u64, end: u64) -> Self {
        Self { file, seed, end, at: from, buffer: Vec::new(), start: from, whole_until: from, lost: 0 }
    }

    /// Where it stands: after the entry that it gave last.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The next whole entry; `None` at the end.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry<'_>>> {
        let mut looking = false;
        let (offset, length) = loop {
            let frame = self.look(FRAME)?;
            let Some(frame) = frame.first_chunk::<FRAME>().copied() else { return Ok(None) };
            // Zeros are the end, but not while looking for the next whole entry: a damaged payload may hold some.
            if !looking && frame == [0; FRAME] {
                return Ok(None);
            }
            if let Some(length) = record::announced(&frame) {
                let (seed, offset) = (self.seed, self.at);
                let entry = self.look(FRAME + length)?;
                if entry.len() == FRAME + length && record::decode(seed, offset, entry).is_some() {
                    break (offset, length);
                }
            }
            // Every entry begins with bytes that are not zero.
            self.lost += u64::from(frame[..8] != [0; 8]);
            looking = true;
            self.at += 8;
        };
        self.at = offset + record::framed(length);
        self.whole_until = self.at;
        let begin = (offset - self.start) as usize;
        Ok(record::parse(&self.buffer[begin..begin + FRAME + length]))
    }

    /// So many bytes from where it stands; fewer at the end.
    fn look(&mut self, wanted: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = wanted.min(left);
        let have = (self.start + self.buffer.len() as u64).saturating_sub(self.at) as usize;
        if have < wanted {
            let size = CHUNK.max(wanted).min(left);
            self.buffer.resize(size, 0);
            self.start = self.at;
            let filled = read_full(self.file.as_ref(), &mut self.buffer, self.at)?;
            self.buffer.truncate(filled);
        }
        let begin = ((self.at - self.start) as usize).min(self.buffer.len());
        let end = (begin + wanted).min(self.buffer.len());
        Ok(&self.buffer[begin..end])
    }
}
