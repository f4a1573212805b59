//! A request's body as the pieces it came in: kept once, sent as often as it takes, never joined.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A body of known length. A clone shares the pieces and starts at the beginning.
#[derive(Debug, Default)]
pub struct Pieces {
    pieces: Option<Arc<[Bytes]>>,
    next: usize,
    left: u64,
}

impl Pieces {
    /// No body at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// These pieces, in order.
    pub fn new(pieces: Arc<[Bytes]>) -> Self {
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { pieces: Some(pieces), next: 0, left }
    }

    /// Bytes still to be sent.
    pub fn left(&self) -> u64 {
        self.left
    }
}

impl From<Bytes> for Pieces {
    fn from(piece: Bytes) -> Self {
        if piece.is_empty() { Self::none() } else { Self::new(Arc::from([piece])) }
    }
}

impl Clone for Pieces {
    fn clone(&self) -> Self {
        self.pieces.clone().map_or_else(Self::none, Self::new)
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            let Some(piece) = self.pieces.as_ref().and_then(|pieces| pieces.get(self.next)).cloned() else {
                self.pieces = None;
                return Poll::Ready(None);
            };
            self.next += 1;
            if !piece.is_empty() {
                self.left -= piece.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn pieces_come_as_they_are_and_again_for_a_clone() {
        let body = Pieces::new(Arc::from([Bytes::from("ab"), Bytes::new(), Bytes::from("cde")]));
        assert_eq!(body.size_hint().exact(), Some(5));
        let again = body.clone();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abcde");
        assert_eq!(again.collect().await.unwrap().to_bytes(), "abcde");
        assert!(Pieces::none().is_end_stream());
    }
}
