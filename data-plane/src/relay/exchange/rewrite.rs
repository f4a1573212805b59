//! What is done to an answer's bytes on their way to the client, where anything is.

use bytes::Bytes;
use dialects::openai_chat::include_usage::Strip;

use super::convert::Converter;

/// A documented change of an answer's bytes.
pub enum Rewrite {
    /// The chunk that tells the usage is taken out: the client did not ask for it.
    Strip(Strip),
    /// All of it is put into the client's dialect.
    Convert(Box<Converter>),
}

impl Rewrite {
    /// Takes the next piece, and gives what of it goes to the client; it may be empty.
    pub fn push(&mut self, piece: Bytes) -> Bytes {
        match self {
            Self::Strip(strip) => strip.push(piece),
            Self::Convert(converter) => converter.push(&piece),
        }
    }

    /// What was waited for, and, of a conversion, whether the client's stream came to its own end; if not, the client
    /// has been told.
    pub fn finish(self) -> (Bytes, Option<bool>) {
        match self {
            Self::Strip(mut strip) => (strip.finish(), None),
            Self::Convert(converter) => {
                let (bytes, whole) = converter.finish();
                (bytes, Some(whole))
            }
        }
    }
}
