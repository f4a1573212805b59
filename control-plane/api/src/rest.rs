//! REST: every HTTP route of the contract, transcoded from the descriptors into calls of the very service that gRPC
//! clients reach. No method is named here.

pub mod answer;
pub mod bindings;
pub mod call;
pub mod error;
pub mod json;
pub mod path;
pub mod query;
pub mod request;
pub mod router;
pub mod template;

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use domain::Violations;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tonic::{Status, body::Body};
use tower::Service;

use self::{
    bindings::{BindingError, Body as BodyRule},
    call::Origin,
    router::{Found, Router},
};
use crate::{contract, convert};

/// Longest time that a body may take to come.
const BODY_DEADLINE: Duration = Duration::from_secs(20);

/// Who is asked before a request's body is read.
pub trait Door {
    /// Whether the caller of a method may send a body, and how many bytes of it at most.
    ///
    /// # Errors
    /// Why not.
    fn knock(
        &self,
        path: &str,
        parts: &http::request::Parts,
    ) -> impl Future<Output = Result<usize, Status>> + Send;
}

/// Transcodes REST requests for a service.
#[derive(Clone)]
pub struct Rest<S> {
    router: Arc<Router>,
    service: S,
    max_body: usize,
}

impl<S> Rest<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Door + Clone,
{
    /// Over a service that serves these methods; bodies may have `max_body` bytes.
    ///
    /// # Errors
    /// A route that cannot be served.
    pub fn new(
        pool: &DescriptorPool,
        methods: impl Iterator<Item = MethodDescriptor>,
        service: S,
        max_body: usize,
    ) -> Result<Self, BindingError> {
        let router = Arc::new(Router::new(bindings::read(pool, methods)?));
        Ok(Self { router, service, max_body })
    }

    /// The routes.
    pub fn router(&self) -> &Arc<Router> {
        &self.router
    }

    /// Serves a request; a path that no route has is answered 404.
    pub async fn serve<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes>,
    {
        let (parts, body) = request.into_parts();
        let segments = match path::segments(parts.uri.path()) {
            Ok(segments) => segments,
            Err(why) => return error::response(&Status::invalid_argument(why.to_string())),
        };
        let method = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
        let (binding, segments) = match self.router.find(method, &segments) {
            Found::Route(binding, segments) => (binding, segments),
            Found::OtherMethods(methods) => return other_methods(&parts.method, &methods),
            Found::Nothing => {
                let status =
                    convert::refusal(tonic::Code::NotFound, "NO_ROUTE", "there is nothing at this path");
                return error::response(&status);
            }
        };
        let path = contract::path(&binding.method);
        let max = match self.service.knock(&path, &parts).await {
            Ok(max) => max.min(self.max_body),
            Err(status) => return error::response(&status),
        };
        let body = match tokio::time::timeout(BODY_DEADLINE, read_body(&parts.headers, body, max)).await {
            Ok(Ok(body)) => body,
            Ok(Err(response)) => return *response,
            Err(_) => {
                let status = Status::deadline_exceeded("the body took too long to come");
                return error::response_with(&status, StatusCode::REQUEST_TIMEOUT);
            }
        };
        if !matches!(binding.body, BodyRule::None) && !is_json(&parts.headers, &body) {
            let status = Status::invalid_argument("send the body as `content-type: application/json`");
            return error::response_with(&status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        let query = parts.uri.query().unwrap_or_default();
        let message = match request::build(binding, &segments, query, &body) {
            Ok(message) => message,
            Err(wrong) => return error::response(&convert::invalid(&wrong)),
        };
        let output = binding.method.output();
        match call::call(self.service.clone(), &path, Origin::of(&parts), &message, output).await {
            Ok(answer) if binding.method.is_server_streaming() => answer::many(answer, &parts.headers),
            Ok(answer) => match answer.only().await {
                Ok(message) => answer::one(&message),
                Err(status) => error::response(&status),
            },
            Err(status) => error::response(&status),
        }
    }
}

/// The whole body, at most so long. Its declared length is believed only to refuse.
async fn read_body<B>(headers: &http::HeaderMap, body: B, max: usize) -> Result<Bytes, Box<Response<Body>>>
where
    B: http_body::Body<Data = Bytes>,
{
    let too_large = || {
        let status = Status::invalid_argument(format!("the body has more than {max} bytes"));
        Box::new(error::response_with(&status, StatusCode::PAYLOAD_TOO_LARGE))
    };
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > max as u64) {
        return Err(too_large());
    }
    let mut body = std::pin::pin!(body);
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            let wrong = Violations::one("", "the body broke off");
            return Err(Box::new(error::response(&convert::invalid(&wrong))));
        };
        let Ok(data) = frame.into_data() else { continue };
        if read.len() + data.len() > max {
            return Err(too_large());
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

fn is_json(headers: &http::HeaderMap, body: &[u8]) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return true };
    let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    body.is_empty() || kind.eq_ignore_ascii_case("application/json")
}

fn other_methods(asked: &Method, methods: &[Method]) -> Response<Body> {
    let mut allowed: Vec<&str> = methods.iter().map(Method::as_str).collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.push("OPTIONS");
    let allowed = allowed.join(", ");
    let mut response = if asked == Method::OPTIONS {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        let message = format!("{asked} is not allowed here; allowed are {allowed}");
        let status = convert::refusal(tonic::Code::Unimplemented, "METHOD_NOT_ALLOWED", &message);
        error::response_with(&status, StatusCode::METHOD_NOT_ALLOWED)
    };
    if let Ok(value) = HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

#[cfg(test)]
mod tests;
