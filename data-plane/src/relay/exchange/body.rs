//! The client's body, kept once for all attempts.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use platforms::{BodyPlan, Splice};
use sha2::{Digest as _, Sha256};
use upstream::Pieces;

/// The pieces as they came.
#[derive(Clone, Debug)]
pub struct Kept(Arc<[Bytes]>);

impl Kept {
    /// Keeps these.
    pub fn new(pieces: Vec<Bytes>) -> Self {
        Self(pieces.into())
    }

    /// All of it in one piece: a copy, unless it came in one.
    pub fn joined(&self) -> Bytes {
        match &*self.0 {
            [one] => one.clone(),
            pieces => pieces.concat().into(),
        }
    }

    /// What is sent by a plan.
    pub fn by(&self, plan: BodyPlan) -> Sent {
        match plan {
            BodyPlan::AsIs => Sent(Arc::clone(&self.0)),
            BodyPlan::Splices(splices) => self.spliced(&splices),
            BodyPlan::Replace(bytes) => Sent(Arc::from([bytes])),
        }
    }

    /// All of it, with other bytes in the places of ranges: the pieces on all sides are the same ones.
    fn spliced(&self, splices: &[Splice]) -> Sent {
        let mut pieces = Vec::with_capacity(self.0.len() + 2 * splices.len());
        let mut at = 0;
        for splice in splices {
            self.copy(at..splice.range.start, &mut pieces);
            pieces.push(splice.with.clone());
            at = splice.range.end;
        }
        self.copy(at..usize::MAX, &mut pieces);
        Sent(pieces.into())
    }

    /// Adds what of the pieces lies in a range.
    fn copy(&self, range: Range<usize>, to: &mut Vec<Bytes>) {
        let mut at = 0;
        for piece in self.0.iter() {
            let (start, end) = (at, at + piece.len());
            at = end;
            let from = range.start.clamp(start, end) - start;
            let until = range.end.clamp(start, end) - start;
            if from < until {
                to.push(piece.slice(from..until));
            }
        }
    }
}

/// A body as it is sent.
#[derive(Debug)]
pub struct Sent(Arc<[Bytes]>);

impl Sent {
    /// Its SHA-256, for those who sign.
    pub fn sha256(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        self.0.iter().for_each(|piece| digest.update(piece));
        digest.finalize().into()
    }

    /// The same, to be sent.
    pub fn pieces(self) -> Pieces {
        if self.0.iter().all(Bytes::is_empty) { Pieces::none() } else { Pieces::new(self.0) }
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
            prop_assert_eq!(joined(kept.by(BodyPlan::AsIs).pieces()), body.clone());
            let (start, end) = (range.0.min(range.1).min(body.len()), range.0.max(range.1).min(body.len()));
            let expected = [b"<", &body[..start], &with, &body[end..], b">"].concat();
            let around = |at: usize, with: &'static [u8]| Splice { range: at..at, with: with.into() };
            let within = Splice { range: start..end, with: with.into() };
            let plan = BodyPlan::splices([around(0, b"<"), within, around(body.len(), b">")]);
            prop_assert_eq!(plan.length(body.len() as u64), expected.len() as u64);
            let sent = kept.by(plan);
            prop_assert_eq!(sent.sha256(), <[u8; 32]>::from(Sha256::digest(&expected)));
            prop_assert_eq!(joined(sent.pieces()), expected);
        }
    }
}
