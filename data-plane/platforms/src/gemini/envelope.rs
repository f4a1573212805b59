//! The envelope of `v1internal`: a request's body goes into `{"model", "project", "request"}`, an answer's documents come
//! out of `{"response", …}`.

use bytes::Bytes;
use dialects::framing::sse::{self, Framer};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    platform::{BodyPlan, Call, Splice},
    request::json_text,
    unwrap::{NotWrapped, Unwrap},
};

/// No event and no document is longer.
const LONGEST: usize = 32 * 1024 * 1024;

/// The client's body in the envelope: every byte of it stays.
pub(super) fn wrap(call: &Call<'_>, model: &str, project: &str) -> BodyPlan {
    let end = usize::try_from(call.peek.bytes).unwrap_or(usize::MAX);
    let head = [
        br#"{"model":"#.as_slice(),
        &json_text(model),
        br#","project":"#,
        &json_text(project),
        br#","request":"#,
    ]
    .concat();
    let put = |at: usize, with: Bytes| Splice { range: at..at, with };
    BodyPlan::splices([put(0, head.into()), put(end, Bytes::from_static(b"}"))])
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

/// What the envelope holds; what is none (an error) stays as it is.
fn inner(document: &str) -> &str {
    let envelope = serde_json::from_str::<Envelope<'_>>(document).ok();
    envelope.and_then(|envelope| envelope.response).map_or(document, RawValue::get)
}

/// The envelopes of a stream's events.
pub(super) struct Events {
    framer: Framer,
    longest_seen: bool,
}

impl Events {
    pub(super) fn new() -> Self {
        Self { framer: Framer::new(LONGEST), longest_seen: false }
    }
}

impl Unwrap for Events {
    fn content_type(&self) -> &'static str {
        "text/event-stream"
    }

    fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), NotWrapped> {
        let too_long = &mut self.longest_seen;
        self.framer.push(piece, |event| match event {
            sse::Event::Whole(bytes) => {
                let event = sse::read(bytes);
                match event.data.as_deref().map(std::str::from_utf8) {
                    Some(Ok(data)) if !data.is_empty() => {
                        out.extend_from_slice(b"data: ");
                        // A document over several lines stays one line: JSON's own blanks are all that can be there.
                        out.extend(inner(data).bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
                        out.extend_from_slice(b"\n\n");
                    }
                    _ => out.extend_from_slice(bytes),
                }
            }
            sse::Event::Cut(_) => *too_long = true,
        });
        if self.longest_seen { Err(NotWrapped("an event is too long")) } else { Ok(()) }
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), NotWrapped> {
        Ok(())
    }
}

/// The envelope of an answer that is one document.
#[derive(Default)]
pub(super) struct Whole(Vec<u8>);

impl Unwrap for Whole {
    fn content_type(&self) -> &'static str {
        "application/json; charset=UTF-8"
    }

    fn push(&mut self, piece: &[u8], _out: &mut Vec<u8>) -> Result<(), NotWrapped> {
        if self.0.len() + piece.len() > LONGEST {
            return Err(NotWrapped("its document is too long"));
        }
        self.0.extend_from_slice(piece);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), NotWrapped> {
        match std::str::from_utf8(&self.0) {
            Ok(document) => out.extend_from_slice(inner(document).as_bytes()),
            Err(_) => out.append(&mut self.0),
        }
        Ok(())
    }
}
