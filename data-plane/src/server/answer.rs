//! From a request to its route's room: what every request passes, whatever it asks for.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Instant,
};

use dialects::{Dialect, Operation, error::Kind};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{ALLOW, CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE},
};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, service::Service};
use process::clock;
use snapshot::Network;

use super::watch::{Busy, Link};
use crate::{
    metrics::Reason,
    relay::{
        self, authenticate,
        error::{Refusal, malformed},
        node::{Asked, InFlight, Worker},
        own,
        respond::{self, Body, BrokeOff},
        settle,
    },
    routes::{self, BY_MODEL, Route, Says},
};

/// Whether the node serves.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
    held: AtomicBool,
}

impl Readiness {
    /// From now on it drains.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    /// Whether it is held back from new requests for a while.
    pub fn hold(&self, held: bool) {
        self.held.store(held, Relaxed);
    }

    /// Whether it drains, or is held back: not ready, connections end with the request they are at.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Relaxed) || self.held.load(Relaxed)
    }
}

/// One worker's way in.
pub struct Door {
    /// The worker.
    pub worker: Arc<Worker>,
    /// Whether the node serves.
    pub readiness: Arc<Readiness>,
    /// When the process began, Unix milliseconds.
    pub started_ms: i64,
}

impl Door {
    /// What hyper calls for the requests of one connection.
    pub(super) fn service(self: Arc<Self>, peer: SocketAddr, link: Option<Arc<Link>>) -> Requests {
        Requests { door: self, peer, link }
    }

    /// What keeps the node from relaying.
    fn unready(&self) -> Vec<&'static str> {
        let mut unready = Vec::new();
        if self.worker.node.snapshot.current().revision().is_none() {
            unready.push("config");
        }
        if self.readiness.is_draining() {
            unready.push("draining");
        }
        if self.worker.spool.broken() {
            unready.push("spool");
        }
        unready
    }
}

/// The requests of one connection.
pub(super) struct Requests {
    door: Arc<Door>,
    peer: SocketAddr,
    link: Option<Arc<Link>>,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Sent>, Infallible>> + Send>>;

impl Service<Request<Incoming>> for Requests {
    type Response = Response<Sent>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        let (door, peer, link) = (Arc::clone(&self.door), self.peer, self.link.clone());
        let busy = link.as_ref().map(Link::begin);
        // Boxed, so that the memory is free again while the answer streams.
        Box::pin(async move { Ok(answer(&door, peer, link.as_deref(), request, busy).await) })
    }
}

/// A body on a connection that is not idle until it is gone.
pub struct Sent {
    body: Body,
    _busy: Option<Busy>,
}

impl http_body::Body for Sent {
    type Data = bytes::Bytes;
    type Error = BrokeOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, BrokeOff>>> {
        http_body::Body::poll_frame(Pin::new(&mut self.body), cx)
    }

    fn is_end_stream(&self) -> bool {
        http_body::Body::is_end_stream(&self.body)
    }

    fn size_hint(&self) -> SizeHint {
        http_body::Body::size_hint(&self.body)
    }
}

async fn answer(
    door: &Door,
    peer: SocketAddr,
    link: Option<&Link>,
    request: Request<Incoming>,
    busy: Option<Busy>,
) -> Response<Sent> {
    let worker = &door.worker;
    let (head, incoming) = request.into_parts();
    let (version, is_head) = (head.version, head.method == Method::HEAD);
    let route = routes::find(&head.method, head.uri.path(), head.uri.query(), &head.headers);
    let (asked, dialect) = (asked(worker, peer, head, route), route.dialect());
    let id = HeaderValue::from_str(&asked.id);
    let refused = ambiguity(&asked, link).or_else(|| upgrade(&asked.head.headers));
    let mut response = match refused {
        Some(refusal) => turn_away(worker, &asked, &refusal),
        None => routed(door, asked, route, incoming).await,
    };
    let headers = response.headers_mut();
    if let Ok(id) = id {
        if matches!(dialect, Dialect::OpenaiChat | Dialect::OpenaiResponses) {
            // Where OpenAI's clients look for it.
            headers.insert(respond::X_REQUEST_ID, id.clone());
        }
        headers.insert(respond::REQUEST_ID, id);
    }
    let ends = door.readiness.is_draining() || link.is_some_and(Link::was_chunked);
    if ends && version <= Version::HTTP_11 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    } else if version > Version::HTTP_11 {
        headers.remove(CONNECTION);
    }
    response.map(|body| Sent { body: if is_head { Body::Own(None) } else { body }, _busy: busy })
}

async fn routed(door: &Door, asked: Box<Asked>, route: Route, incoming: Incoming) -> Response<Body> {
    let worker = &door.worker;
    match route {
        Route::Relay { .. } | Route::Models { .. } | Route::Own(_) if !door.ready_for_keys() => {
            let message = "this relay is not ready yet";
            let refusal = Refusal::new(Kind::Unavailable, Reason::NotReady, message).later(2_000).closing();
            turn_away(worker, &asked, &refusal)
        }
        Route::Relay { .. } => relay::relay(worker, asked, incoming).await,
        Route::Models { .. } | Route::Own(_) => own::answer(worker, asked, route).await,
        Route::Health => own::health(worker, &door.unready(), door.started_ms),
        Route::Hello => respond::empty(StatusCode::OK),
        Route::Telemetry => respond::json(StatusCode::OK, r#"{"success":true}"#),
        Route::Absent(_) => {
            let message = "this endpoint is not available in this release of the relay";
            turn_away(worker, &asked, &Refusal::new(Kind::NotServed, Reason::Malformed, message))
        }
        Route::WrongMethod(_) => {
            let message = "this endpoint does not know this method";
            let mut response =
                turn_away(worker, &asked, &Refusal::new(Kind::MethodNotAllowed, Reason::Malformed, message));
            let allowed = routes::allowed(asked.head.uri.path());
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            response
        }
        Route::Unknown(_) => {
            let refusal = Refusal::new(Kind::NotFound, Reason::Malformed, "there is no such endpoint");
            turn_away(worker, &asked, &refusal)
        }
    }
}

impl Door {
    /// Without a snapshot no key is known, so that every one would look bad.
    fn ready_for_keys(&self) -> bool {
        self.worker.node.snapshot.current().revision().is_some()
    }
}

pub(super) fn turn_away(worker: &Worker, asked: &Asked, refusal: &Refusal) -> Response<Body> {
    settle::turned_away(worker, asked, refusal);
    respond::refusal(asked.dialect, refusal, &asked.id)
}

pub(super) fn asked(
    worker: &Worker,
    peer: SocketAddr,
    head: http::request::Parts,
    route: Route,
) -> Box<Asked> {
    let started_us = clock::unix_us();
    let (operation, family, says) = match route {
        Route::Relay { operation, family, says, .. } => (operation, family, says),
        Route::Models { family, .. } => (Operation::Models, family, Says::Nothing),
        _ => (Operation::Models, BY_MODEL, Says::Nothing),
    };
    let mut id = String::with_capacity(36);
    id.push_str("req_");
    let mut digits = [0; 32];
    id.push_str(worker.ids.uuid(started_us).simple().encode_lower(&mut digits));
    Box::new(Asked {
        id,
        started: Instant::now(),
        started_us,
        address: client_address(peer.ip(), &head.headers, &worker.node.config.trusted_proxies),
        dialect: route.dialect(),
        operation,
        family,
        says,
        head,
        in_flight: InFlight::begin(&worker.node.metrics),
    })
}

/// The client's address: the peer's, or what trusted proxies in front say, from the nearest to the farthest trusted.
fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut address = peer.to_canonical();
    if !is_trusted(address) {
        return address;
    }
    let said = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = said.flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in hops.into_iter().rev() {
        let Ok(next) = hop.parse::<IpAddr>() else { break };
        address = next.to_canonical();
        if !is_trusted(address) {
            break;
        }
    }
    address
}

/// What two readers could read differently is refused, whatever it asks for.
fn ambiguity(asked: &Asked, link: Option<&Link>) -> Option<Refusal> {
    let head = &asked.head;
    let absolute = head.version <= Version::HTTP_11 && head.uri.scheme().is_some();
    let message = if link.is_some_and(Link::is_ambiguous) {
        "content-length and transfer-encoding exclude each other"
    } else if absolute || (head.version <= Version::HTTP_11 && head.uri.authority().is_some()) {
        "a request line with an absolute address is refused"
    } else if !routes::is_plain(head.uri.path()) {
        "the path can be read in more than one way"
    } else if head.headers.get_all(HOST).iter().count() > 1 {
        "more than one host header"
    } else if head.version == Version::HTTP_11 && !head.headers.contains_key(HOST) {
        "a host header is required"
    } else if !is_framed_plainly(&head.headers) {
        "transfer-encoding may only be chunked, and only once"
    } else if authenticate::PLACES.iter().any(|place| head.headers.get_all(*place).iter().count() > 1) {
        "a header that carries a key stands more than once"
    } else {
        return None;
    };
    Some(malformed(message).closing())
}

/// Whether a body's transfer coding, if it has one, is the one that everybody reads alike. hyper looks at the last one.
fn is_framed_plainly(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        _ => false,
    }
}

/// WebSockets are not relayed; 426 makes clients that try them first go on without.
fn upgrade(headers: &HeaderMap) -> Option<Refusal> {
    let asks = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"websocket");
    headers.get_all(UPGRADE).iter().any(asks).then(|| {
        Refusal::new(
            Kind::UpgradeRequired,
            Reason::Malformed,
            "WebSocket is not available here: send a POST request",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted = [Network::parse("10.0.0.0/8").unwrap()];
        let address = |peer: &str, said: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", said.parse().unwrap());
            client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
        };
        assert_eq!(address("8.8.8.8", "1.1.1.1"), "8.8.8.8");
        assert_eq!(address("10.0.0.1", "6.6.6.6, 1.1.1.1, 10.0.0.2"), "1.1.1.1");
        assert_eq!(address("10.0.0.1", "nonsense"), "10.0.0.1");
        assert_eq!(address("10.0.0.1", "10.0.0.9"), "10.0.0.9");
    }
}
