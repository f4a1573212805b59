//! From a route to a byte stream: resolve, check every address, connect to a checked one, through the proxy if there
//! is one, with TLS if it is asked for. Nothing else in either plane opens an outbound connection to a URL.

use std::{future::Future, io, net::SocketAddr, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{
    error::{Error, SetupError},
    guard::Guard,
    proxy::{Kind, Proxy},
    target::{Route, Target},
    tls,
};

mod stream;
mod tunnel;

pub(crate) use stream::Stream;

/// What resolving a name gives.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Names to addresses. The system's resolver, or a test's.
pub trait Resolve: Send + Sync {
    /// All addresses of a host.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a>;
}

struct System;

impl Resolve for System {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// How connections are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which addresses may be connected to.
    pub guard: Guard,
    /// PEM file of further roots to trust.
    pub extra_ca: Option<PathBuf>,
    /// Longest time from resolving to the end of the TLS handshake.
    pub connect_timeout: Duration,
    /// How long a kept connection may be idle before it is closed.
    pub idle_timeout: Duration,
    /// Kept connections per route and worker.
    pub max_idle: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            guard: Guard::default(),
            extra_ca: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(55),
            max_idle: 1024,
        }
    }
}

/// Makes connections. One per process, shared by all workers.
pub struct Connector {
    options: Options,
    tls: TlsConnector,
    resolver: Box<dyn Resolve>,
}

impl Connector {
    /// A connector that asks the system's resolver.
    pub fn new(options: Options) -> Result<Arc<Self>, SetupError> {
        Self::with_resolver(options, Box::new(System))
    }

    /// A connector that asks another resolver.
    pub fn with_resolver(options: Options, resolver: Box<dyn Resolve>) -> Result<Arc<Self>, SetupError> {
        let tls = tls::connector(options.extra_ca.as_deref())?;
        Ok(Arc::new(Self { options, tls, resolver }))
    }

    /// How it was set up.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Whether a URL could be gone to as of now: read strictly, resolved, every address checked. For settings that
    /// name a URL, so that a refusal is told when it is entered. The check is made again at every connection.
    pub async fn vet(&self, target: &Target) -> Result<(), Error> {
        self.checked_addresses(target.host(), target.port()).await.map(drop)
    }

    /// A connection for a route.
    pub(crate) async fn connect(&self, route: &Route) -> Result<Stream, Error> {
        let limit = self.options.connect_timeout;
        match tokio::time::timeout(limit, self.open(route)).await {
            Ok(result) => result,
            Err(_) => Err(Error::ConnectTimeout {
                host: route.target.to_string(),
                limit_ms: limit.as_millis() as u64,
            }),
        }
    }

    async fn open(&self, route: &Route) -> Result<Stream, Error> {
        let stream = match &route.proxy {
            None => Stream::Plain(self.tcp(route.target.host(), route.target.port()).await?),
            Some(proxy) => self.through(proxy, &route.target).await?,
        };
        if route.target.tls() { self.secure(stream, route.target.host()).await } else { Ok(stream) }
    }

    async fn through(&self, proxy: &Proxy, target: &Target) -> Result<Stream, Error> {
        self.check_behind_proxy(target).await?;
        let mut stream = Stream::Plain(self.tcp(&proxy.host, proxy.port).await?);
        if proxy.kind == Kind::Https {
            stream = self.secure(stream, &proxy.host).await?;
        }
        tunnel::open(stream, proxy, target).await
    }

    /// The proxy resolves the name anew, in its own network; what our resolver knows of it is still held against the
    /// guard, so that a proxy within our network is no way round it. A name that only the proxy knows passes.
    async fn check_behind_proxy(&self, target: &Target) -> Result<(), Error> {
        match self.checked_addresses(target.host(), target.port()).await {
            Err(Error::Resolve { .. }) | Ok(_) => Ok(()),
            Err(refused) => Err(refused),
        }
    }

    /// Every address of a host; an error if one of them is refused.
    async fn checked_addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
        let addresses = match host.parse() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self
                .resolver
                .resolve(host, port)
                .await
                .map_err(|error| Error::Resolve { host: host.to_owned(), why: error.to_string() })?,
        };
        if addresses.is_empty() {
            return Err(Error::Resolve { host: host.to_owned(), why: "no address".into() });
        }
        for address in &addresses {
            self.options.guard.check(address.ip()).map_err(|range| Error::Refused {
                host: host.to_owned(),
                address: address.ip(),
                range,
            })?;
        }
        Ok(addresses)
    }

    /// Plain TCP to a checked address: one after the other, each with an equal share of the time.
    async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let addresses = self.checked_addresses(host, port).await?;
        let share = self.options.connect_timeout / (addresses.len().min(4) as u32);
        let mut why = String::new();
        for address in addresses {
            match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return prepared(stream, host, port),
                Ok(Err(error)) => why = error.to_string(),
                Err(_) => why = format!("no answer from {address}"),
            }
        }
        Err(Error::Connect { host: format!("{host}:{port}"), why })
    }

    async fn secure(&self, stream: Stream, host: &str) -> Result<Stream, Error> {
        let wrong = |why: String| Error::Tls { host: host.to_owned(), why };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| wrong(error.to_string()))?;
        stream.secure(&self.tls, name).await.map_err(|error| wrong(error.to_string()))
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("options", &self.options).finish_non_exhaustive()
    }
}

/// No delay of small writes, and probes that notice a peer that is gone.
fn prepared(stream: TcpStream, host: &str, port: u16) -> Result<TcpStream, Error> {
    let wrong = |error: io::Error| Error::Connect { host: format!("{host}:{port}"), why: error.to_string() };
    stream.set_nodelay(true).map_err(wrong)?;
    let probes =
        TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
    SockRef::from(&stream).set_tcp_keepalive(&probes).map_err(wrong)?;
    Ok(stream)
}

#[cfg(test)]
mod tests;
