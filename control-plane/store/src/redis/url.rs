//! Addresses of a Redis store: one server, Sentinels, or a cluster. What the URL's `user:password` says is never
//! printed.

use crate::error::{Error, Result};

/// Where the store is.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// One server, as a URL of the client library.
    Single(String),
    /// The master of a service, asked from Sentinels (as URLs without credentials).
    Sentinel {
        /// `host:port` of each Sentinel.
        sentinels: Vec<(String, u16)>,
        /// The service's name.
        service: String,
        /// What servers ask for.
        login: Login,
    },
    /// Nodes of a cluster, as URLs of the client library.
    Cluster(Vec<String>),
}

/// How to present oneself.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) tls: bool,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: i64,
}

impl Target {
    /// Reads `redis://`, `rediss://`, `redis-sentinel://h1:26379,h2/service/0`, `redis+cluster://h1:6379,h2:6379`;
    /// with a second `s` (`rediss-sentinel`, `rediss+cluster`) over TLS.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| unfit("it has no scheme"))?;
        let tls = scheme.starts_with("rediss");
        match scheme {
            "redis" | "rediss" => Ok(Self::Single(url.to_owned())),
            "redis-sentinel" | "rediss-sentinel" => sentinel(rest, tls),
            "redis+cluster" | "rediss+cluster" => {
                let (login, hosts) = split_login(rest);
                let hosts = hosts.trim_end_matches('/');
                if hosts.is_empty() || hosts.contains('/') {
                    return Err(unfit(
                        "a cluster is named by its hosts alone, as redis+cluster://host:6379,host:6379",
                    ));
                }
                let scheme = if tls { "rediss" } else { "redis" };
                let login = login.map(|login| format!("{login}@")).unwrap_or_default();
                Ok(Self::Cluster(hosts.split(',').map(|host| format!("{scheme}://{login}{host}")).collect()))
            }
            _ => Err(unfit("its scheme is none of redis, rediss, redis-sentinel, redis+cluster")),
        }
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Single(_) => "Single(..)",
            Self::Sentinel { .. } => "Sentinel(..)",
            Self::Cluster(_) => "Cluster(..)",
        })
    }
}

fn sentinel(rest: &str, tls: bool) -> Result<Target> {
    let (login, rest) = split_login(rest);
    let mut path = rest.split('/');
    let hosts = path.next().unwrap_or_default();
    let service = path.next().filter(|service| !service.is_empty());
    let service =
        service.ok_or_else(|| unfit("it names no service, as redis-sentinel://host:26379/service"))?;
    let database = match path.next().filter(|text| !text.is_empty()) {
        None => 0,
        Some(text) => text.parse().map_err(|_| unfit("its database is no number"))?,
    };
    let mut sentinels = Vec::new();
    for host in hosts.split(',') {
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| unfit("a port is no number"))?),
            None => (host, 26_379),
        };
        if host.is_empty() {
            return Err(unfit("a host is empty"));
        }
        sentinels.push((host.to_owned(), port));
    }
    let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
        None => (None, None),
        Some((user, password)) => (decoded(user)?, decoded(password)?),
    };
    let login = Login { tls, user, password, database };
    Ok(Target::Sentinel { sentinels, service: service.to_owned(), login })
}

fn split_login(rest: &str) -> (Option<&str>, &str) {
    match rest.rsplit_once('@') {
        Some((login, rest)) => (Some(login), rest),
        None => (None, rest),
    }
}

/// A part of the login with its percent escapes resolved; `None` when it is empty.
fn decoded(text: &str) -> Result<Option<String>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let pair = [rest.next().unwrap_or(0), rest.next().unwrap_or(0)];
        let escaped = hex::decode(pair).map_err(|_| unfit("its login has a broken percent escape"))?;
        bytes.extend(escaped);
    }
    let text = String::from_utf8(bytes).map_err(|_| unfit("its login is not UTF-8"))?;
    Ok((!text.is_empty()).then_some(text))
}

fn unfit(why: &str) -> Error {
    Error::Unfit { why: format!("the store's URL is refused: {why}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood() {
        let single = Target::parse("redis://u:p@h:1/2").unwrap();
        assert!(single == Target::Single("redis://u:p@h:1/2".into()));
        let cluster = Target::parse("rediss+cluster://u:p@a:1,b:2/").unwrap();
        assert!(cluster == Target::Cluster(vec!["rediss://u:p@a:1".into(), "rediss://u:p@b:2".into()]));
        let login = Login { tls: false, user: None, password: Some("p@ss".into()), database: 3 };
        let expected = Target::Sentinel {
            sentinels: vec![("a".into(), 26_379), ("b".into(), 5)],
            service: "main".into(),
            login,
        };
        assert!(Target::parse("redis-sentinel://:p%40ss@a,b:5/main/3").unwrap() == expected);
    }

    #[test]
    fn g2_refusals_show_nothing_of_the_login() {
        for url in [
            "localhost",
            "http://u:hidden@h",
            "redis-sentinel://u:hidden@h:1",
            "redis-sentinel://u:hidden@h:x/s",
            "redis-sentinel://u:%zzhidden@h:1/s",
            "redis+cluster://u:hidden@",
            "redis+cluster://u:hidden@h/1",
        ] {
            let error = Target::parse(url).unwrap_err().to_string();
            assert!(!error.contains("hidden"), "{error}");
        }
        assert!(!format!("{:?}", Target::parse("redis://u:hidden@h")).contains("hidden"));
    }
}
