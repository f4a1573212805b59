//! Calling a method in this process: the same service that gRPC clients reach, with the same guard before it.

use std::convert::Infallible;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tonic::{Code, Status, body::Body};
use tower::{Service, ServiceExt as _};

/// Headers of the REST request that the method may see.
const PASSED: [HeaderName; 3] =
    [header::AUTHORIZATION, header::USER_AGENT, HeaderName::from_static("x-request-id")];

/// The headers and extensions of the REST request, as far as the method may see them.
pub struct Origin {
    headers: HeaderMap,
    extensions: Extensions,
}

impl Origin {
    /// Of a request.
    pub fn of(parts: &http::request::Parts) -> Self {
        let mut headers = HeaderMap::new();
        for name in &PASSED {
            for value in parts.headers.get_all(name) {
                headers.append(name, value.clone());
            }
        }
        Self { headers, extensions: parts.extensions.clone() }
    }
}

/// Messages of an answer, one after the other.
pub struct Answer {
    body: Body,
    buffer: BytesMut,
    output: MessageDescriptor,
    done: bool,
}

/// Calls a method.
///
/// # Errors
/// The status with which it answered before any message.
pub async fn call<S>(
    service: S,
    path: &str,
    origin: Origin,
    message: &DynamicMessage,
    output: MessageDescriptor,
) -> Result<Answer, Status>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let mut request = Request::new(Body::new(Full::new(frame(message))));
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    *request.uri_mut() = path.parse().map_err(|_| Status::internal("a method has no path"))?;
    *request.headers_mut() = origin.headers;
    *request.extensions_mut() = origin.extensions;
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
    let response = match service.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    // An error without messages says so in its headers.
    if let Some(status) = Status::from_header_map(response.headers())
        && status.code() != Code::Ok
    {
        return Err(status);
    }
    Ok(Answer { body: response.into_body(), buffer: BytesMut::new(), output, done: false })
}

fn frame(message: &DynamicMessage) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(5 + length);
    frame.put_u8(0);
    frame.put_u32(length as u32);
    let _ = message.encode(&mut frame);
    frame.freeze()
}

impl Answer {
    /// The next message; `None` at the end.
    ///
    /// # Errors
    /// The status with which the method ended.
    pub async fn next(&mut self) -> Result<Option<DynamicMessage>, Status> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            if self.done {
                return Ok(None);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.buffer.extend_from_slice(&data),
                    Err(frame) => {
                        self.done = true;
                        let trailers = frame.into_trailers().unwrap_or_default();
                        match Status::from_header_map(&trailers) {
                            Some(status) if status.code() != Code::Ok => return Err(status),
                            _ => {}
                        }
                    }
                },
                Some(Err(status)) => return Err(status),
                None => self.done = true,
            }
        }
    }

    /// The one message of a method that answers with one, to its end.
    ///
    /// # Errors
    /// The status with which the method ended.
    pub async fn only(mut self) -> Result<DynamicMessage, Status> {
        let first = self.next().await?.ok_or_else(|| Status::internal("the method answered nothing"))?;
        while self.next().await?.is_some() {}
        Ok(first)
    }

    fn take(&mut self) -> Result<Option<DynamicMessage>, Status> {
        let Some(head) = self.buffer.get(..5) else { return Ok(None) };
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if self.buffer.len() < 5 + length {
            return Ok(None);
        }
        if head[0] != 0 {
            return Err(Status::internal("the method answered compressed"));
        }
        self.buffer.advance(5);
        let message = DynamicMessage::decode(self.output.clone(), self.buffer.split_to(length).freeze());
        message.map(Some).map_err(|_| Status::internal("the method's answer cannot be read"))
    }
}
