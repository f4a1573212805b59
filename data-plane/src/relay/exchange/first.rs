//! What an answer is until its first event: held and judged, or an error read for what it says.

use std::time::Instant;

use bytes::Bytes;
use dialects::{
    Dialect,
    gate::{FirstEvent, Gate},
};
use http::header;
use http_body_util::BodyExt as _;
use platforms::{Platform, Seen};
use proto::rules::failure;

use super::Answered;
use crate::relay::settle::Usage;

/// The head of an error's body that is looked at, bytes.
const ERROR_HEAD: usize = 64 * 1024;
/// How long the body of an error may take.
const ERROR_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Holds what comes until the first event is known: what was seen, and the usage of an attempt that failed, if it did.
pub(super) async fn first_event(
    answered: &mut Answered,
    dialect: Dialect,
    platform: &'static dyn Platform,
    head: &http::response::Parts,
) -> (Seen, Option<Usage>) {
    let encoding = head.headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let framing = answered.framing;
    let mut gate = framing.is_stream().then(|| FirstEvent::new(dialect, framing, encoding));
    let now_ms = process::clock::unix_ms;
    let mut seen = platform.seen(head.status, &head.headers, &[], now_ms());
    loop {
        let piece = match answered.body.frame().await {
            Some(Err(error)) => {
                seen.error_type = Some(failure::EMPTY_STREAM.into());
                seen.error_message = Some(error.to_string());
                return (seen, Some(Usage::Unknown));
            }
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            None => Bytes::new(),
        };
        let ended = piece.is_empty() || http_body::Body::is_end_stream(&answered.body);
        let judged = match &mut gate {
            Some(gate) if !piece.is_empty() => gate.push(&piece),
            // An answer that is no stream is one as soon as anything of it has come.
            None if !piece.is_empty() => Gate::Release,
            _ => Gate::Hold,
        };
        if !piece.is_empty() {
            answered.held.push(piece);
        }
        let judged = match judged {
            Gate::Hold if ended => gate.take().map_or(Gate::Empty, FirstEvent::finish),
            judged => judged,
        };
        match judged {
            Gate::Hold => {}
            Gate::Release => return (seen, None),
            Gate::Error { error_type, message } => {
                return (seen.with_error(error_type, message), Some(Usage::None));
            }
            Gate::Empty => {
                seen.error_type = Some(failure::EMPTY_STREAM.into());
                return (seen, Some(Usage::None));
            }
        }
    }
}

/// An error by its status: its body's head is read to see what it says.
pub(super) async fn refused(
    answered: &mut Answered,
    platform: &'static dyn Platform,
    head: &http::response::Parts,
) -> Seen {
    let deadline = Instant::now() + ERROR_PATIENCE;
    let mut length = 0;
    while length < ERROR_HEAD {
        match tokio::time::timeout_at(deadline.into(), answered.body.frame()).await {
            Ok(Some(Ok(frame))) => {
                let piece = frame.into_data().unwrap_or_default();
                length += piece.len();
                answered.held.push(piece);
            }
            _ => break,
        }
    }
    match answered.held.as_slice() {
        [whole] => platform.seen(head.status, &head.headers, whole, process::clock::unix_ms()),
        pieces => platform.seen(head.status, &head.headers, &pieces.concat(), process::clock::unix_ms()),
    }
}
