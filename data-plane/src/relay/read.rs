//! The client's body: taken in within the node's byte budget, kept as the pieces that came, and looked into while it
//! arrives. Nothing is read before the key was found good.
//!
//! A coded body (`content-encoding`) is decoded here and goes on plain: it must be looked into, and few upstreams take a
//! coded one. However much a few bytes unfold to, every step of it is paid for from the budget, and a body's longest
//! length bounds what it unfolds to.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use dialects::{
    Dialect,
    decode::Decoder,
    error::Kind,
    peek::{Peek, Scanner},
};
use http::{HeaderMap, StatusCode, header::CONTENT_ENCODING};
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
/// So much of a coded body is decoded at once.
const CODED_STEP: usize = 2 * 1024;
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

/// The coding of a body, by its headers, from which it is taken: what is decoded goes on plain.
///
/// # Errors
/// 415 for one that is not known, and for more than one.
pub fn coding(headers: &mut HeaderMap) -> Result<Decoder, Refusal> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    let first = codings.next().map(|coding| coding.to_str().unwrap_or("?"));
    let decoder = Decoder::new(first);
    if decoder.has_failed() || codings.next().is_some() {
        let message =
            "the request's content-encoding is not known; gzip, deflate, br and zstd are, one at a time";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Refusal { status, ..malformed(message).code("unsupported_content_encoding").closing() });
    }
    headers.remove(CONTENT_ENCODING);
    Ok(decoder)
}

/// Takes the body in.
///
/// # Errors
/// 413, 400, 408, 503; see the module.
pub async fn body(
    mut incoming: Incoming,
    mut coding: Decoder,
    dialect: Dialect,
    with_anchors: bool,
    budget: &Budget,
    bounds: Bounds,
) -> Result<Taken, Refusal> {
    let announced = incoming.size_hint().exact();
    if announced.is_some_and(|length| length > bounds.longest) {
        return Err(too_large(bounds.longest));
    }
    let mut scanner = Scanner::new(dialect);
    if !with_anchors {
        scanner = scanner.without_anchors();
    }
    // What a coded body's own length says of the plain one is little.
    let room = announced.filter(|_| coding.is_identity()).unwrap_or(STEP);
    let reserved = budget.reserve(BASE + coding.window() + room).await?;
    let mut intake = Intake { budget, bounds, room, reserved, scanner, pieces: Vec::new(), length: 0 };
    loop {
        let frame = match tokio::time::timeout(bounds.silence, incoming.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(malformed("the request body broke off").closing()),
            Err(_) => return Err(slow()),
        };
        // Trailers are not relayed.
        let Ok(piece) = frame.into_data() else { continue };
        match coding.is_identity() {
            true => intake.take(piece).await?,
            false => intake.decode(&mut coding, &piece).await?,
        }
        if incoming.is_end_stream() {
            break;
        }
    }
    let Intake { scanner, pieces, length, reserved, .. } = intake;
    let peek = scanner.finish().map_err(|error| malformed(error.to_string()))?;
    Ok(Taken { pieces, length, peek, reserved })
}

/// A body on its way in.
struct Intake<'a> {
    budget: &'a Budget,
    bounds: Bounds,
    /// Bytes of it that are reserved.
    room: u64,
    reserved: Reserved,
    scanner: Scanner,
    pieces: Vec<Bytes>,
    length: u64,
}

impl Intake<'_> {
    async fn take(&mut self, piece: Bytes) -> Result<(), Refusal> {
        self.length += piece.len() as u64;
        if self.length > self.bounds.longest {
            return Err(too_large(self.bounds.longest));
        }
        if self.length > self.room {
            let more = (self.length - self.room).next_multiple_of(STEP);
            self.reserved.0.merge(self.budget.reserve(more).await?.0);
            self.room += more;
        }
        self.scanner.push(&piece).map_err(|error| malformed(error.to_string()).closing())?;
        self.pieces.push(piece);
        Ok(())
    }

    /// In steps, so that what one step unfolds to is bounded before it is paid for.
    async fn decode(&mut self, coding: &mut Decoder, piece: &[u8]) -> Result<(), Refusal> {
        for step in piece.chunks(CODED_STEP) {
            let mut plain = Vec::new();
            let result = coding.push(step, |bytes| plain.extend_from_slice(bytes));
            if !plain.is_empty() {
                self.take(plain.into()).await?;
            }
            result.map_err(|error| malformed(error.to_string()).closing())?;
        }
        Ok(())
    }
}

fn slow() -> Refusal {
    Refusal::new(Kind::RequestTimeout, Reason::Malformed, "the request body did not arrive in time").closing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_coding_is_taken_and_no_other() {
        let coding = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, http::HeaderValue::from_static(value));
            }
            super::coding(&mut headers).map(|decoder| decoder.is_identity()).map_err(|no| no.status.as_u16())
        };
        assert_eq!((coding(&[]), coding(&["identity"]), coding(&["gzip"])), (Ok(true), Ok(true), Ok(false)));
        for odd in [&["compress"][..], &["gzip, br"], &["gzip", "gzip"], &["aes128gcm"]] {
            assert_eq!(coding(odd), Err(415), "{odd:?}");
        }
    }

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
