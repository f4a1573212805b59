//! What a caller holds between an intent and its outcome.

use crate::{TooLarge, record};

/// The most bytes that one payload may have; a caller bounds what it explains.
pub const MAX_PAYLOAD: usize = 8 * 1024;

/// Bytes to be written, known to fit: checked where they are built, so that writing an outcome cannot fail for its size.
#[derive(Clone, Copy)]
pub struct Payload<'a>(&'a [u8]);

impl<'a> Payload<'a> {
    /// Takes bytes as a payload.
    ///
    /// # Errors
    /// [`TooLarge`] beyond [`MAX_PAYLOAD`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, TooLarge> {
        if bytes.len() > MAX_PAYLOAD {
            return Err(TooLarge { length: bytes.len(), max: MAX_PAYLOAD });
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }
}

/// Room that an intent's notes may use for certain, in bytes on disk.
pub(crate) const NOTE_ROOM: u64 = 2 * 1024;

/// Room set aside for an intent's outcome, in bytes on disk. Each of several intents that one outcome closes brings as
/// much, so that the outcome always fits.
pub(crate) const OUTCOME_ROOM: u64 = record::framed(record::OUTCOME_HEAD + record::ID + MAX_PAYLOAD);

/// The obligation to write an outcome, with the room to do so. One that is dropped stays on disk as an intent without
/// outcome, which the next start makes a record of, and its room stays taken until then.
#[must_use = "an intent must be given to `Lane::outcome`"]
#[derive(Debug)]
pub struct Intent {
    pub(crate) id: u64,
    pub(crate) segment: u64,
    /// Tells lanes apart: an intent is closed on the lane that gave it.
    pub(crate) lane: u64,
    pub(crate) note_room: u64,
}

impl Intent {
    /// Its number in its epoch.
    pub fn id(&self) -> u64 {
        self.id
    }
}
