//! Where the control plane is: at an address, or in this very process.

use std::{fmt, future::Future, io, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::Error;

/// A byte stream to the control plane.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// Opens a byte stream to a control plane in the same process.
pub type Connect =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>> + Send + Sync>;

/// Where the control plane is.
#[derive(Clone)]
pub enum Target {
    /// At an `http://` or `https://` URL; several replicas stand behind one name or balancer.
    Remote {
        /// The URL.
        url: String,
        /// PEM file of the certificate authorities to trust instead of the system's.
        authorities: Option<PathBuf>,
        /// PEM files of the certificate with which the node proves itself, and of its private key.
        certificate: Option<(PathBuf, PathBuf)>,
    },
    /// In this process: standalone.
    InProcess(Connect),
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote { url, .. } => write!(f, "Remote({url})"),
            Self::InProcess(_) => f.write_str("InProcess"),
        }
    }
}

pub(crate) fn channel(target: &Target) -> Result<Channel, Error> {
    match target {
        Target::Remote { url, authorities, certificate } => {
            let mut endpoint = tuned(endpoint(url)?);
            if endpoint.uri().scheme_str() == Some("https") {
                endpoint = endpoint.tls_config(tls(authorities, certificate)?)?;
            } else if certificate.is_some() {
                return Err(Error::CertificateInTheClear);
            }
            Ok(endpoint.connect_lazy())
        }
        Target::InProcess(connect) => {
            let connect = connect.clone();
            let service = tower::service_fn(move |_: Uri| {
                let stream = connect();
                async move { stream.await.map(TokioIo::new) }
            });
            Ok(tuned(Endpoint::from_static("http://standalone")).connect_with_connector_lazy(service))
        }
    }
}

fn endpoint(url: &str) -> Result<Endpoint, Error> {
    let wrong = || Error::Address(url.to_owned());
    let uri: Uri = url.trim_end_matches('/').parse().map_err(|_| wrong())?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) => Ok(Endpoint::from(uri)),
        _ => Err(wrong()),
    }
}

/// A dead peer is noticed within 15 s even if nothing is said: ping every 10 s, answered within 5 s.
fn tuned(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(Duration::from_secs(3))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
}

fn tls(
    authorities: &Option<PathBuf>,
    certificate: &Option<(PathBuf, PathBuf)>,
) -> Result<ClientTlsConfig, Error> {
    let read = |path: &PathBuf| {
        std::fs::read(path)
            .map_err(|error| Error::File { path: path.display().to_string(), why: error.to_string() })
    };
    let config = match authorities {
        None => ClientTlsConfig::new().with_enabled_roots(),
        Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
    };
    Ok(match certificate {
        None => config,
        Some((certificate, key)) => config.identity(Identity::from_pem(read(certificate)?, read(key)?)),
    })
}
