//! Addresses on the network: whose word about others counts, what is counted as one caller, and
//! what the whole Internet can reach.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The proxies in front of this service. What such a peer says about where a request came from is
/// believed; what anybody else says is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Whether an address is that of a trusted proxy.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Why a text is not a list of trusted proxies.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidTrustedProxies {
    /// Neither an address nor a network.
    #[error("{0:?} is neither an address nor a network")]
    NotANetwork(String),
    /// Bits behind the prefix, or IPv4 written as IPv6: perhaps a slip, and trust should not rest
    /// on one.
    #[error("write {given} as {canonical}")]
    NotCanonical {
        /// What was written.
        given: String,
        /// What it amounts to.
        canonical: IpNet,
    },
    /// All addresses.
    #[error("{0} is every address, so anybody could claim to be anybody")]
    Everybody(String),
}

impl FromStr for TrustedProxies {
    type Err = InvalidTrustedProxies;

    /// Addresses and networks, with commas or white space between them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(|c: char| c == ',' || c.is_whitespace())
            .filter(|item| !item.is_empty())
            .map(parse_network)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn parse_network(text: &str) -> Result<IpNet, InvalidTrustedProxies> {
    let given = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| InvalidTrustedProxies::NotANetwork(text.to_owned()))?;
    let canonical = canonical(given);
    if canonical.prefix_len() == 0 {
        return Err(InvalidTrustedProxies::Everybody(text.to_owned()));
    }
    if canonical != given {
        return Err(InvalidTrustedProxies::NotCanonical {
            given: text.to_owned(),
            canonical,
        });
    }
    Ok(canonical)
}

/// The network without bits behind its prefix, and as IPv4 if it is IPv4 mapped into IPv6:
/// addresses are compared in that form.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED_BITS: u8 = 96;
    let mapped = |network: Ipv6Net| {
        let prefix = network.prefix_len().checked_sub(MAPPED_BITS)?;
        Ipv4Net::new(network.addr().to_ipv4_mapped()?, prefix).ok()
    };
    match network {
        IpNet::V6(network) => mapped(network).map_or(IpNet::V6(network), IpNet::V4),
        IpNet::V4(_) => network,
    }
    .trunc()
}

/// What is counted as one caller when attempts are limited: an IPv4 address, or a /64 of IPv6.
///
/// A subscriber of IPv6 gets at least a /64 (RFC 6177 §2) and may use any of its 2^64 addresses
/// (RFC 8981), so that counting single ones would limit nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressKey(IpAddr);

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        const SUBSCRIBER: u128 = !0 << 64;
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & SUBSCRIBER).into(),
        })
    }
}

impl fmt::Display for AddressKey {
    /// `192.0.2.1` or `2001:db8::/64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

/// Whether an address is global unicast: a caller from the Internet can have it.
///
/// The ranges for documentation (RFC 5737, RFC 3849) count as public. They never occur on the
/// Internet, so nothing is lost, and tests need public addresses that are nobody's. So do Teredo
/// and 6to4: callers have them. That they embed an IPv4 address, perhaps a private one, makes
/// this function unfit to tell where it is safe to connect to.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    /// Multicast, and what is not globally reachable (RFC 6890), except documentation.
    const SPECIAL_V4: [Ipv4Net; 11] = [
        v4([0, 0, 0, 0], 8),      // this network, and unspecified
        v4([10, 0, 0, 0], 8),     // private
        v4([100, 64, 0, 0], 10),  // shared by subscribers behind a carrier's NAT
        v4([127, 0, 0, 0], 8),    // loopback
        v4([169, 254, 0, 0], 16), // link-local
        v4([172, 16, 0, 0], 12),  // private
        v4([192, 0, 0, 0], 24),   // protocol assignments
        v4([192, 168, 0, 0], 16), // private
        v4([198, 18, 0, 0], 15),  // benchmarks
        v4([224, 0, 0, 0], 4),    // multicast
        v4([240, 0, 0, 0], 4),    // reserved, and broadcast
    ];
    /// All global unicast addresses so far (RFC 4291 §2.4 and the registry at IANA). Loopback,
    /// link-local, unique-local, multicast and NAT64 are outside.
    const UNICAST_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
    match address.to_canonical() {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|range| range.contains(&address)),
        IpAddr::V6(address) => UNICAST_V6.contains(&address),
    }
}

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn key(text: &str) -> AddressKey {
        ip(text).into()
    }

    #[test]
    fn addresses_and_networks_are_trusted_with_commas_or_spaces_between() {
        let trusted: TrustedProxies = "10.0.0.0/8, 192.0.2.7\n2001:db8::/32 ::1,".parse().unwrap();
        for inside in [
            "10.255.0.1",
            "192.0.2.7",
            "2001:db8:1::1",
            "::1",
            "::ffff:10.1.2.3",
        ] {
            assert!(trusted.contains(ip(inside)), "{inside}");
        }
        for outside in ["11.0.0.1", "192.0.2.8", "2001:db9::1", "::2", "::10.0.0.1"] {
            assert!(!trusted.contains(ip(outside)), "{outside}");
        }
    }

    #[test]
    fn an_empty_list_trusts_nobody() {
        for empty in ["", " , "] {
            assert_eq!(empty.parse(), Ok(TrustedProxies::default()));
        }
        assert!(!TrustedProxies::default().contains(ip("127.0.0.1")));
    }

    #[test]
    fn a_wrong_proxy_is_named() {
        for (bad, message) in [
            (
                "::1 10.0.0.0/33",
                "\"10.0.0.0/33\" is neither an address nor a network",
            ),
            (
                "proxy.example",
                "\"proxy.example\" is neither an address nor a network",
            ),
            (
                "10.0.0.1:80",
                "\"10.0.0.1:80\" is neither an address nor a network",
            ),
            ("10.1.0.1/8", "write 10.1.0.1/8 as 10.0.0.0/8"),
            ("2001:db8::1/64", "write 2001:db8::1/64 as 2001:db8::/64"),
            (
                "::ffff:10.0.0.0/104",
                "write ::ffff:10.0.0.0/104 as 10.0.0.0/8",
            ),
            ("::ffff:10.0.0.1", "write ::ffff:10.0.0.1 as 10.0.0.1/32"),
        ] {
            let error = bad.parse::<TrustedProxies>().unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn to_trust_everybody_is_refused() {
        for all in ["0.0.0.0/0", "::/0", "10.0.0.0/0", "::ffff:0:0/96"] {
            let error = all.parse::<TrustedProxies>();
            assert_eq!(error, Err(InvalidTrustedProxies::Everybody(all.to_owned())));
        }
    }

    #[test]
    fn a_subscriber_is_one_caller() {
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
    }

    #[test]
    fn a_key_is_written_as_address_or_network() {
        assert_eq!(key("::ffff:192.0.2.1").to_string(), "192.0.2.1");
        assert_eq!(key("2001:db8:1:2:3::4").to_string(), "2001:db8:1:2::/64");
    }

    #[test]
    fn somebody_on_the_internet_is_public() {
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "2606:4700::1111",
            "2001::1",
            "2002:c000:201::1",
            "3fff::1",
        ] {
            assert!(is_public(ip(public)), "{public}");
        }
    }

    #[test]
    fn documentation_is_public() {
        for public in ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"] {
            assert!(is_public(ip(public)), "{public}");
        }
    }

    #[test]
    fn nobody_in_particular_is_not_public() {
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "1fff::1",
            "4000::1",
        ] {
            assert!(!is_public(ip(special)), "{special}");
        }
    }
}
