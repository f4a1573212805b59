//! Where a request goes: scheme, host and port, read strictly.
//!
//! A host that one reader takes for a name and another for an address is refused: decimal, octal, hexadecimal and
//! short forms of IPv4, user information, zone ids, anything that is no letter, digit, hyphen, dot or underscore.

use std::{fmt, net::IpAddr, sync::Arc};

use http::Uri;

use crate::proxy::Proxy;

/// A URL that cannot be gone to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It is no absolute `http` or `https` URL.
    #[error("not an absolute http or https URL")]
    NotHttp,
    /// It carries a user name or password.
    #[error("a URL with a user name or password is refused")]
    Userinfo,
    /// The host can be read in two ways.
    #[error("host {0:?} is neither a plain name nor an address in its usual form")]
    Host(String),
}

/// Scheme, host and port.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target {
    tls: bool,
    host: Arc<str>,
    port: u16,
}

/// A target and the way to it: what connections are kept by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Where to.
    pub target: Target,
    /// Through which proxy.
    pub proxy: Option<Arc<Proxy>>,
}

impl Target {
    /// Of an absolute URL.
    pub fn of(url: &Uri) -> Result<Self, TargetError> {
        let (tls, default_port) = match url.scheme_str() {
            Some("https") => (true, 443),
            Some("http") => (false, 80),
            _ => return Err(TargetError::NotHttp),
        };
        let authority = url.authority().ok_or(TargetError::NotHttp)?;
        if authority.as_str().contains('@') {
            return Err(TargetError::Userinfo);
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str().ends_with(':') || has_port_text(authority.as_str()) => {
                return Err(TargetError::Host(authority.to_string()));
            }
            None => default_port,
        };
        Ok(Self { tls, host: host(authority.host())?, port })
    }

    /// Whether it is gone to over TLS.
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// Host: a name, or an address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address, where the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// Text after the last colon of an authority that is not an IPv6 literal's own: a port that is none.
fn has_port_text(authority: &str) -> bool {
    let after_literal = authority.rsplit(']').next().unwrap_or(authority);
    after_literal.contains(':')
}

/// A host without its brackets, in lower case, without a final dot.
pub(crate) fn host(text: &str) -> Result<Arc<str>, TargetError> {
    let refused = || TargetError::Host(text.to_owned());
    if let Some(literal) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match literal.parse::<std::net::Ipv6Addr>() {
            Ok(address) => Ok(address.to_string().into()),
            Err(_) => Err(refused()),
        };
    }
    if text.parse::<std::net::Ipv4Addr>().is_ok() {
        return Ok(text.into());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let plain = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // A last label that begins with a digit is how inet_aton's forms end (`0x7f.1`, `2130706433`, `0177.0.0.1`); no
    // top-level domain does.
    let numeric_end =
        name.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    if name.len() > 253 || numeric_end || !name.split('.').all(plain) {
        return Err(refused());
    }
    Ok(name.to_ascii_lowercase().into())
}

impl fmt::Display for Target {
    /// Host and port, as in a `CONNECT` line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{self}", if self.tls { "https" } else { "http" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Target, TargetError> {
        Target::of(&text.parse().unwrap())
    }

    #[test]
    fn plain_urls_are_read() {
        assert_eq!(format!("{:?}", of("https://API.Example.com/v1").unwrap()), "https://api.example.com:443");
        assert_eq!(of("http://127.0.0.1:8080").unwrap().port(), 8080);
        assert_eq!(of("http://[::1]:9/").unwrap().to_string(), "[::1]:9");
        assert_eq!(of("http://localhost./").unwrap().host(), "localhost");
    }

    #[test]
    fn ssrf_two_faced_hosts_are_refused() {
        for text in [
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://0x7f.1/",
            "http://1.2.3.4.5/",
            "http://127.0.0.1.:80/",
            "http://a..b/",
            "http://exa%6dple.com/",
            "http://1.1.1.0x1/",
        ] {
            let url: Result<Uri, _> = text.parse();
            assert!(url.is_err() || Target::of(&url.unwrap()).is_err(), "{text} passed");
        }
        assert_eq!(of("http://user:pw@example.com/"), Err(TargetError::Userinfo));
        assert_eq!(of("http://example.com@10.0.0.1/"), Err(TargetError::Userinfo));
        assert_eq!(of("ftp://example.com/"), Err(TargetError::NotHttp));
        assert_eq!(of("/path"), Err(TargetError::NotHttp));
    }
}
