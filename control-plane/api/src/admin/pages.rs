//! What is served beside the API: its description, its docs, a word on health, and a word where the web UI will be.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};
use tonic::body::Body;

use crate::rest::error;

/// Only what this server sends itself, and calls to itself.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The pages.
pub(super) struct Pages {
    openapi: Bytes,
}

impl Pages {
    pub(super) fn new(openapi: &Value) -> Self {
        Self { openapi: openapi.to_string().into() }
    }

    /// The page at a path, if there is one.
    pub(super) fn serve(&self, method: &Method, path: &str) -> Option<Response<Body>> {
        let (kind, content) = match path {
            "/openapi.json" => ("application/json; charset=utf-8", self.openapi.clone()),
            "/docs" | "/docs/" => ("text/html; charset=utf-8", text(include_str!("../docs/index.html"))),
            "/docs/docs.js" => ("text/javascript; charset=utf-8", text(include_str!("../docs/docs.js"))),
            "/docs/docs.css" => ("text/css; charset=utf-8", text(include_str!("../docs/docs.css"))),
            "/" => ("text/html; charset=utf-8", text(include_str!("../docs/root.html"))),
            "/health" => {
                let health = json!({ "status": "healthy", "version": proto::VERSION });
                ("application/json; charset=utf-8", health.to_string().into())
            }
            _ => return None,
        };
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Some(not_allowed());
        }
        let mut response = Response::new(Body::new(Full::new(content)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOCS_POLICY));
        Some(response)
    }
}

fn text(content: &'static str) -> Bytes {
    Bytes::from_static(content.as_bytes())
}

fn not_allowed() -> Response<Body> {
    let status = tonic::Status::unimplemented("only GET and HEAD are allowed here");
    let mut response = error::response_with(&status, StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}
