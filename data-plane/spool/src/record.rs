//! Entries of a segment, byte by byte.
//!
//! `mark u8 · kind u8 · 0 u16 · length u32 · crc32 u32 · body`, little-endian, padded with zeros to a multiple of eight. The
//! checksum covers seed, offset, frame and body: the seed is the epoch's and the segment's own and the offset the
//! entry's place, so that no payload can carry bytes that would pass for an entry, and none passes at another place.

/// First byte of every entry. Not zero: zeros are where a segment ends.
pub const MARK: u8 = 0xE5;
/// Bytes before the body.
pub const FRAME: usize = 12;
/// Bytes of an intent's number.
pub const ID: usize = 8;
/// Bytes of an outcome before the numbers of its intents: sequence, partition, how many.
pub const OUTCOME_HEAD: usize = 8 + 2 + 2;
/// Most intents that one outcome closes.
pub const MAX_INTENTS: usize = 64;
/// The longest body.
pub const MAX_BODY: usize = OUTCOME_HEAD + MAX_INTENTS * ID + crate::MAX_PAYLOAD;
/// The longest entry on disk.
pub const MAX_ENTRY: u64 = framed(MAX_BODY);

/// Bytes on disk of an entry whose body has so many.
pub const fn framed(body: usize) -> u64 {
    ((FRAME + body).next_multiple_of(8)) as u64
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An attempt is about to be made.
    Intent = 1,
    /// Something became known of an attempt that has no outcome yet.
    Note = 2,
    /// What attempts came to.
    Outcome = 3,
    /// Likewise, written by a later process in place of the one that was killed.
    Recovered = 4,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Intent,
            2 => Self::Note,
            3 => Self::Outcome,
            4 => Self::Recovered,
            _ => return None,
        })
    }
}

/// An entry as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// See [`Kind::Intent`].
    Intent {
        /// Its number.
        id: u64,
        /// What the caller wrote.
        payload: &'a [u8],
    },
    /// See [`Kind::Note`].
    Note {
        /// The intent it belongs to.
        id: u64,
        /// What the caller wrote.
        payload: &'a [u8],
    },
    /// See [`Kind::Outcome`] and [`Kind::Recovered`].
    Outcome {
        /// Its number.
        sequence: u64,
        /// Where it is counted.
        partition: u32,
        /// Numbers of the intents it closes, encoded.
        intents: &'a [u8],
        /// What the caller wrote.
        payload: &'a [u8],
    },
}

/// Writes an entry into a buffer, as it stands at `offset`.
pub fn encode(buffer: &mut Vec<u8>, seed: u32, offset: u64, kind: Kind, body: &[&[u8]]) {
    buffer.clear();
    let length: usize = body.iter().map(|part| part.len()).sum();
    buffer.extend_from_slice(&[MARK, kind as u8, 0, 0]);
    buffer.extend_from_slice(&(length as u32).to_le_bytes());
    buffer.extend_from_slice(&[0; 4]);
    body.iter().for_each(|part| buffer.extend_from_slice(part));
    let crc = checksum(seed, offset, &buffer[..8], &buffer[FRAME..]);
    buffer[8..FRAME].copy_from_slice(&crc.to_le_bytes());
    buffer.resize(framed(length) as usize, 0);
}

fn checksum(seed: u32, offset: u64, frame: &[u8], body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&seed.to_le_bytes());
    crc.update(&offset.to_le_bytes());
    crc.update(frame);
    crc.update(body);
    crc.finalize()
}

/// Length of the body that a frame announces; `None` when it is no frame.
pub fn announced(frame: &[u8; FRAME]) -> Option<usize> {
    let length = u32::from_le_bytes([frame[4], frame[5], frame[6], frame[7]]) as usize;
    let plausible = frame[0] == MARK && frame[2] == 0 && frame[3] == 0 && length <= MAX_BODY;
    (plausible && Kind::from_byte(frame[1]).is_some()).then_some(length)
}

/// Reads an entry of frame and body; `None` when its checksum or its shape is wrong.
pub fn decode(seed: u32, offset: u64, entry: &[u8]) -> Option<Entry<'_>> {
    let (frame, body) = entry.split_at_checked(FRAME)?;
    let crc = u32::from_le_bytes([frame[8], frame[9], frame[10], frame[11]]);
    (checksum(seed, offset, &frame[..8], body) == crc).then(|| parse(entry)).flatten()
}

/// Reads an entry whose checksum was found right.
pub fn parse(entry: &[u8]) -> Option<Entry<'_>> {
    let (frame, body) = entry.split_at_checked(FRAME)?;
    let (number, rest) = body.split_first_chunk::<8>()?;
    let number = u64::from_le_bytes(*number);
    Some(match Kind::from_byte(frame[1])? {
        Kind::Intent => Entry::Intent { id: number, payload: rest },
        Kind::Note => Entry::Note { id: number, payload: rest },
        Kind::Outcome | Kind::Recovered => {
            let (partition, rest) = rest.split_first_chunk::<2>()?;
            let (count, rest) = rest.split_first_chunk::<2>()?;
            let (intents, payload) = rest.split_at_checked(usize::from(u16::from_le_bytes(*count)) * ID)?;
            let partition = u32::from(u16::from_le_bytes(*partition));
            if partition >= proto::rules::usage::PARTITIONS {
                return None;
            }
            Entry::Outcome { sequence: number, partition, intents, payload }
        }
    })
}

/// The numbers of the intents that an outcome closes.
pub fn closed(intents: &[u8]) -> impl Iterator<Item = u64> + '_ {
    intents.as_chunks::<ID>().0.iter().map(|id| u64::from_le_bytes(*id))
}

/// The parts of an outcome's body before its payload.
pub fn outcome_head(sequence: u64, partition: u32, intents: impl ExactSizeIterator<Item = u64>) -> Vec<u8> {
    let mut head = Vec::with_capacity(OUTCOME_HEAD + intents.len() * ID);
    head.extend_from_slice(&sequence.to_le_bytes());
    head.extend_from_slice(&(partition as u16).to_le_bytes());
    head.extend_from_slice(&(intents.len() as u16).to_le_bytes());
    intents.for_each(|id| head.extend_from_slice(&id.to_le_bytes()));
    head
}
