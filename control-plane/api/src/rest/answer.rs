//! Answers as JSON: proto field names, 64-bit integers as numbers, defaults written out; streams as lines of JSON or as
//! server-sent events, as the client asks.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use prost_reflect::{DynamicMessage, SerializeOptions};
use tonic::{Status, body::Body};

use super::{call::Answer, error};

/// A message as JSON.
pub fn json(message: &DynamicMessage) -> serde_json::Value {
    let options = SerializeOptions::new()
        .stringify_64_bit_integers(false)
        .use_proto_field_name(true)
        .skip_default_fields(false);
    message.serialize_with_options(serde_json::value::Serializer, &options).unwrap_or_default()
}

/// The answer of a method that answers with one message.
pub fn one(message: &DynamicMessage) -> Response<Body> {
    error::json_response(StatusCode::OK, &json(message))
}

/// How a stream is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One JSON value per line.
    Lines,
    /// Server-sent events.
    Events,
}

/// The answer of a method that answers with a stream.
pub fn many(answer: Answer, headers: &HeaderMap) -> Response<Body> {
    let accepts = |kind: &str| {
        headers
            .get_all(header::ACCEPT)
            .iter()
            .any(|value| value.to_str().is_ok_and(|text| text.contains(kind)))
    };
    let form = if accepts("text/event-stream") { Form::Events } else { Form::Lines };
    let pieces = stream::unfold(Some(answer), move |answer| async move {
        let mut answer = answer?;
        match answer.next().await {
            Ok(Some(message)) => Some((piece(form, "message", &json(&message)), Some(answer))),
            Ok(None) => None,
            Err(status) => Some((failure(form, &status), None)),
        }
    });
    let mut response = Response::new(Body::new(Pieces(Box::pin(pieces))));
    let kind = match form {
        Form::Events => "text/event-stream",
        Form::Lines => "application/x-ndjson",
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn failure(form: Form, status: &Status) -> Bytes {
    piece(form, "error", &error::to_json(status, error::http_status(status.code())))
}

fn piece(form: Form, event: &str, value: &serde_json::Value) -> Bytes {
    match form {
        Form::Lines => format!("{value}\n").into(),
        Form::Events => format!("event: {event}\ndata: {value}\n\n").into(),
    }
}

/// A stream of pieces as a body.
struct Pieces(Pin<Box<dyn Stream<Item = Bytes> + Send>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.0.poll_next_unpin(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}
