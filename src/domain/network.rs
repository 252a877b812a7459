//! Addresses on the network: lists of them that an operator writes, what is counted as one caller,
//! what the whole Internet can reach, and what it is safe to connect to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Addresses and networks that an operator makes an exception for: the proxies whose word about
/// others is believed, the receivers that are called although they are not public.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Whether an address is listed, or in a network that is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Why a text is not a list of addresses and networks.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidNetworks {
    /// Neither an address nor a network.
    #[error("{0:?} is neither an address nor a network")]
    NotANetwork(String),
    /// Bits behind the prefix, or IPv4 written as IPv6: perhaps a slip, and an exception should not
    /// rest on one.
    #[error("write {given} as {canonical}")]
    NotCanonical {
        /// What was written.
        given: String,
        /// What it amounts to.
        canonical: IpNet,
    },
    /// All addresses.
    #[error("{0} is every address, so the list would keep nobody out")]
    Everybody(String),
}

impl FromStr for Networks {
    type Err = InvalidNetworks;

    /// Addresses and networks, with commas or white space between them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(|c: char| c == ',' || c.is_whitespace())
            .filter(|item| !item.is_empty())
            .map(parse_network)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn parse_network(text: &str) -> Result<IpNet, InvalidNetworks> {
    let given = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| InvalidNetworks::NotANetwork(text.to_owned()))?;
    let canonical = canonical(given);
    if canonical.prefix_len() == 0 {
        return Err(InvalidNetworks::Everybody(text.to_owned()));
    }
    if canonical != given {
        return Err(InvalidNetworks::NotCanonical {
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
/// this function unfit to tell where it is safe to connect to: that is [`is_safe_to_call`].
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

/// Whether this server may connect to an address on the word of somebody else: it is public, and
/// nothing that leads back into a network of the operator's (server-side request forgery).
///
/// Which addresses a network translates into its own IPv4 ones by a prefix of its own (RFC 6052
/// §2.2), nobody else can know; only the well-known prefixes are refused.
#[must_use]
pub fn is_safe_to_call(address: IpAddr) -> bool {
    /// What counts as public and is nobody's, or a relay to somewhere else.
    const UNSAFE_V4: [Ipv4Net; 4] = [
        v4([192, 0, 2, 0], 24),    // documentation (RFC 5737)
        v4([198, 51, 100, 0], 24), // documentation
        v4([203, 0, 113, 0], 24),  // documentation
        v4([192, 88, 99, 0], 24),  // relays of 6to4 (RFC 7526)
    ];
    const UNSAFE_V6: [Ipv6Net; 4] = [
        v6([0x2001, 0], 23),     // protocol assignments (RFC 2928), Teredo among them
        v6([0x2001, 0xdb8], 32), // documentation (RFC 3849)
        v6([0x2002, 0], 16),     // 6to4: an IPv4 address, perhaps a private one, is inside
        v6([0x3fff, 0], 20),     // documentation (RFC 9637)
    ];
    is_public(address)
        && match address.to_canonical() {
            IpAddr::V4(address) => !UNSAFE_V4.iter().any(|range| range.contains(&address)),
            IpAddr::V6(address) => !UNSAFE_V6.iter().any(|range| range.contains(&address)),
        }
}

const fn v6([a, b]: [u16; 2], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
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
    fn addresses_and_networks_are_listed_with_commas_or_spaces_between() {
        let listed: Networks = "10.0.0.0/8, 192.0.2.7\n2001:db8::/32 ::1,".parse().unwrap();
        for inside in [
            "10.255.0.1",
            "192.0.2.7",
            "2001:db8:1::1",
            "::1",
            "::ffff:10.1.2.3",
        ] {
            assert!(listed.contains(ip(inside)), "{inside}");
        }
        for outside in ["11.0.0.1", "192.0.2.8", "2001:db9::1", "::2", "::10.0.0.1"] {
            assert!(!listed.contains(ip(outside)), "{outside}");
        }
    }

    #[test]
    fn an_empty_list_has_nobody_on_it() {
        for empty in ["", " , "] {
            assert_eq!(empty.parse(), Ok(Networks::default()));
        }
        assert!(!Networks::default().contains(ip("127.0.0.1")));
    }

    #[test]
    fn a_wrong_network_is_named() {
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
            let error = bad.parse::<Networks>().unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn to_list_everybody_is_refused() {
        for all in ["0.0.0.0/0", "::/0", "10.0.0.0/0", "::ffff:0:0/96"] {
            let error = all.parse::<Networks>();
            assert_eq!(error, Err(InvalidNetworks::Everybody(all.to_owned())));
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

    #[test]
    fn an_address_that_leads_back_inside_is_not_safe_to_call() {
        for inside in [
            // What is not public is not safe, from the first address of each range to its last.
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.0.0",
            "169.254.169.254",
            "169.254.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.0",
            "192.0.0.255",
            "192.0.2.0",
            "192.0.2.255",
            "192.88.99.1",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.0",
            "198.51.100.255",
            "203.0.113.0",
            "203.0.113.255",
            "224.0.0.0",
            "239.255.255.255",
            "240.0.0.0",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:192.0.2.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::1.1.1.1",
            "64:ff9b:1::10.0.0.1",
            "100::1",
            "2001::1",
            "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db8::1",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "2002:7f00:1::1",
            "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "feff::1",
            "ff02::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert!(!is_safe_to_call(ip(inside)), "{inside}");
        }
        for outside in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2001:db7::1",
            "2001:db9::1",
            "2003::1",
            "2606:4700::1111",
            "3ffe::1",
        ] {
            assert!(is_safe_to_call(ip(outside)), "{outside}");
        }
    }
}
