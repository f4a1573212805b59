//! Addresses that operators set: their shape, and masking of what is secret in them. Whether an address may be reached
//! is decided where the connection is made.

use std::net::IpAddr;

use crate::secret::MASK;

/// An address in parts. Small on purpose: what it does not know it refuses.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// Lower-case scheme.
    pub scheme: String,
    /// User and password as written; `None`: neither.
    pub user_info: Option<String>,
    /// Host, lower-case; an IPv6 address without brackets.
    pub host: String,
    /// Port; `None`: the scheme's own.
    pub port: Option<u16>,
    /// Path, from `/` on, or empty.
    pub path: String,
}

/// Why a text is no address we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No `scheme://host`.
    #[error("must look like `https://host/path`")]
    Shape,
    /// A host that cannot be read unambiguously.
    #[error("has a host that is no name and no address")]
    Host,
    /// A port that is none.
    #[error("has a port that is not 1 to 65535")]
    Port,
    /// A query or a fragment.
    #[error("must not have a query or a fragment")]
    Tail,
    /// Blanks, control characters, backslashes or other than ASCII.
    #[error("holds a character that an address cannot hold")]
    Character,
}

impl Url {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > 2048 || text.bytes().any(|b| !b.is_ascii_graphic() || b == b'\\') {
            return Err(UrlError::Character);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Shape)?;
        let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'+';
        if scheme.is_empty() || !scheme.bytes().all(fine) {
            return Err(UrlError::Shape);
        }
        if rest.contains(['?', '#']) {
            return Err(UrlError::Tail);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user_info, host_port) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, authority),
        };
        let (host, port) = split_port(host_port)?;
        Ok(Self { scheme: scheme.to_ascii_lowercase(), user_info, host, port, path: path.to_owned() })
    }

    /// The host as an address, where it is one as written.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The whole with another user and password.
    pub fn with_user_info(&self, user_info: Option<&str>) -> String {
        let user = user_info.map(|user| format!("{user}@")).unwrap_or_default();
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{user}{host}{port}{}", self.scheme, self.path)
    }

    /// The whole, with the password as `***`.
    pub fn masked(&self) -> String {
        let user = self.user_info.as_deref().map(|user| match user.split_once(':') {
            Some((name, _)) => format!("{name}:{MASK}"),
            None => user.to_owned(),
        });
        self.with_user_info(user.as_deref())
    }

    /// The password as written; `None`: none.
    pub fn password(&self) -> Option<&str> {
        self.user_info.as_deref()?.split_once(':').map(|(_, password)| password)
    }
}

fn split_port(text: &str) -> Result<(String, Option<u16>), UrlError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(UrlError::Host)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| UrlError::Host)?;
        (host, rest.strip_prefix(':').or(if rest.is_empty() { None } else { Some("x") }))
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':');
    if host.is_empty() || host.len() > 253 || !host.bytes().all(fine) {
        return Err(UrlError::Host);
    }
    // A host of digits that is not a plain IPv4 address would be read as one by some and as a name by others.
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let numeric = !host.contains(':')
        && (last.bytes().all(|b| b.is_ascii_digit())
            || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())));
    if numeric && host.parse::<std::net::Ipv4Addr>().is_err() {
        return Err(UrlError::Host);
    }
    let port = match port {
        None => None,
        Some(port) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            Some(port.parse::<u16>().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?)
        }
        Some(_) => return Err(UrlError::Port),
    };
    Ok((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_written() {
        for text in ["https://api.example.com", "http://127.0.0.1:8080/base/", "socks5://u:p@[::1]:1080"] {
            let url = Url::parse(text).unwrap();
            assert_eq!(url.with_user_info(url.user_info.as_deref()), text);
        }
    }

    #[test]
    fn a_password_is_masked() {
        assert_eq!(Url::parse("http://u:p@h:1").unwrap().masked(), "http://u:***@h:1");
        assert_eq!(Url::parse("http://u@h:1").unwrap().masked(), "http://u@h:1");
        assert_eq!(Url::parse("http://u:a@b@h").unwrap().password(), Some("a@b"));
    }

    #[test]
    fn what_two_could_read_in_two_ways_is_refused() {
        let wrong = [
            "",
            "api.example.com",
            "https://",
            "https://h:0",
            "https://h:99999",
            "https://h?x",
            "https://h#x",
            "https://h\\@evil",
            "https://a b",
            "https://2130706433",
            "https://0x7f000001",
            "https://0177.0.0.1",
            "https://127.1",
            "https://[::1",
            "https://[::1]x",
            "https://[1.2.3.4]",
            "https://hé",
        ];
        for text in wrong {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }
}
