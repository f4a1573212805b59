//! Settings of a node, read once before any port is bound. Standalone takes [`relay_arguments`] beside the control
//! plane's own; `crs-data` takes [`arguments`]. What operators change at run time comes with the snapshot.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use clap::ArgMatches;
use secrecy::SecretString;
use snapshot::Network;
use upstream::{Mode, Net};

use crate::access_log::Destination;

mod arguments;

pub use arguments::{arguments, relay_arguments};

/// The process's environment as the configuration reader wants it; names and values that are no UTF-8 are left out.
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// All settings of a node.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it keeps its files.
    pub data_dir: PathBuf,
    /// Metrics and health; none: another part of the process serves them.
    pub ops_listen: Option<SocketAddr>,
    /// The public listener.
    pub server: ServerConfig,
    /// What a request may take.
    pub relay: RelayConfig,
    /// The way out.
    pub upstream: UpstreamConfig,
    /// The spool.
    pub spool: SpoolConfig,
    /// Where access log lines go.
    pub access_log: Destination,
    /// How the node ends.
    pub drain: DrainConfig,
}

/// The public listener.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Address.
    pub listen: SocketAddr,
    /// PEM files of certificate chain and private key; none: plaintext.
    pub tls: Option<TlsFiles>,
    /// Worker threads.
    pub workers: usize,
    /// Client connections at once, over all workers.
    pub max_connections: usize,
    /// Longest time for a request's head to come in.
    pub header_timeout: Duration,
    /// Longest time a client connection may be idle between requests.
    pub idle_timeout: Duration,
}

/// PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// What a request may take.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Longest body, bytes.
    pub max_body: u64,
    /// Bytes of bodies and buffers over all requests.
    pub body_budget: u64,
    /// Longest silence of a client within its body.
    pub body_timeout: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
}

/// The way out.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Private networks that may be connected to.
    pub allow_private: Vec<Net>,
    /// Whether nothing was said of private networks, so that loopback follows where administration is.
    pub allow_private_unset: bool,
    /// PEM file with further roots.
    pub ca_file: Option<PathBuf>,
    /// How connections are driven.
    pub mode: Mode,
    /// Longest time to connect.
    pub connect_timeout: Duration,
}

/// The spool.
#[derive(Clone, Debug)]
pub struct SpoolConfig {
    /// Bytes on disk at which requests are refused.
    pub max_bytes: u64,
    /// How long acknowledged records are kept.
    pub retain_acked: Duration,
}

/// How the node ends.
#[derive(Clone, Copy, Debug)]
pub struct DrainConfig {
    /// How long it goes on accepting after it says that it is not ready.
    pub delay: Duration,
    /// Longest wait for streams in flight.
    pub timeout: Duration,
}

/// Where the control plane is, for a node apart.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// Its URL.
    pub url: String,
    /// With what to join.
    pub join_token: SecretString,
    /// How long streams may go on once the control plane has said that the membership has ended.
    pub membership_grace: Duration,
    /// PEM file of the certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM files of the certificate with which it proves itself, and of its private key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Name for people.
    pub node_name: String,
    /// File with the secret that seals the snapshot on disk; none: it is derived from the join token.
    pub secret_file: Option<PathBuf>,
}

/// Settings that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting has no value though it must.
    #[error("--{0} is not set")]
    Missing(&'static str),
    /// Only one of two files of a pair is set.
    #[error("--listen-tls-certificate and --listen-tls-key need each other")]
    HalfTls,
    /// The same of the client certificate.
    #[error("--client-certificate and --client-key need each other")]
    HalfCertificate,
    /// A network is none.
    #[error("--{0}: {1:?} is no network such as 10.0.0.0/8")]
    Network(&'static str, String),
}

impl Config {
    /// From the arguments that [`arguments`] describes, or those of standalone.
    ///
    /// # Errors
    /// A value that is missing or cannot be.
    pub fn read(matches: &ArgMatches) -> Result<Self, Error> {
        let allow = list(matches, "upstream-allow-private");
        let allow_private = allow
            .iter()
            .map(|text| text.parse().map_err(|_| Error::Network("upstream-allow-private", text.clone())))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            data_dir: required(matches, "data-dir")?,
            ops_listen: matches.get_one("ops-listen").copied(),
            server: ServerConfig::read(matches)?,
            relay: RelayConfig::read(matches)?,
            upstream: UpstreamConfig {
                allow_private,
                allow_private_unset: allow.is_empty(),
                ca_file: matches.get_one("upstream-ca-file").cloned(),
                mode: required(matches, "upstream-mode")?,
                connect_timeout: Duration::from_secs(required(matches, "upstream-connect-timeout")?),
            },
            spool: SpoolConfig {
                max_bytes: required::<u64>(matches, "spool-max-mb")? << 20,
                retain_acked: Duration::from_secs(required(matches, "spool-retain-acked")?),
            },
            access_log: required::<String>(matches, "access-log")?
                .parse()
                .unwrap_or_else(|never: std::convert::Infallible| match never {}),
            drain: DrainConfig {
                delay: Duration::from_secs(required(matches, "drain-delay")?),
                timeout: Duration::from_secs(required(matches, "drain-timeout")?),
            },
        })
    }
}

impl ServerConfig {
    fn read(matches: &ArgMatches) -> Result<Self, Error> {
        let workers = match required(matches, "workers")? {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        let file = |id: &str| matches.get_one::<PathBuf>(id).cloned();
        let tls = match (file("listen-tls-certificate"), file("listen-tls-key")) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            _ => return Err(Error::HalfTls),
        };
        Ok(Self {
            listen: required(matches, "listen")?,
            tls,
            workers,
            max_connections: required(matches, "max-connections")?,
            header_timeout: Duration::from_secs(required(matches, "header-timeout")?),
            idle_timeout: Duration::from_secs(required(matches, "keep-alive-timeout")?),
        })
    }
}

impl RelayConfig {
    fn read(matches: &ArgMatches) -> Result<Self, Error> {
        let trusted = list(matches, "trusted-proxies");
        let network = |text: &String| {
            Network::parse(text).ok_or_else(|| Error::Network("trusted-proxies", text.clone()))
        };
        Ok(Self {
            max_body: required::<u64>(matches, "max-body-mb")? << 20,
            body_budget: required::<u64>(matches, "body-budget-mb")? << 20,
            body_timeout: Duration::from_secs(required(matches, "body-timeout")?),
            trusted_proxies: trusted.iter().map(network).collect::<Result<_, _>>()?,
        })
    }
}

impl ControlConfig {
    /// From the arguments that [`arguments`] describes.
    ///
    /// # Errors
    /// A value that is missing.
    pub fn read(matches: &ArgMatches) -> Result<Self, Error> {
        let file = |id: &str| matches.get_one::<PathBuf>(id).cloned();
        let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(Self {
            url: required(matches, "control")?,
            join_token: matches.get_one::<String>("join-token").cloned().unwrap_or_default().into(),
            certificate: match (file("client-certificate"), file("client-key")) {
                (Some(certificate), Some(key)) => Some((certificate, key)),
                (None, None) => None,
                _ => return Err(Error::HalfCertificate),
            },
            membership_grace: Duration::from_secs(required(matches, "membership-grace")?),
            ca_file: matches.get_one("control-ca-file").cloned(),
            node_name: matches.get_one::<String>("node-name").cloned().unwrap_or_else(host),
            secret_file: matches.get_one("node-secret-file").cloned(),
        })
    }
}

fn required<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, id: &'static str) -> Result<T, Error> {
    matches.get_one::<T>(id).cloned().ok_or(Error::Missing(id))
}

fn list(matches: &ArgMatches, id: &str) -> Vec<String> {
    let texts = matches.get_many::<String>(id).into_iter().flatten();
    texts.filter(|text| !text.is_empty()).cloned().collect()
}

#[cfg(test)]
mod tests;
