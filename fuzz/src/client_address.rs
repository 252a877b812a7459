//! The address of a client behind proxies: `Forwarded` and `X-Forwarded-For`.
//!
//! The input is a header, and behind a line feed what the client itself wrote to the left of it;
//! `x:` in front makes it `X-Forwarded-For`. What a client writes never changes who it is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use actix_web::http::header::{FORWARDED, HeaderName, HeaderValue, X_FORWARDED_FOR};
use actix_web::test::TestRequest;
use tokensmith::domain::network::Networks;
use tokensmith::http::fuzzing::client_address;

static TRUSTED: LazyLock<Networks> =
    LazyLock::new(|| "10.0.0.0/8, fd00::/8".parse().expect("these are networks"));

const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Holds every property of client addresses.
pub fn check(data: &[u8]) {
    let (name, text) = match data {
        [b'x', b':', text @ ..] => (X_FORWARDED_FOR, text),
        _ => (FORWARDED, data),
    };
    let line_feed = text.iter().position(|byte| *byte == b'\n');
    let (header, forged) = line_feed.map_or((text, &[][..]), |at| (&text[..at], &text[at + 1..]));
    if header.len() > 2_048 {
        return;
    }
    let Some(found) = address(PROXY, &name, header) else {
        return;
    };
    assert_eq!(found, found.to_canonical(), "an address has one form");
    assert_eq!(
        address(STRANGER, &name, header),
        Some(STRANGER),
        "a stranger's word never counts"
    );
    if !TRUSTED.contains(found) {
        check_forged(&name, header, forged, found);
    }
}

/// A stranger was found, so what stands to the left was written by that stranger. If what the proxy
/// wrote is no list, because a quote in it is not closed, the stranger may at most be taken for a
/// proxy, and never for somebody else.
fn check_forged(name: &HeaderName, header: &[u8], forged: &[u8], found: IpAddr) {
    let pieces = header.split(|byte| *byte == b'"').count();
    let is_list = pieces % 2 == 1 && !header.contains(&b'\\');
    for joint in [&b", "[..], b","] {
        let longer = [forged, joint, header].concat();
        if let Some(other) = address(PROXY, name, &longer) {
            assert!(
                other == found || (!is_list && TRUSTED.contains(other)),
                "what a stranger writes changes nothing: {found} is {other}"
            );
        }
    }
}

/// `None` if that cannot stand in a header.
fn address(peer: IpAddr, name: &HeaderName, header: &[u8]) -> Option<IpAddr> {
    let value = HeaderValue::from_bytes(header).ok()?;
    let request = TestRequest::default()
        .peer_addr(SocketAddr::new(peer, 443))
        .insert_header((name.clone(), value))
        .to_http_request();
    Some(client_address(&request, &TRUSTED).expect("a connection has addresses"))
}
