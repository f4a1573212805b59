//! The public listener: worker threads, each with a runtime, a socket on the shared port, an upstream pool and a spool
//! lane of its own. Connections are bounded in number, in time for a head, and in idle time; at the end they are drained.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::{config::ServerConfig, relay::node::Worker};

mod answer;
mod tls;
mod unread;
mod watch;

pub use answer::{Door, Readiness};
pub use tls::TlsError;
use watch::{Link, Watched};

/// Bounds of what a connection buffers in either direction, and of a request's head.
const MAX_BUFFER: usize = 64 * 1024;
/// Bound of what is read at once from a client: grows to it only while large bodies come, and shrinks again.
const BODY_BUFFER: usize = 256 * 1024;
/// How often idle upstream connections are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(15);
/// A client whose system has acknowledged nothing for so long is gone.
const USER_TIMEOUT: Duration = Duration::from_secs(120);

/// What ends a server, step by step.
#[derive(Clone, Debug, Default)]
struct Phases {
    /// Nobody new is let in, and connections end with the request they are at.
    closing: CancellationToken,
    /// Whatever is left is dropped.
    abort: CancellationToken,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    phases: Phases,
    threads: Vec<std::thread::JoinHandle<()>>,
    ended: tokio::sync::mpsc::Receiver<()>,
}

/// What the workers of a server share.
struct Shared {
    config: ServerConfig,
    tls: Option<TlsAcceptor>,
    phases: Phases,
    connections: AtomicUsize,
}

impl Server {
    /// Binds the address once for each worker and starts the threads.
    ///
    /// # Errors
    /// The address cannot be bound, the certificate not be used, or no thread be started.
    pub fn start(config: &ServerConfig, doors: Vec<Door>) -> io::Result<Self> {
        let tls = config.tls.as_ref().map(tls::acceptor).transpose().map_err(io::Error::other)?;
        let phases = Phases::default();
        let shared = Arc::new(Shared {
            config: config.clone(),
            tls,
            phases: phases.clone(),
            connections: AtomicUsize::new(0),
        });
        let mut address = config.listen;
        if address.port() == 0 {
            // Any port, but one that is free: asked for by sockets that share, it might be another server's of ours.
            address = std::net::TcpListener::bind(address)?.local_addr()?;
        }
        let sockets = doors.iter().map(|_| bind(address)).collect::<io::Result<Vec<_>>>()?;
        let (ending, ended) = tokio::sync::mpsc::channel(1);
        let mut threads = Vec::new();
        for (number, (door, socket)) in doors.into_iter().zip(sockets).enumerate() {
            let (shared, ending) = (Arc::clone(&shared), ending.clone());
            let thread = std::thread::Builder::new().name(format!("relay-{number}"));
            threads.push(thread.spawn(move || {
                if let Err(error) = run(&shared, door, socket) {
                    tracing::error!(%error, "a worker thread ended");
                }
                drop(ending);
            })?);
        }
        Ok(Self { address, phases, threads, ended })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes nobody new, waits for streams in flight up to `limit`, then drops the rest. Returns whether all had ended.
    pub async fn drain(mut self, limit: Duration) -> bool {
        self.phases.closing.cancel();
        let in_time = tokio::time::timeout(limit, self.ended.recv()).await.is_ok();
        self.phases.abort.cancel();
        if !in_time {
            tracing::warn!("streams in flight were cut at the end of the drain");
        }
        let joined = tokio::task::spawn_blocking(move || {
            for thread in self.threads {
                // A thread that panicked has said so.
                let _ = thread.join();
            }
        });
        let _ = joined.await;
        in_time
    }
}

/// Our sockets share their port, so that one process takes over from another on its own data directory. With a stranger
/// (another deployment on this machine) they must not: each would get half of the other's clients.
///
/// # Errors
/// Somebody listens there.
pub fn nobody_listens(address: SocketAddr) -> io::Result<()> {
    std::net::TcpListener::bind(address).map(drop)
}

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

fn run(shared: &Arc<Shared>, door: Door, socket: std::net::TcpListener) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let worker = Arc::clone(&door.worker);
    let phases = shared.phases.clone();
    runtime.block_on(async {
        let listener = TcpListener::from_std(socket)?;
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        let door = Arc::new(door);
        loop {
            tokio::select! {
                () = phases.closing.cancelled() => break,
                _ = sweep.tick() => drop(worker.exchange.sweep(Instant::now())),
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => accept(shared, &door, stream, peer),
                    // Out of descriptors: wait for some to be closed.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
            }
        }
        drop(listener);
        tokio::select! {
            () = phases.abort.cancelled() => {}
            _ = worker.tasks.drain(Duration::MAX) => {}
        }
        io::Result::Ok(())
    })?;
    // Streams that are cut settle as they are dropped, in this thread.
    drop(runtime);
    Ok(())
}

/// Counts a connection while it is open.
struct Counted(Arc<Shared>, Arc<Worker>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
        self.1.node.metrics.connections.dec();
    }
}

fn accept(shared: &Arc<Shared>, door: &Arc<Door>, stream: TcpStream, peer: SocketAddr) {
    if shared.connections.fetch_add(1, Relaxed) >= shared.config.max_connections {
        shared.connections.fetch_sub(1, Relaxed);
        return;
    }
    door.worker.node.metrics.connections.inc();
    let counted = Counted(Arc::clone(shared), Arc::clone(&door.worker));
    let (shared, door) = (Arc::clone(shared), Arc::clone(door));
    let tasks = door.worker.tasks.clone();
    tasks.spawn("connection", async move {
        let _counted = counted;
        if let Err(error) = serve(&shared, door, stream, peer).await {
            tracing::trace!(%error, "a client connection ended");
        }
    });
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn serve(shared: &Shared, door: Arc<Door>, stream: TcpStream, peer: SocketAddr) -> Result<(), Failure> {
    prepare(&stream)?;
    let patience = shared.config.header_timeout;
    if let Some(tls) = &shared.tls {
        let stream = tokio::time::timeout(patience, tls.accept(stream)).await??;
        return match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => serve_http2(shared, door, stream, peer).await,
            _ => Box::pin(serve_http1(shared, door, stream, peer)).await,
        };
    }
    if speaks_http2(&stream, patience).await? {
        return serve_http2(shared, door, stream, peer).await;
    }
    serve_http1(shared, door, stream, peer).await
}

async fn serve_http1<S>(shared: &Shared, door: Arc<Door>, stream: S, peer: SocketAddr) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let link = Link::new();
    let watched = Watched::new(stream, Arc::clone(&link), &shared.config, Arc::clone(&door), peer);
    let service = door.service(peer, Some(link));
    let connection = http1::Builder::new()
        .max_buf_size(BODY_BUFFER)
        .max_header_size(MAX_BUFFER)
        .pipeline_flush(false)
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(watched), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => return Ok(ended?),
        () = shared.phases.closing.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}

async fn serve_http2<S>(shared: &Shared, door: Arc<Door>, stream: S, peer: SocketAddr) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = door.service(peer, None);
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(256)
        .max_header_list_size(MAX_BUFFER as u32)
        .max_send_buf_size(MAX_BUFFER)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => return Ok(ended?),
        () = shared.phases.closing.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}

/// No delay of small writes; peers that are gone are noticed.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let probes =
        TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

/// Whether the connection begins with HTTP/2's preface. `PRI` is no method of HTTP/1.
async fn speaks_http2(stream: &TcpStream, patience: Duration) -> io::Result<bool> {
    let mut head = [0; 3];
    let look = async {
        loop {
            let seen = stream.peek(&mut head).await?;
            if seen == 0 || head[..seen] != b"PRI"[..seen] {
                return Ok(false);
            }
            if seen == head.len() {
                return Ok(true);
            }
            // A beginning that fits so far: readiness does not change while nothing is taken, so it is looked at again.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(patience, look).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
