//! Settings of a control-plane process, read once before any port is bound. Every setting is described here and nowhere
//! else; standalone takes the same list. What operators change at run time is a record in the store, not a setting.

use std::{collections::BTreeMap, ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use clap::ArgMatches;
use secrecy::SecretString;

mod arguments;
mod look;
mod master_key;

pub use arguments::{NODE_ARGUMENTS, arguments};
pub use look::{Wrong, check, print, print_of, start_logs};
pub use master_key::{MasterKeyError, MasterKeySource};

/// The process's environment as the configuration reader wants it; names and values that are no UTF-8 are left out.
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        })
        .collect()
}

/// All settings of a control plane.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where things are kept.
    pub data_dir: PathBuf,
    /// The store.
    pub store: StoreConfig,
    /// Administration: gRPC, gRPC-Web, REST, OpenAPI.
    pub control: ListenConfig,
    /// Who is believed and let in there.
    pub admission: AdmissionConfig,
    /// Nodes. `None`: no port for nodes (standalone needs none).
    pub nodes: Option<ListenConfig>,
    /// Metrics and health.
    pub ops_listen: SocketAddr,
    /// The first administrator.
    pub bootstrap: BootstrapConfig,
    /// Calls to the outside.
    pub outbound: OutboundConfig,
    /// Longest time that a drain may take.
    pub drain_timeout: Duration,
}

/// The store and the key that seals what is secret in it.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// `redis://…` or `rediss://…`; `None`: the embedded store in the data directory.
    pub url: Option<SecretString>,
    /// What every Redis key begins with.
    pub prefix: String,
    /// Where the master key comes from.
    pub master_key: MasterKeySource,
}

/// A listener and its TLS.
#[derive(Clone, Debug)]
pub struct ListenConfig {
    /// Address.
    pub listen: SocketAddr,
    /// PEM files of certificate chain and private key; `None`: plaintext.
    pub tls: Option<TlsFiles>,
    /// PEM file of the authorities whose client certificates are believed; `None`: none are asked for.
    pub client_ca: Option<PathBuf>,
    /// Whether plaintext is served to other machines too.
    pub plaintext_anywhere: bool,
}

/// PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Who is believed and let in on the administration port.
#[derive(Clone, Debug, Default)]
pub struct AdmissionConfig {
    /// Proxies (CIDR) whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<api::Network>,
    /// Origins whose pages may call.
    pub cors_origins: Vec<String>,
}

/// The first administrator.
#[derive(Clone, Debug)]
pub struct BootstrapConfig {
    /// Login name.
    pub username: String,
    /// Password; `None`: one is generated and shown once.
    pub password: Option<SecretString>,
    /// Whether what was generated is printed as one line of JSON on standard output.
    pub print: bool,
}

/// Calls to the outside.
#[derive(Clone, Debug, Default)]
pub struct OutboundConfig {
    /// Private networks that may be called; empty: loopback, while administration is on loopback.
    pub allow_private: Vec<upstream::Net>,
    /// PEM file with further certificate authorities.
    pub ca_file: Option<PathBuf>,
}

/// Settings that contradict each other or cannot be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Only one of two files of a pair is set.
    #[error("--{0}-tls-certificate and --{0}-tls-key need each other")]
    HalfTls(&'static str),
    /// Client certificates without TLS.
    #[error("--node-client-ca needs --node-tls-certificate and --node-tls-key")]
    ClientCaWithoutTls,
    /// Plaintext towards other machines.
    #[error(
        "--{listener}-listen {listen} is not loopback, where plaintext is refused: set --{listener}-tls-certificate \
         and --{listener}-tls-key, or accept plaintext with --{listener}-plaintext"
    )]
    Plaintext {
        /// `control` or `node`.
        listener: &'static str,
        /// The address.
        listen: SocketAddr,
    },
    /// A text that is no network.
    #[error("--{setting}: {text:?} is no network such as 10.0.0.0/8")]
    Network {
        /// Which setting.
        setting: &'static str,
        /// The text.
        text: String,
    },
    /// A setting has no value though it must.
    #[error("--{0} is not set")]
    Missing(&'static str),
}

impl Config {
    /// From the arguments that [`arguments`] describes.
    ///
    /// # Errors
    /// When settings contradict each other.
    pub fn read(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self {
            data_dir: required(matches, "data-dir")?,
            store: StoreConfig {
                url: matches.get_one::<String>("store").map(|url| SecretString::from(url.clone())),
                prefix: required(matches, "store-prefix")?,
                master_key: MasterKeySource::read(matches),
            },
            control: listener(matches, "control", "control-listen")?,
            admission: AdmissionConfig {
                trusted_proxies: networks(matches, "control-trusted-proxies", api::Network::parse)?,
                cors_origins: list(matches, "control-cors-origins"),
            },
            // Standalone has no such port, and so no such settings. Asked by what is there: clap's own question whether an
            // argument is known is answered truly in debug builds only.
            nodes: match matches.ids().any(|id| id.as_str() == "node-listen") {
                true => Some(node_listener(matches)?),
                false => None,
            },
            ops_listen: required(matches, "ops-listen")?,
            bootstrap: BootstrapConfig {
                username: required(matches, "admin-username")?,
                password: secret(matches, "admin-password"),
                print: matches.get_flag("print-bootstrap"),
            },
            outbound: OutboundConfig {
                allow_private: networks(matches, "upstream-allow-private", |text| text.parse().ok())?,
                ca_file: matches.get_one("upstream-ca-file").cloned(),
            },
            drain_timeout: Duration::from_secs(required(matches, "drain-timeout")?),
        })
    }
}

fn listener(
    matches: &ArgMatches,
    listener: &'static str,
    listen: &'static str,
) -> Result<ListenConfig, Error> {
    let file = |name: &str| matches.get_one::<PathBuf>(&format!("{listener}-tls-{name}")).cloned();
    let tls = match (file("certificate"), file("key")) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        (None, None) => None,
        _ => return Err(Error::HalfTls(listener)),
    };
    let listen: SocketAddr = required(matches, listen)?;
    let plaintext_anywhere = matches.get_flag(&format!("{listener}-plaintext"));
    if tls.is_none() && !plaintext_anywhere && !listen.ip().is_loopback() {
        return Err(Error::Plaintext { listener, listen });
    }
    Ok(ListenConfig { listen, tls, client_ca: None, plaintext_anywhere })
}

fn node_listener(matches: &ArgMatches) -> Result<ListenConfig, Error> {
    let plain = listener(matches, "node", "node-listen")?;
    let client_ca = matches.get_one("node-client-ca").cloned();
    if client_ca.is_some() && plain.tls.is_none() {
        return Err(Error::ClientCaWithoutTls);
    }
    Ok(ListenConfig { client_ca, ..plain })
}

fn required<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, id: &'static str) -> Result<T, Error> {
    matches.get_one::<T>(id).cloned().ok_or(Error::Missing(id))
}

fn secret(matches: &ArgMatches, id: &str) -> Option<SecretString> {
    matches.get_one::<String>(id).filter(|text| !text.is_empty()).map(|text| SecretString::from(text.clone()))
}

fn networks<N>(
    matches: &ArgMatches,
    setting: &'static str,
    parse: fn(&str) -> Option<N>,
) -> Result<Vec<N>, Error> {
    let wrong = |text: String| Error::Network { setting, text };
    list(matches, setting).into_iter().map(|text| parse(&text).ok_or(wrong(text))).collect()
}

fn list(matches: &ArgMatches, id: &str) -> Vec<String> {
    matches.get_many::<String>(id).into_iter().flatten().cloned().collect()
}

#[cfg(test)]
mod tests;
