//! The client's body, kept once for all attempts.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use upstream::Pieces;

/// The pieces as they came.
#[derive(Clone, Debug)]
pub struct Kept(Arc<[Bytes]>);

impl Kept {
    /// Keeps these.
    pub fn new(pieces: Vec<Bytes>) -> Self {
        Self(pieces.into())
    }

    /// All of it, as it came.
    pub fn whole(&self) -> Pieces {
        Pieces::new(Arc::clone(&self.0))
    }

    /// All of it, with other bytes in the place of a range: the pieces on both sides are the same ones.
    pub fn spliced(&self, range: Range<usize>, with: Bytes) -> Pieces {
        let mut pieces = Vec::with_capacity(self.0.len() + 2);
        let (mut at, mut with) = (0, Some(with));
        for piece in self.0.iter() {
            let (start, end) = (at, at + piece.len());
            at = end;
            let before = range.start.clamp(start, end) - start;
            let after = range.end.clamp(start, end) - start;
            if before > 0 {
                pieces.push(piece.slice(..before));
            }
            if range.start < end
                && let Some(with) = with.take()
            {
                pieces.push(with);
            }
            if after < piece.len() {
                pieces.push(piece.slice(after..));
            }
        }
        pieces.extend(with);
        Pieces::new(pieces.into())
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use proptest::prelude::*;

    use super::*;

    fn joined(pieces: Pieces) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { pieces.collect().await.unwrap().to_bytes().to_vec() })
    }

    proptest! {
        /// However a body was cut into pieces: a splice changes its range and nothing else.
        #[test]
        fn a_splice_changes_its_range_alone(
            body in prop::collection::vec(any::<u8>(), 1..200),
            cuts in prop::collection::vec(0_usize..200, 0..6),
            range in (0_usize..200, 0_usize..200),
            with in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
            cuts.sort_unstable();
            let whole = Bytes::from(body.clone());
            let (mut pieces, mut at) = (Vec::new(), 0);
            for cut in cuts.into_iter().chain([body.len()]) {
                pieces.push(whole.slice(at..cut));
                at = cut;
            }
            let kept = Kept::new(pieces);
            prop_assert_eq!(joined(kept.whole()), body.clone());
            let (start, end) = (range.0.min(range.1).min(body.len()), range.0.max(range.1).min(body.len()));
            let expected = [&body[..start], &with, &body[end..]].concat();
            prop_assert_eq!(joined(kept.spliced(start..end, with.into())), expected);
        }
    }
}
