//! Where a request comes from: the peer's address, or what trusted proxies say of it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, header};

/// The other end of the connection. Who accepts connections puts it into each request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its address; `None`: it came from this process.
    pub address: Option<IpAddr>,
    /// What it calls itself.
    pub user_agent: String,
}

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    /// Reads a network such as `10.0.0.0/8`, or a single address.
    pub fn parse(text: &str) -> Option<Self> {
        let whole = domain::text::network(text)?;
        let (address, length) = whole.split_once('/')?;
        Some(Self { address: address.parse().ok()?, length: length.parse().ok()? })
    }

    /// Whether an address lies in it. An IPv4 address mapped into IPv6 is the IPv4 address.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.address, plain(address)) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.length);
                (net.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.length);
                (net.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        v4 => v4,
    }
}

impl Client {
    /// From a request's peer and headers. `X-Forwarded-For` is read from its end as far as proxies are trusted; a peer
    /// that is not trusted is the client, whatever it says.
    pub fn of(peer: Option<Peer>, headers: &HeaderMap, trusted: &[Network]) -> Self {
        let user_agent = headers
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.holds(address));
        let mut address = peer.map(|peer| plain(peer.0.ip()));
        let hops: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        for hop in hops.iter().rev() {
            if !address.is_some_and(is_trusted) {
                break;
            }
            let Ok(next) = hop.parse::<IpAddr>() else { break };
            address = Some(plain(next));
        }
        Self { address, user_agent }
    }

    /// The address as the audit log has it; empty: not from outside.
    pub fn address_text(&self) -> String {
        self.address.map(|address| address.to_string()).unwrap_or_default()
    }

    /// What stands for the client where it is counted: of IPv6 the /64, since whoever has one has all of it.
    pub fn bucket(&self) -> IpAddr {
        match self.address {
            Some(IpAddr::V6(address)) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
            }
            Some(address) => address,
            None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        let trusted = [Network::parse("10.0.0.0/8").unwrap(), Network::parse("fd00::/8").unwrap()];
        Client::of(Some(Peer(peer.parse().unwrap())), &headers, &trusted).address_text()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(client("203.0.113.1:1", "198.51.100.7"), "203.0.113.1");
        assert_eq!(client("10.0.0.1:1", "198.51.100.7"), "198.51.100.7");
        assert_eq!(client("[::ffff:10.0.0.1]:1", "1.2.3.4, 198.51.100.7, 10.0.0.2"), "198.51.100.7");
        assert_eq!(client("10.0.0.1:1", "nonsense"), "10.0.0.1");
        assert_eq!(client("[fd00::1]:1", "2001:db8::7"), "2001:db8::7");
    }

    #[test]
    fn networks_hold_addresses() {
        let net = Network::parse("0.0.0.0/0").unwrap();
        assert!(net.holds("1.2.3.4".parse().unwrap()));
        assert!(!net.holds("::1".parse().unwrap()));
        assert!(Network::parse("::1").unwrap().holds("::1".parse().unwrap()));
    }
}
