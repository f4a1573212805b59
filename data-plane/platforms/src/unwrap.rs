//! Bodies that wrap a dialect in something else: a binary framing, an envelope around each document. The relay takes
//! the wrapping off as the pieces come, before the first event is judged and usage is read, so that everything behind
//! it sees the platform's dialect.

/// Takes a wrapping off one answer's body.
pub trait Unwrap: Send + Sync {
    /// The media type of what comes out.
    fn content_type(&self) -> &'static str;

    /// Reads the body's next piece, of any length, and appends what comes out.
    ///
    /// # Errors
    /// When the body is not what it must be: nothing more can be read of it.
    fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), NotWrapped>;

    /// The body ends here.
    ///
    /// # Errors
    /// When it ends too soon.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), NotWrapped>;
}

/// The body is not wrapped as the platform says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's answer is not framed as its API describes: {0}")]
pub struct NotWrapped(pub &'static str);
