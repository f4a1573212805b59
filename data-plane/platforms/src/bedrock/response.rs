//! The answer: a stream's binary messages become the events that they hold, an error the shape that Anthropic's clients
//! read. Both are read for what they say of the account.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dialects::framing::aws_event_stream::{Framer, Message};
use http::{HeaderMap, StatusCode, header};
use proto::rules::failure::{self, Pause, Row, Status, Then, When};
use serde::Deserialize;
use serde_json::json;

use crate::{
    headers,
    platform::AccountView,
    seen::{self, Seen},
    unwrap::{NotWrapped, Unwrap},
};

/// No error's body is longer; what is goes on without its end.
const MAX_ERROR: usize = 64 * 1024;

pub(super) fn headers(account: &AccountView<'_>, given: &HeaderMap) -> HeaderMap {
    headers::answer(account, given)
}

pub(super) fn seen(status: StatusCode, headers: &HeaderMap, body_head: &[u8], now_ms: i64) -> Seen {
    let mut seen = seen::anthropic_like(status, headers, body_head, now_ms);
    if let (false, Some(kind)) = (status.is_success(), error_type(headers)) {
        seen.error_type = Some(kind);
    }
    seen
}

/// What AWS says otherwise than Anthropic.
pub(super) fn failures() -> failure::Table {
    const MINUTE: i64 = 60_000;
    let credential = Pause::new(30 * MINUTE, 30 * MINUTE);
    let bad_credential = When::Text(&[
        "unrecognizedclientexception",
        "expiredtokenexception",
        "invalidsignatureexception",
        "incompletesignature",
        "missingauthenticationtoken",
        "security token included in the request is",
    ]);
    failure::Table::standard()
        .with_override(Row::new("model_error", Status::Is(424), When::Always, Then::Broken(None)))
        .with_override(Row::new(
            "service_quota",
            Status::Is(400),
            When::Type(&["servicequotaexceededexception"]),
            Then::Limited(Pause::new(MINUTE, 30 * MINUTE)),
        ))
        .with_override(Row::new(
            "bad_credential",
            Status::Is(403),
            bad_credential,
            Then::Unauthorized(credential),
        ))
}

pub(super) fn unwrap(status: StatusCode, headers: &HeaderMap) -> Option<Box<dyn Unwrap>> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type.is_some_and(|kind| kind.starts_with("application/vnd.amazon.eventstream")) {
        return Some(Box::new(Events::default()));
    }
    let kind = error_type(headers);
    (!status.is_success()).then(|| Box::new(Error { kind, body: Vec::new() }) as Box<dyn Unwrap>)
}

/// `x-amzn-errortype`, without the address that may follow.
fn error_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-amzn-errortype")?.to_str().ok()?;
    Some(value.split([':', ',']).next().unwrap_or(value).rsplit('#').next().unwrap_or(value).to_owned())
}

/// Anthropic's word for an error of AWS.
fn anthropic_type(kind: &str) -> &'static str {
    match kind.to_ascii_lowercase().as_str() {
        "validationexception" => "invalid_request_error",
        "accessdeniedexception" => "permission_error",
        "resourcenotfoundexception" => "not_found_error",
        "throttlingexception" | "servicequotaexceededexception" | "modelnotreadyexception" => {
            "rate_limit_error"
        }
        "serviceunavailableexception" | "modelstreamerrorexception" => "overloaded_error",
        "modeltimeoutexception" => "timeout_error",
        "unrecognizedclientexception" | "expiredtokenexception" => "authentication_error",
        _ => "api_error",
    }
}

fn shaped(kind: &str, message: &str) -> serde_json::Value {
    json!({ "type": "error", "error": { "type": anthropic_type(kind), "message": message } })
}

#[derive(Deserialize)]
struct Said {
    #[serde(alias = "Message", default)]
    message: String,
}

/// An error's body: `{"message": …}` becomes Anthropic's shape.
struct Error {
    kind: Option<String>,
    body: Vec<u8>,
}

impl Unwrap for Error {
    fn content_type(&self) -> &'static str {
        "application/json"
    }

    fn push(&mut self, piece: &[u8], _out: &mut Vec<u8>) -> Result<(), NotWrapped> {
        let room = MAX_ERROR.saturating_sub(self.body.len());
        self.body.extend_from_slice(&piece[..piece.len().min(room)]);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), NotWrapped> {
        let said = serde_json::from_slice::<Said>(&self.body).map(|said| said.message);
        let text = said.unwrap_or_else(|_| String::from_utf8_lossy(&self.body).into_owned());
        let kind = self.kind.as_deref().unwrap_or_default();
        out.extend_from_slice(shaped(kind, &text).to_string().as_bytes());
        Ok(())
    }
}

/// A stream of events.
#[derive(Default)]
struct Events(Framer);

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    bytes: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
}

impl Unwrap for Events {
    fn content_type(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), NotWrapped> {
        let mut read = Ok(());
        let framed = self.0.push(piece, |message| {
            if read.is_ok() {
                read = event(&message, out);
            }
        });
        framed.map_err(|_| NotWrapped("its event stream is damaged")).and(read)
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), NotWrapped> {
        self.0.finish().map_err(|_| NotWrapped("its event stream ends within a message"))
    }
}

fn event(message: &Message<'_>, out: &mut Vec<u8>) -> Result<(), NotWrapped> {
    if let Some(kind) = message.text(":exception-type").or_else(|| message.text(":error-code")) {
        let said = serde_json::from_slice::<Said>(message.payload).map(|said| said.message);
        let text = said.ok().or_else(|| message.text(":error-message").map(str::to_owned));
        write(out, "error", shaped(kind, &text.unwrap_or_default()).to_string().as_bytes());
        return Ok(());
    }
    if message.text(":event-type") != Some("chunk") {
        return Ok(());
    }
    let chunk: Chunk<'_> =
        serde_json::from_slice(message.payload).map_err(|_| NotWrapped("a chunk is no JSON"))?;
    let bytes = STANDARD.decode(chunk.bytes.as_bytes()).map_err(|_| NotWrapped("a chunk is no base64"))?;
    let event: Event<'_> =
        serde_json::from_slice(&bytes).map_err(|_| NotWrapped("a chunk holds no event"))?;
    // An event's name is a word of the API; what is none would break the frame.
    if event.kind.bytes().any(|byte| byte < 0x20) || bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err(NotWrapped("a chunk holds an event that cannot be a line"));
    }
    write(out, &event.kind, &bytes);
    Ok(())
}

fn write(out: &mut Vec<u8>, name: &str, data: &[u8]) {
    for part in [b"event: ".as_slice(), name.as_bytes(), b"\ndata: ", data, b"\n\n"] {
        out.extend_from_slice(part);
    }
}
