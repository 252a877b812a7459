//! Who sent a request: the peer, or whoever trusted proxies say.
//!
//! Proxies append to `Forwarded` (RFC 7239) or `X-Forwarded-For`, so both are read from the right,
//! past the trusted proxies to the first stranger. What stands to the left of that address was
//! written by the stranger and never counts. If an element on the way is not an address, such as
//! `unknown` or `_hidden` (RFC 7239 §6), nobody vouches for what is to its left either, and the
//! last trusted proxy stands for the client.
//!
//! A proxy that writes one of the two headers may pass the other on as a stranger wrote it, and
//! nothing tells which. So if both are present they must agree; otherwise neither is believed, and
//! the peer stands for the client.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::domain::network::Networks;

/// More than any chain of proxies has.
const MOST_ELEMENTS: usize = 32;

/// As much of a header as is ever read, from its end.
const MOST_BYTES: usize = 4 * 1024;

/// How the address stands in an element of a header.
type AddressIn = fn(&[u8]) -> Option<IpAddr>;

/// The address of the client, in its canonical form; `None` on a connection without addresses.
pub(super) fn client_address(request: &HttpRequest, trusted: &Networks) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    if !trusted.contains(peer) {
        return Some(peer);
    }
    let client_in = |name: &HeaderName, address_in: AddressIn| {
        let elements = Elements::of(request.headers(), name)?.take(MOST_ELEMENTS);
        Some(first_stranger(peer, trusted, elements.map(address_in)))
    };
    let forwarded = client_in(&header::FORWARDED, forwarded_for);
    let x_forwarded_for = client_in(&header::X_FORWARDED_FOR, address);
    Some(match (forwarded, x_forwarded_for) {
        (Some(one), Some(other)) if one != other => peer,
        (Some(client), _) | (None, Some(client)) => client,
        (None, None) => peer,
    })
}

/// Goes from the peer to the first address that is not trusted, or as far as there are addresses.
fn first_stranger(
    peer: IpAddr,
    trusted: &Networks,
    hops: impl Iterator<Item = Option<IpAddr>>,
) -> IpAddr {
    let mut nearest = peer;
    for hop in hops.map_while(|hop| hop) {
        nearest = hop;
        if !trusted.contains(hop) {
            break;
        }
    }
    nearest
}

/// The elements of a header that is a list (RFC 9110 §5.6.1), the last one first.
struct Elements<'a> {
    lines: Vec<&'a [u8]>,
    bytes_left: usize,
}

impl<'a> Elements<'a> {
    /// `None` without that header.
    fn of(headers: &'a HeaderMap, name: &HeaderName) -> Option<Self> {
        headers.contains_key(name).then(|| Self {
            lines: headers.get_all(name).map(HeaderValue::as_bytes).collect(),
            bytes_left: MOST_BYTES,
        })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.lines.pop()?;
        let unread = line.len().saturating_sub(self.bytes_left);
        let Some(comma) = last_delimiter(line.get(unread..)?, b',') else {
            // What begins before the limit is not an element but the end of one.
            self.bytes_left = self.bytes_left.checked_sub(line.len())?;
            return Some(line);
        };
        let (earlier, element) = line.split_at_checked(unread + comma)?;
        self.lines.push(earlier);
        self.bytes_left = self.bytes_left.checked_sub(element.len())?;
        element.get(1..)
    }
}

/// Where the last delimiter outside quotes is.
///
/// Read from the right like everything here: if a stranger opens a quote and the proxy appends to
/// it, only what the stranger wrote is spoilt.
fn last_delimiter(text: &[u8], delimiter: u8) -> Option<usize> {
    let mut in_quotes = false;
    for (at, byte) in text.iter().enumerate().rev() {
        if *byte == delimiter && !in_quotes {
            return Some(at);
        }
        // RFC 9110 §5.6.4: within quotes, a quote behind a backslash is text. The quote that opens
        // has an equals sign before it.
        let is_escaped = || text.get(..at).is_some_and(|before| before.ends_with(b"\\"));
        if *byte == b'"' && !(in_quotes && is_escaped()) {
            in_quotes = !in_quotes;
        }
    }
    None
}

/// The address in `for=` of an element of `Forwarded` (RFC 7239 §4).
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let mut rest = Some(element);
    let mut found = None;
    while let Some(pairs) = rest {
        let (earlier, pair) = match last_delimiter(pairs, b';') {
            Some(at) => (pairs.get(..at), pairs.get(at + 1..)?),
            None => (None, pairs),
        };
        rest = earlier;
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (name, value) = pair.split_at_checked(equals)?;
        if !name.trim_ascii().eq_ignore_ascii_case(b"for") {
            continue;
        }
        // RFC 7239 §4: each parameter occurs once in an element.
        if found.is_some() {
            return None;
        }
        found = Some(address(unquoted(value.get(1..)?))?);
    }
    found
}

fn unquoted(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value)
}

/// An address, perhaps with a port: `192.0.2.1:80`, `[2001:db8::1]:80`.
fn address(node: &[u8]) -> Option<IpAddr> {
    let node = std::str::from_utf8(node).ok()?.trim_ascii();
    let host = match node.rsplit_once(':') {
        Some((host, port)) if is_port(port) && is_complete(host) => host,
        _ => node,
    };
    let bare = match host.strip_prefix('[') {
        Some(open) => IpAddr::V6(open.strip_suffix(']')?.parse().ok()?),
        None => host.parse().ok()?,
    };
    Some(bare.to_canonical())
}

/// Whether a port may follow: an IPv6 address without brackets would lose its last group to it.
fn is_complete(host: &str) -> bool {
    host.ends_with(']') || !host.contains(':')
}

/// A number, or a name that hides one (RFC 7239 §6.3).
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(name) => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !name.is_empty() && name.bytes().all(allowed)
        }
        None => (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    const PROXIES: &str = "10.0.0.0/8, fd00::/8";

    /// What a request from `peer` with these header lines gives.
    fn client_of(peer: &str, lines: &[(&str, &[u8])]) -> String {
        let peer: IpAddr = peer.parse().unwrap();
        let mut request = TestRequest::default().peer_addr((peer, 50_000).into());
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(value).unwrap();
            request = request.append_header((*name, value));
        }
        client_address(&request.to_http_request(), &PROXIES.parse().unwrap())
            .unwrap()
            .to_string()
    }

    fn forwarded(value: &str) -> String {
        client_of("10.0.0.1", &[("forwarded", value.as_bytes())])
    }

    fn x_forwarded_for(value: &str) -> String {
        client_of("10.0.0.1", &[("x-forwarded-for", value.as_bytes())])
    }

    #[test]
    fn without_headers_the_peer_is_the_client() {
        assert_eq!(client_of("192.0.2.1", &[]), "192.0.2.1");
        assert_eq!(client_of("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client_of("::ffff:192.0.2.1", &[]), "192.0.2.1");
    }

    #[test]
    fn a_connection_without_addresses_has_no_client_address() {
        let request = TestRequest::default().insert_header(("x-forwarded-for", "192.0.2.1"));
        let trusted = PROXIES.parse().unwrap();
        assert_eq!(client_address(&request.to_http_request(), &trusted), None);
    }

    #[test]
    fn a_stranger_cannot_claim_an_address() {
        let lines: [(&str, &[u8]); 4] = [
            ("forwarded", b"for=198.51.100.1"),
            ("x-forwarded-for", b"198.51.100.1"),
            ("x-real-ip", b"198.51.100.1"),
            ("forwarded", b"for=10.0.0.1"),
        ];
        assert_eq!(client_of("192.0.2.1", &lines), "192.0.2.1");
        assert_eq!(client_of("2001:db8::1", &lines), "2001:db8::1");
    }

    #[test]
    fn the_peer_is_trusted_in_either_form() {
        let lines: [(&str, &[u8]); 1] = [("x-forwarded-for", b"192.0.2.1")];
        for peer in ["10.0.0.1", "::ffff:10.0.0.1", "fd00::1"] {
            assert_eq!(client_of(peer, &lines), "192.0.2.1", "{peer}");
        }
    }

    #[test]
    fn the_first_address_from_the_right_that_is_no_proxy_is_the_client() {
        for chain in [
            "192.0.2.1",
            "198.51.100.1, 192.0.2.1",
            "198.51.100.1,192.0.2.1 ,\t10.0.0.3, fd00::2",
            "10.0.0.9, 192.0.2.1, 10.0.0.2",
            "rubbish, 192.0.2.1, 10.0.0.2",
            "::ffff:192.0.2.1, ::ffff:10.0.0.2",
        ] {
            assert_eq!(x_forwarded_for(chain), "192.0.2.1", "{chain}");
            let elements: Vec<_> = chain.split(',').map(str::trim).collect();
            let chain = format!("for=\"{}\"", elements.join("\", for=\""));
            assert_eq!(forwarded(&chain), "192.0.2.1", "{chain}");
        }
    }

    #[test]
    fn a_request_from_a_trusted_host_comes_from_the_farthest_one() {
        assert_eq!(x_forwarded_for("10.0.0.9, 10.0.0.2"), "10.0.0.9");
    }

    #[test]
    fn lines_count_in_their_order() {
        for name in ["forwarded", "x-forwarded-for"] {
            let lines: [&[u8]; 3] = match name {
                "forwarded" => [b"for=198.51.100.1", b"for=192.0.2.1", b"for=10.0.0.2"],
                _ => [b"198.51.100.1", b"192.0.2.1", b"10.0.0.2"],
            };
            assert_eq!(
                client_of("10.0.0.1", &lines.map(|line| (name, line))),
                "192.0.2.1",
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_no_address_ends_the_walk_at_the_last_proxy() {
        for bad in [
            "",
            "unknown",
            "_hidden",
            "proxy.example",
            "192.0.2.1:port",
            "192.0.2.1:123456",
            "192.0.2.1:",
            "192.0.2.256",
            "192.0.2.01",
            "192.0.2.1 198.51.100.1",
            "[192.0.2.1]",
            "[2001:db8::1",
            "2001:db8::1]",
            "[2001:db8::1]443",
            "2001:db8:1:2:3:4:5:6:443",
            "fe80::1%eth0",
            "unix:",
        ] {
            let chain = format!("192.0.2.1, {bad}, 10.0.0.2");
            assert_eq!(x_forwarded_for(&chain), "10.0.0.2", "{chain}");
            let chain = format!("for=192.0.2.1, for=\"{bad}\", for=10.0.0.2");
            assert_eq!(forwarded(&chain), "10.0.0.2", "{chain}");
        }
        assert_eq!(x_forwarded_for("192.0.2.1, \"10.0.0.2\""), "10.0.0.1");
    }

    #[test]
    fn a_port_is_no_part_of_the_address() {
        for (node, address) in [
            ("192.0.2.1:4711", "192.0.2.1"),
            ("192.0.2.1:_gazonk", "192.0.2.1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("[2001:db8::1]:_a.b-c", "2001:db8::1"),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(x_forwarded_for(node), address, "{node}");
            assert_eq!(forwarded(&format!("for=\"{node}\"")), address, "{node}");
        }
    }

    #[test]
    fn the_elements_of_the_rfc_are_understood() {
        for (element, client) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("by=203.0.113.43; FOR=192.0.2.60", "192.0.2.60"),
            ("for=192.0.2.60;host=\"a;for=b,c\"", "192.0.2.60"),
            (
                "for=192.0.2.60;ext=\"a\\\", for=198.51.100.1;b=\\\"\"",
                "192.0.2.60",
            ),
            ("for=192.0.2.60;ext=\"\\\\\"", "192.0.2.60"),
        ] {
            assert_eq!(forwarded(element), client, "{element}");
        }
    }

    #[test]
    fn an_element_that_names_nobody_or_two_ends_the_walk() {
        for element in [
            "proto=https",
            "for",
            "for=",
            "for=192.0.2.1;for=192.0.2.1",
            "for=192.0.2.1;for=unknown",
            "for=\"192.0.2.1",
            "for=\"\\192.0.2.1\"",
            "x=\"for=192.0.2.1\"",
            "xfor=192.0.2.1",
        ] {
            let chain = format!("for=198.51.100.1, {element}");
            assert_eq!(forwarded(&chain), "10.0.0.1", "{chain}");
        }
    }

    #[test]
    fn a_quote_that_a_stranger_opens_does_not_reach_what_the_proxy_appends() {
        for prefix in [
            "for=198.51.100.1;x=\"",
            "for=\"",
            "\"",
            "\\",
            "for=\"198.51.100.1\\",
        ] {
            let chain = format!("{prefix}, for=\"192.0.2.1:80\";proto=https");
            assert_eq!(forwarded(&chain), "192.0.2.1", "{chain}");
        }
    }

    #[test]
    fn two_headers_that_disagree_are_not_believed() {
        for (one, other, client) in [
            ("for=192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("for=192.0.2.1", "192.0.2.1, 10.0.0.2", "192.0.2.1"),
            ("for=198.51.100.1", "192.0.2.1", "10.0.0.1"),
            ("for=unknown", "192.0.2.1", "10.0.0.1"),
            ("for=192.0.2.1", "", "10.0.0.1"),
        ] {
            let lines = [
                ("forwarded", one.as_bytes()),
                ("x-forwarded-for", other.as_bytes()),
            ];
            assert_eq!(client_of("10.0.0.1", &lines), client, "{one} and {other}");
        }
    }

    #[test]
    fn a_long_chain_is_read_up_to_a_limit() {
        let proxies = |count| vec!["10.0.0.2"; count].join(", ");
        let chain = |count| format!("192.0.2.1, {}", proxies(count));
        assert_eq!(x_forwarded_for(&chain(MOST_ELEMENTS - 1)), "192.0.2.1");
        assert_eq!(x_forwarded_for(&chain(MOST_ELEMENTS)), "10.0.0.2");
    }

    #[test]
    fn an_element_that_is_cut_at_the_limit_is_not_an_address() {
        // At some padding the limit falls where it would leave just 192.0.2.1.
        for padding in MOST_BYTES - 40..MOST_BYTES {
            let chain = format!("198.51.100.192.0.2.1{}, 10.0.0.2", " ".repeat(padding));
            assert_eq!(x_forwarded_for(&chain), "10.0.0.2", "{padding}");
        }
        let flood = format!("{}, 192.0.2.1", "x".repeat(3 * MOST_BYTES));
        assert_eq!(x_forwarded_for(&flood), "192.0.2.1");
    }

    /// The bytes that a header may hold (RFC 9110 §5.5).
    fn header_bytes() -> impl Strategy<Value = Vec<u8>> {
        let telling = prop::sample::select(b"\"\\,;=for:[] 1.\t\xff".to_vec());
        prop::collection::vec(telling, 0..80)
    }

    proptest! {
        #[test]
        fn nothing_before_the_proxys_own_element_counts(prefix in header_bytes()) {
            for (name, element) in [
                ("x-forwarded-for", "192.0.2.1"),
                ("forwarded", "for=192.0.2.1"),
                ("forwarded", "for=\"192.0.2.1:80\";proto=https"),
                ("forwarded", "by=\"[fd00::1]\";for=\"192.0.2.1\";host=\"a\\\", b\""),
            ] {
                let line = [&prefix, b", ".as_slice(), element.as_bytes()].concat();
                prop_assert_eq!(client_of("10.0.0.1", &[(name, &line)]), "192.0.2.1");
            }
        }
    }
}
