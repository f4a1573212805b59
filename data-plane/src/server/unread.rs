//! Requests that hyper refuses by itself, because it cannot read their head: it answers them with a bare status, which
//! tells a client nothing and no log. Here such an answer is known on its way out, and replaced by a refusal like all
//! others: in a dialect's shape, with a request id, counted and logged. `watch` calls it.

use std::net::SocketAddr;

use dialects::error::Kind;
use http::{Method, StatusCode, Uri};

use super::answer::{self, Door};
use crate::{
    metrics::Reason,
    relay::{error::Refusal, respond},
    routes::{self, Route},
};

/// What stands between status line and date in an answer of hyper's own. No answer of ours is written like that: each
/// carries its request id.
const BARE: &[u8] = b"\r\nconnection: close\r\ncontent-length: 0\r\ndate: ";
/// A date and the end of the head.
const REST: usize = "Fri, 20 Nov 2026 18:31:50 GMT\r\n\r\n".len();

/// The status, if these bytes are an answer of hyper's own.
pub(super) fn hypers_own(bytes: &[u8]) -> Option<StatusCode> {
    let line = bytes.strip_prefix(b"HTTP/1.1 4")?;
    let end = memchr::memchr(b'\r', line)?;
    let rest = line[end..].strip_prefix(BARE)?;
    let status = StatusCode::from_bytes(bytes.get(9..12)?).ok()?;
    (rest.len() == REST && rest.ends_with(b"\r\n\r\n")).then_some(status)
}

/// The answer in its place, as it goes onto the wire. `line` is the beginning of the request line, as far as it came.
pub(super) fn instead(door: &Door, peer: SocketAddr, status: StatusCode, line: &[u8]) -> Vec<u8> {
    let (head, route) = guessed(line);
    let asked = answer::asked(&door.worker, peer, head, route);
    let refusal = refusal(status);
    let response = answer::turn_away(&door.worker, &asked, &refusal);
    let body = respond::own_bytes(response.body());
    let reason = status.canonical_reason().unwrap_or_default();
    let mut wire = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in response.headers() {
        wire.extend_from_slice(name.as_str().as_bytes());
        wire.extend_from_slice(b": ");
        wire.extend_from_slice(value.as_bytes());
        wire.extend_from_slice(b"\r\n");
    }
    let last = format!("{}: {}\r\ncontent-length: {}\r\n\r\n", respond::REQUEST_ID, asked.id, body.len());
    wire.extend_from_slice(last.as_bytes());
    wire.extend_from_slice(body);
    wire
}

fn refusal(status: StatusCode) -> Refusal {
    let (kind, message) = match status {
        StatusCode::URI_TOO_LONG => (Kind::InvalidRequest, "the request's address is too long"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            (Kind::RequestTooLarge, "the request's headers are too many or too long")
        }
        _ => (Kind::InvalidRequest, "the head of the request is not valid HTTP"),
    };
    Refusal { status, ..Refusal::new(kind, Reason::Malformed, message) }.closing()
}

/// Method and path as far as they can be told, for the dialect and the log.
fn guessed(line: &[u8]) -> (http::request::Parts, Route) {
    let (mut head, ()) = http::Request::new(()).into_parts();
    let mut words = line.split(|byte| *byte == b' ');
    let method = words.next().and_then(|word| Method::from_bytes(word).ok());
    let path = words.next().and_then(|word| word.split(|byte| *byte == b'?').next());
    let path = path.filter(|path| path.starts_with(b"/")).and_then(|path| Uri::try_from(path).ok());
    head.method = method.unwrap_or_default();
    head.uri = path.unwrap_or_else(|| Uri::from_static("*"));
    let route = Route::Unknown(routes::by_prefix(head.uri.path()));
    (head, route)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_hyper_writes_by_itself_is_taken_for_it() {
        let own = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\
            date: Fri, 20 Nov 2026 18:31:50 GMT\r\n\r\n";
        assert_eq!(hypers_own(own.as_bytes()), Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        for other in [
            "",
            "HTTP/1.1 4",
            "HTTP/1.1 400 Bad Request\r\n\r\n",
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\ndate: Fri, 20 Nov 2026 18:31:50 GMT\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\nrequest-id: req_1\r\nconnection: close\r\ncontent-length: 0\r\ndate: Fri, 20 Nov 2026 18:31:50 GMT\r\n\r\n",
            &format!("{own}x"),
        ] {
            assert_eq!(hypers_own(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn method_and_path_are_told_as_far_as_they_came() {
        for (line, method, path, dialect) in [
            ("POST /openai/v1/x?key=secret HTTP/1.1", "POST", "/openai/v1/x", dialects::Dialect::OpenaiChat),
            ("GET /gemini/aaaaaaaaaaaaaaa", "GET", "/gemini/aaaaaaaaaaaaaaa", dialects::Dialect::Gemini),
            ("\u{16}\u{3}\u{1}", "GET", "*", dialects::Dialect::AnthropicMessages),
            ("", "GET", "*", dialects::Dialect::AnthropicMessages),
        ] {
            let (head, route) = guessed(line.as_bytes());
            assert_eq!((head.method.as_str(), head.uri.path(), route.dialect()), (method, path, dialect));
        }
    }
}
