//! An answer's body in its platform's dialect: as it comes, or with its wrapping taken off. Most answers have none and
//! cost one look.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use platforms::Unwrap;
use upstream::Answer;

/// Bytes in the platform's dialect, piece by piece.
pub struct Source {
    /// None: nothing comes any more.
    answer: Option<Answer>,
    wrapping: Option<Box<Wrapping>>,
}

struct Wrapping {
    by: Box<dyn Unwrap>,
    /// The body has ended, and so has what came out of it.
    ended: bool,
}

/// Why no more comes.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection broke off.
    #[error(transparent)]
    Upstream(#[from] upstream::Error),
    /// The wrapping is not what it must be.
    #[error(transparent)]
    Wrapping(#[from] platforms::NotWrapped),
}

impl Source {
    /// An answer that has that wrapping, or none.
    pub fn new(answer: Answer, by: Option<Box<dyn Unwrap>>) -> Self {
        let wrapping = by.map(|by| Box::new(Wrapping { by, ended: false }));
        Self { answer: Some(answer), wrapping }
    }

    /// One that has ended.
    pub const fn none() -> Self {
        Self { answer: None, wrapping: None }
    }
}

impl Body for Source {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        let Some(answer) = &mut this.answer else { return Poll::Ready(None) };
        let Some(wrapping) = &mut this.wrapping else {
            return Pin::new(answer).poll_frame(cx).map_err(Broken::from);
        };
        loop {
            if wrapping.ended {
                return Poll::Ready(None);
            }
            let mut out = Vec::new();
            match ready!(Pin::new(&mut *answer).poll_frame(cx)) {
                Some(frame) => {
                    let piece = frame?.into_data().unwrap_or_default();
                    wrapping.by.push(&piece, &mut out)?;
                }
                None => {
                    wrapping.ended = true;
                    wrapping.by.finish(&mut out)?;
                }
            }
            // A piece may hold no whole part: nothing comes out of it yet.
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.into()))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.wrapping {
            None => self.answer.as_ref().is_none_or(Answer::is_end_stream),
            Some(wrapping) => wrapping.ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.answer {
            None => SizeHint::with_exact(0),
            Some(answer) if self.wrapping.is_none() => answer.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}
