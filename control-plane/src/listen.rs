//! Listeners: accept, TLS where configured, HTTP/1.1 and HTTP/2 on one port, and an end that cannot hang: a drain lets
//! requests finish, and cuts what has not by its deadline.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use process::tasks::Tasks;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt as _};

/// Longest time for a TLS handshake and for the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// A dead peer is noticed by a ping of this interval, answered within [`PONG`].
const PING: Duration = Duration::from_secs(10);
const PONG: Duration = Duration::from_secs(10);
/// Bytes under way in one stream, and in one connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// What a request is answered with, whatever answers it.
type Reply = Response<tonic::body::Body>;

/// What answers requests.
pub trait Answers:
    Service<Request<tonic::body::Body>, Response = Reply, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S> Answers for S where
    S: Service<Request<tonic::body::Body>, Response = Reply, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The first DNS name of its client certificate, which was verified; `None`: it showed none, or one without a name.
    pub certified: Option<String>,
}

/// How listeners end.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Accept no more, and let requests finish.
    pub draining: CancellationToken,
    /// Drop what has not finished.
    pub cut: CancellationToken,
    /// Every connection's task.
    pub tasks: Tasks,
}

impl Ending {
    /// Nothing has ended yet.
    pub fn new(owner: &'static str) -> Self {
        Self { draining: CancellationToken::new(), cut: CancellationToken::new(), tasks: Tasks::new(owner) }
    }

    /// Lets requests finish, at most `limit`, then drops the rest.
    pub async fn drain(&self, limit: Duration) {
        self.draining.cancel();
        if !self.tasks.drain(limit).await {
            self.cut.cancel();
            self.tasks.drain(Duration::from_secs(1)).await;
        }
    }
}

/// Binds a port. It is not shared: a process that takes over binds it when this one has let it go, and two that are
/// started by mistake do not get each other's requests.
///
/// # Errors
/// The kernel's.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Accepts connections until the drain. `mark` puts into each request's extensions who is at the other end.
pub fn serve<S: Answers>(
    name: &'static str,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    service: S,
    mark: fn(&mut http::Extensions, &Peer),
    ending: &Ending,
) {
    let ending = ending.clone();
    let tasks = ending.tasks.clone();
    tasks.spawn(name, async move {
        loop {
            let accepted = tokio::select! {
                () = ending.draining.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(why) => {
                    // Out of descriptors: wait for some to be closed.
                    tracing::warn!(listener = name, %why, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let _ = stream.set_nodelay(true);
            let (service, tls, each) = (service.clone(), tls.clone(), ending.clone());
            ending.tasks.spawn(name, async move {
                let marked = |certified: Option<String>| {
                    let peer = Peer { address, certified };
                    move |extensions: &mut http::Extensions| mark(extensions, &peer)
                };
                match tls {
                    None => connection(stream, service, marked(None), each).await,
                    Some(tls) => match tokio::time::timeout(HEAD, tls.accept(stream)).await {
                        Ok(Ok(stream)) => {
                            let marked = marked(certified(&stream));
                            connection(stream, service, marked, each).await;
                        }
                        Ok(Err(why)) => tracing::debug!(listener = name, %address, %why, "no TLS handshake"),
                        Err(_) => tracing::debug!(listener = name, %address, "a TLS handshake took too long"),
                    },
                }
            });
        }
    });
}

/// The first DNS name of the client's certificate, which rustls has verified.
fn certified<I>(stream: &tokio_rustls::server::TlsStream<I>) -> Option<String> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    certificate.valid_dns_names().next().map(str::to_owned)
}

/// Serves one connection until it ends.
pub async fn connection<I, S>(
    stream: I,
    service: S,
    mark: impl Fn(&mut http::Extensions) + Clone + Send + 'static,
    ending: Ending,
) where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Answers,
{
    let marked = tower::service_fn(move |mut request: Request<Incoming>| {
        mark(request.extensions_mut());
        service.clone().oneshot(request.map(tonic::body::Body::new))
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(1024);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(marked));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = ending.cut.cancelled() => None,
        () = ending.draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => Some(ended),
                () = ending.cut.cancelled() => None,
            }
        }
    };
    if let Some(Err(why)) = ended {
        tracing::debug!(%why, "a connection broke");
    }
}

/// A TLS acceptor from PEM files, offering HTTP/2 and HTTP/1.1.
///
/// # Errors
/// When a file cannot be read, or the two do not fit each other.
pub fn tls(
    files: &crate::config::TlsFiles,
    client_ca: Option<&std::path::Path>,
) -> Result<TlsAcceptor, TlsError> {
    use rustls::server::WebPkiClientVerifier;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    let wrong = |path: &std::path::Path| {
        let path = path.display().to_string();
        move |why: rustls_pki_types::pem::Error| TlsError::File { path, why: why.to_string() }
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate).map_err(wrong(&files.certificate))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(wrong(&files.certificate))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(wrong(&files.key))?;
    let builder = rustls::ServerConfig::builder();
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            for root in CertificateDer::pem_file_iter(path).map_err(wrong(path))? {
                roots.add(root.map_err(wrong(path))?).map_err(TlsError::Pair)?;
            }
            // Nodes may come with a join token instead.
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build();
            builder.with_client_cert_verifier(verifier.map_err(TlsError::Authorities)?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or holds no PEM.
    #[error("TLS file {path}: {why}")]
    File {
        /// Which.
        path: String,
        /// Why.
        why: String,
    },
    /// The authorities of client certificates cannot be used.
    #[error("authorities of client certificates: {0}")]
    Authorities(rustls::server::VerifierBuilderError),
    /// Certificate and key do not make a server.
    #[error("TLS certificate and key: {0}")]
    Pair(rustls::Error),
}
