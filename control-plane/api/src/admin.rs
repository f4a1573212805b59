//! The one service of the administration port: gRPC and gRPC-Web by content type, else REST, the API's description and
//! its docs. Everything that must hold for all of them holds here.

mod bounded;
mod cors;
mod pages;

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use fleet::Fleet;
use http::{HeaderName, HeaderValue, Request, Response, header};
use store::{Store, View};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic_health::server::HealthReporter;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer as _, Service, ServiceExt as _};

use self::{bounded::Bounded, cors::Cors, pages::Pages};
use crate::{
    auth::{Authenticator, Buckets, Hasher},
    client::{Client, Network, Peer},
    contract, convert,
    guard::{Guard, Rules},
    openapi,
    probe::Prober,
    records::Records,
    rest::{Rest, bindings::BindingError, error},
    routes::{self, Parts},
};

/// The header that names a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A request that waits longer than this for its own answer is given up.
const DEADLINE: Duration = Duration::from_secs(150);

/// What the API is built from.
pub struct Deps {
    /// The store, bootstrapped.
    pub store: Store,
    /// A view that holds the kinds of [`crate::with_kinds`].
    pub view: View,
    /// The fleet.
    pub fleet: Fleet,
    /// What sends probes.
    pub prober: Arc<dyn Prober>,
    /// The clock: Unix milliseconds.
    pub now_ms: fn() -> i64,
    /// What operators may set.
    pub options: Options,
}

/// What operators may set.
#[derive(Clone, Debug)]
pub struct Options {
    /// Origins of web pages that may call, such as `https://admin.example.com`; empty: none but our own.
    pub cors_origins: Vec<String>,
    /// Proxies that are believed about the client's address.
    pub trusted_proxies: Vec<Network>,
    /// Largest request, bytes.
    pub max_body: usize,
    /// Requests at once, streams included.
    pub max_requests: usize,
    /// Requests without login that one address may make at once.
    pub strangers_burst: u32,
    /// Requests without login that one address may make per second, on and on.
    pub strangers_per_second: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            max_body: 1 << 20,
            max_requests: 1024,
            strangers_burst: 100,
            strangers_per_second: 20,
        }
    }
}

type Guarded = Guard<tonic::service::Routes>;

/// The service. Clones share one.
#[derive(Clone)]
pub struct Admin {
    inner: Arc<Inner>,
}

struct Inner {
    grpc: GrpcWebService<Guarded>,
    rest: Rest<Guarded>,
    pages: Pages,
    cors: Cors,
    trusted: Vec<Network>,
    turns: Arc<Semaphore>,
    health: HealthReporter,
}

/// Builds the service.
///
/// # Errors
/// A route of the contract that cannot be served.
pub async fn admin(deps: Deps) -> Result<Admin, BindingError> {
    let options = deps.options;
    let records = Records::new(deps.store.clone(), deps.view.clone(), deps.now_ms);
    let strangers = Buckets::new(options.strangers_burst, options.strangers_per_second);
    let authenticator = Arc::new(Authenticator::new(deps.store, deps.view, deps.now_ms, strangers));
    let rules = Arc::new(Rules::of_contract());
    let (health, health_service) = tonic_health::server::health_reporter();
    let parts = Parts {
        records,
        fleet: deps.fleet,
        prober: deps.prober,
        hasher: Hasher::default(),
        rules: Arc::clone(&rules),
        max_body: options.max_body,
    };
    let routes = routes::build(parts, &health).await.add_service(health_service).prepare();
    let guarded = Guard::new(routes, rules, authenticator);
    let rest = Rest::new(contract::pool(), contract::methods(), guarded.clone(), options.max_body)?;
    let pages = Pages::new(&openapi::document(rest.router().bindings()));
    let inner = Inner {
        grpc: GrpcWebLayer::new().layer(guarded),
        rest,
        pages,
        cors: Cors::new(options.cors_origins),
        trusted: options.trusted_proxies,
        turns: Arc::new(Semaphore::new(options.max_requests)),
        health,
    };
    Ok(Admin { inner: Arc::new(inner) })
}

impl Admin {
    /// Tells health checks that this replica takes no new work.
    pub async fn draining(&self) {
        self.inner.health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    }
}

impl<B> Service<Request<B>> for Admin
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + std::fmt::Display,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { Ok(inner.serve(request).await) })
    }
}

impl Inner {
    async fn serve<B>(&self, mut request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + std::fmt::Display,
    {
        let id = request_id(request.headers());
        request.headers_mut().insert(REQUEST_ID, id.clone());
        let peer = request.extensions().get::<Peer>().copied();
        let client = Client::of(peer, request.headers(), &self.trusted);
        request.extensions_mut().insert(client);
        let origin = self.cors.origin_of(request.headers());
        let grpc = is_grpc(request.headers());
        let line = format!("{} {}", request.method(), request.uri().path());
        let mut response = match Arc::clone(&self.turns).try_acquire_owned() {
            Err(_) => overloaded(grpc),
            Ok(turn) => {
                let answer = self.answer(request, grpc);
                match tokio::time::timeout(DEADLINE, answer).await {
                    Ok(response) => response.map(|body| Body::new(Bounded::new(body, turn))),
                    Err(_) => refused(grpc, &tonic::Status::deadline_exceeded("the request took too long")),
                }
            }
        };
        // Without the query: nobody knows what people put there.
        tracing::debug!(line, request_id = ?id, status = response.status().as_u16(), "an administration request");
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, id);
        if let Some(origin) = origin {
            self.cors.mark(headers, origin);
        }
        secure(headers);
        response
    }

    async fn answer<B>(&self, request: Request<B>, grpc: bool) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + std::fmt::Display,
    {
        if let Some(preflight) = self.cors.preflight(&request) {
            return preflight;
        }
        if grpc {
            return match self.grpc.clone().oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
        }
        if let Some(page) = self.pages.serve(request.method(), request.uri().path()) {
            return page;
        }
        self.rest.serve(request).await
    }
}

fn is_grpc(headers: &http::HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.starts_with("application/grpc")
}

/// The id that the client gave its request, if it is one, or a new one.
fn request_id(headers: &http::HeaderMap) -> HeaderValue {
    let given = headers.get(REQUEST_ID).filter(|value| value.to_str().is_ok_and(domain::text::is_id));
    let new = || HeaderValue::from_str(&uuid::Uuid::now_v7().to_string());
    given.cloned().or_else(|| new().ok()).unwrap_or_else(|| HeaderValue::from_static("none"))
}

fn overloaded(grpc: bool) -> Response<Body> {
    let wait = Duration::from_secs(1);
    let status = convert::unavailable("OVERLOADED", "too many requests at once; try again", wait);
    refused(grpc, &status)
}

fn refused(grpc: bool, status: &tonic::Status) -> Response<Body> {
    if grpc { status.clone().into_http() } else { error::response(status) }
}

/// Headers that every answer carries, where it has not set its own.
fn secure(headers: &mut http::HeaderMap) {
    let defaults = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "interest-cohort=()"),
    ];
    for (name, value) in defaults {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod matrix;
#[cfg(test)]
mod tests;
