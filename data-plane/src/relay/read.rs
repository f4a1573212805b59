//! The client's body: taken in within the node's byte budget, kept as the pieces that came, and looked into while it
//! arrives. Nothing is read before the key was found good.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use dialects::{
    Dialect,
    error::Kind,
    peek::{Peek, Scanner},
};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{Refusal, malformed, too_large};
use crate::metrics::Reason;

/// What a unit of the budget stands for.
const UNIT: u64 = 4 * 1024;
/// Set aside for every request's buffers, beside its body.
const BASE: u64 = 64 * 1024;
/// A body of unknown length is reserved for in steps.
const STEP: u64 = 256 * 1024;
/// How long a reservation may wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes that all requests' bodies and buffers may take together.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Semaphore>);

impl Budget {
    /// So many bytes.
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(Semaphore::new(usize::try_from(bytes / UNIT).unwrap_or(Semaphore::MAX_PERMITS))))
    }

    /// Reserves bytes.
    ///
    /// # Errors
    /// 503 when there is no room within a second.
    pub async fn reserve(&self, bytes: u64) -> Result<Reserved, Refusal> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        if let Ok(permit) = Arc::clone(&self.0).try_acquire_many_owned(units) {
            return Ok(Reserved(permit));
        }
        let waiting = Arc::clone(&self.0).acquire_many_owned(units);
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Ok(permit)) => Ok(Reserved(permit)),
            _ => Err(Refusal::new(
                Kind::Unavailable,
                Reason::Budget,
                "the relay is out of memory for requests",
            )
            .later(1_000)
            .closing()),
        }
    }
}

/// A part of the budget, given back on drop.
#[derive(Debug)]
pub struct Reserved(OwnedSemaphorePermit);

impl Reserved {
    /// Gives back all but what the request's buffers take: its body is not kept any more.
    pub fn release_body(&mut self) {
        let base = BASE.div_ceil(UNIT) as usize;
        let held = self.0.num_permits();
        drop(self.0.split(held.saturating_sub(base)));
    }
}

/// A body that has come in whole.
#[derive(Debug)]
pub struct Taken {
    /// Its pieces, as they came.
    pub pieces: Vec<Bytes>,
    /// Their length.
    pub length: u64,
    /// What was seen in it.
    pub peek: Peek,
    /// Its part of the budget.
    pub reserved: Reserved,
}

/// What bounds a body.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Longest body.
    pub longest: u64,
    /// Longest silence within it.
    pub silence: Duration,
}

/// Takes the body in.
///
/// # Errors
/// 413, 400, 408, 503; see the module.
pub async fn body(
    mut incoming: Incoming,
    dialect: Dialect,
    with_anchors: bool,
    budget: &Budget,
    bounds: Bounds,
) -> Result<Taken, Refusal> {
    let announced = incoming.size_hint().exact();
    if announced.is_some_and(|length| length > bounds.longest) {
        return Err(too_large(bounds.longest));
    }
    let mut room = announced.unwrap_or(STEP);
    let mut reserved = budget.reserve(BASE + room).await?;
    let mut scanner = Scanner::new(dialect);
    if !with_anchors {
        scanner = scanner.without_anchors();
    }
    let (mut pieces, mut length) = (Vec::new(), 0);
    loop {
        let frame = match tokio::time::timeout(bounds.silence, incoming.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(malformed("the request body broke off").closing()),
            Err(_) => return Err(slow()),
        };
        // Trailers are not relayed.
        let Ok(piece) = frame.into_data() else { continue };
        length += piece.len() as u64;
        if length > bounds.longest {
            return Err(too_large(bounds.longest));
        }
        if length > room {
            reserved.0.merge(budget.reserve(STEP).await?.0);
            room += STEP;
        }
        scanner.push(&piece).map_err(|error| malformed(error.to_string()).closing())?;
        pieces.push(piece);
        if incoming.is_end_stream() {
            break;
        }
    }
    let peek = scanner.finish().map_err(|error| malformed(error.to_string()))?;
    Ok(Taken { pieces, length, peek, reserved })
}

fn slow() -> Refusal {
    Refusal::new(Kind::RequestTimeout, Reason::Malformed, "the request body did not arrive in time").closing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_budget_is_bounded_and_given_back() {
        let budget = Budget::new(1 << 20);
        let mut held = budget.reserve(BASE + (512 << 10)).await.unwrap();
        let refused = budget.reserve(BASE + (512 << 10)).await.unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.close), (503, true));
        held.release_body();
        let other = budget.reserve(BASE + (512 << 10)).await.unwrap();
        drop((held, other));
        assert!(budget.reserve(1 << 20).await.is_ok());
    }
}
