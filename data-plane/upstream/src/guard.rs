//! The guard against server-side request forgery: which addresses may be connected to.
//!
//! It judges addresses, never names: a name is judged by every address that it resolves to, and the connection goes
//! to the address that was judged. `connect` is its only caller.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A network in CIDR notation; a bare address is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    base: IpAddr,
    prefix: u8,
}

/// A text that is no network.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no network such as 10.0.0.0/8 or fd00::/8")]
pub struct NetError(String);

impl Net {
    /// Whether the address lies in this network. Mapped IPv4 addresses count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                same(u128::from(base.to_bits()), u128::from(address.to_bits()), 32 - self.prefix)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                same(base.to_bits(), address.to_bits(), 128 - self.prefix)
            }
            _ => false,
        }
    }
}

fn same(a: u128, b: u128, free_bits: u8) -> bool {
    (a ^ b).checked_shr(u32::from(free_bits)).unwrap_or(0) == 0
}

impl FromStr for Net {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let wrong = || NetError(text.to_owned());
        let (base, prefix) = match text.trim().split_once('/') {
            Some((base, prefix)) => (base, Some(prefix.parse::<u8>().map_err(|_| wrong())?)),
            None => (text.trim(), None),
        };
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let widest = if base.is_ipv4() { 32 } else { 128 };
        match prefix.unwrap_or(widest) {
            prefix if prefix <= widest => Ok(Self { base, prefix }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// Which addresses may be connected to: all public ones, and those in the networks that the operator allowed.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allowed: Vec<Net>,
}

impl Guard {
    /// Public addresses and these networks.
    pub fn new(allowed: Vec<Net>) -> Self {
        Self { allowed }
    }

    /// Also the loopback networks of both families.
    #[must_use]
    pub fn with_loopback(mut self) -> Self {
        self.allowed.push(Net { base: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 });
        self.allowed.push(Net { base: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 });
        self
    }

    /// `Err` with the kind of range for an address that may not be connected to.
    pub fn check(&self, address: IpAddr) -> Result<(), &'static str> {
        match special(address) {
            Some(range) if !self.allowed.iter().any(|net| net.contains(address)) => Err(range),
            _ => Ok(()),
        }
    }
}

/// The kind of special range that an address lies in; `None` for a public unicast address.
fn special(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

/// IANA's registry of special-purpose IPv4 addresses, multicast and class E.
fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    Some(match (a, b, c) {
        (0, ..) => "an unspecified address (0.0.0.0/8)",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "a private address",
        (100, 64..=127, _) => "a carrier-grade NAT address (100.64.0.0/10)",
        (127, ..) => "a loopback address",
        (169, 254, _) => "a link-local address (169.254.0.0/16, cloud metadata)",
        (192, 0, 0) => "an IETF protocol address (192.0.0.0/24)",
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => "a documentation address",
        (192, 88, 99) => "a 6to4 relay address (192.88.99.0/24)",
        (198, 18..=19, _) => "a benchmarking address (198.18.0.0/15)",
        (224..=239, ..) => "a multicast address",
        (240..=255, ..) => "a reserved address (240.0.0.0/4)",
        _ => return None,
    })
}

/// Everything outside 2000::/3 but NAT64, and the special parts within it.
fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    let [a, b, ..] = segments;
    Some(match (a, b) {
        // RFC 6052: an IPv4 address in its last 32 bits, which is where the packet will go.
        (0x64, 0xff9b) if segments[2..6] == [0; 4] => return special_v4(embedded(&segments)),
        (0x64, 0xff9b) => "a local NAT64 address (64:ff9b:1::/48)",
        (0, 0) if address == Ipv6Addr::LOCALHOST => "a loopback address",
        (0, 0) if address == Ipv6Addr::UNSPECIFIED => "the unspecified address",
        (0, _) => "an IPv4-compatible or reserved address (::/16)",
        (0x2001, 0..=0x1ff) => "an IETF protocol address (2001::/23, Teredo)",
        (0x2001, 0xdb8) | (0x3fff, 0..=0xfff) => "a documentation address",
        (0x2002, _) => "a 6to4 address (2002::/16)",
        (0x2000..=0x3fff, _) => return None,
        (0xfc00..=0xfdff, _) => "a private address (fc00::/7)",
        (0xfe80..=0xfebf, _) => "a link-local address (fe80::/10)",
        (0xfec0..=0xfeff, _) => "a site-local address (fec0::/10)",
        (0xff00..=0xffff, _) => "a multicast address",
        _ => "a reserved address (outside 2000::/3)",
    })
}

fn embedded(segments: &[u16; 8]) -> Ipv4Addr {
    Ipv4Addr::from_bits((u32::from(segments[6]) << 16) | u32::from(segments[7]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssrf_special_ranges_are_refused() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.1.2.3",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "feff::1",
            "ff02::1",
            "4000::1",
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert!(Guard::default().check(address).is_err(), "{text} passed");
        }
    }

    #[test]
    fn public_addresses_pass() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(Guard::default().check(text.parse().unwrap()), Ok(()), "{text}");
        }
    }

    #[test]
    fn an_allowed_network_passes_and_nothing_beside_it() {
        let guard = Guard::new(vec!["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        assert!(guard.check("10.1.2.3".parse().unwrap()).is_ok());
        assert!(guard.check("::ffff:10.1.2.3".parse().unwrap()).is_ok());
        assert!(guard.check("fd00::1".parse().unwrap()).is_ok());
        assert!(guard.check("10.2.0.1".parse().unwrap()).is_err());
        assert!(guard.check("127.0.0.1".parse().unwrap()).is_err());
        let guard = Guard::default().with_loopback();
        assert!(guard.check("127.0.0.1".parse().unwrap()).is_ok());
        assert!(guard.check("::1".parse().unwrap()).is_ok());
        assert!(guard.check("169.254.169.254".parse().unwrap()).is_err());
    }

    #[test]
    fn networks_are_read_strictly() {
        for text in ["10.0.0.0/33", "::/129", "10.0.0/8", "localhost", "", "10.0.0.0/x", "010.0.0.1"] {
            assert!(text.parse::<Net>().is_err(), "{text:?}");
        }
        assert!("0.0.0.0/0".parse::<Net>().unwrap().contains("9.9.9.9".parse().unwrap()));
        assert!("::/0".parse::<Net>().unwrap().contains("fe80::1".parse().unwrap()));
        assert_eq!("192.168.1.7".parse::<Net>().unwrap().to_string(), "192.168.1.7/32");
    }
}
