//! A proxy's URL, read once: `http://`, `https://`, `socks5://`, with credentials.

use std::{fmt, sync::Arc};

use http::Uri;

use crate::target::{self, TargetError};

/// How the proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// `CONNECT` over plain TCP.
    Http,
    /// `CONNECT` over TLS.
    Https,
    /// SOCKS version 5.
    Socks5,
}

/// A way out. Prints without its credentials.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    pub(crate) kind: Kind,
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
    pub(crate) login: Option<(String, String)>,
}

/// A URL that names no proxy.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The scheme is none of the three.
    #[error("a proxy's URL begins with http://, https:// or socks5://")]
    Scheme,
    /// It is no URL.
    #[error("not a proxy URL")]
    Malformed,
    /// The host can be read in two ways.
    #[error(transparent)]
    Host(#[from] TargetError),
}

impl Proxy {
    /// Reads `scheme://[user:password@]host[:port]`; user and password may be percent-encoded.
    pub fn parse(url: &str) -> Result<Self, ProxyError> {
        let (scheme, rest) = url.split_once("://").ok_or(ProxyError::Scheme)?;
        let (kind, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Kind::Http, 80),
            "https" => (Kind::Https, 443),
            "socks5" | "socks5h" => (Kind::Socks5, 1080),
            _ => return Err(ProxyError::Scheme),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !path.is_empty() {
            return Err(ProxyError::Malformed);
        }
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(read_login(login)?), place),
            None => (None, authority),
        };
        let uri: Uri = format!("http://{place}").parse().map_err(|_| ProxyError::Malformed)?;
        let authority = uri.authority().ok_or(ProxyError::Malformed)?;
        let port = authority.port_u16().unwrap_or(default_port);
        Ok(Self { kind, host: target::host(authority.host())?, port, login })
    }

    /// Host and port.
    pub(crate) fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn read_login(text: &str) -> Result<(String, String), ProxyError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let (user, password) = (decode(user)?, decode(password)?);
    // SOCKS5 counts both in one byte; nothing longer is meant anywhere.
    if user.len() > 255 || password.len() > 255 {
        return Err(ProxyError::Malformed);
    }
    Ok((user, password))
}

fn decode(text: &str) -> Result<String, ProxyError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|c| char::from(c).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(ProxyError::Malformed);
        };
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| ProxyError::Malformed)
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({:?} {})", self.kind, self.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_kinds_with_and_without_login() {
        let proxy = Proxy::parse("http://me:p%40ss@proxy.example:3128").unwrap();
        assert_eq!((proxy.kind, proxy.port), (Kind::Http, 3128));
        assert_eq!(proxy.login, Some(("me".into(), "p@ss".into())));
        assert_eq!(Proxy::parse("socks5://10.0.0.1").unwrap().port, 1080);
        assert_eq!(Proxy::parse("https://p.example/").unwrap().port, 443);
        assert_eq!(Proxy::parse("socks5://[::1]:9").unwrap().place(), "[::1]:9");
    }

    #[test]
    fn what_names_no_proxy_is_refused() {
        for text in
            ["", "proxy:3128", "ftp://p", "http://p/path", "http://%zz@p", "http://0x7f.1:80", "http://a b"]
        {
            assert!(Proxy::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn nothing_of_the_login_is_printed() {
        let proxy = Proxy::parse("http://me:secret@p.example").unwrap();
        assert!(!format!("{proxy:?}").contains("secret"));
    }
}
