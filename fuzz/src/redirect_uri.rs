//! Redirect URIs: which may be registered, and which a request may name.
//!
//! The input is a URI that is registered, and behind a line feed one that is presented. If the one
//! stands for the other, browsers go to the same place by both, but for the port of a loopback
//! address.

use tokensmith::domain::redirect_uri::{InvalidRedirectUri, RedirectUri};
use url::Url;

/// Holds every property of redirect URIs.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (registered, presented) = text.split_once('\n').unwrap_or((&text, ""));
    let Ok(registered) = registered.parse::<RedirectUri>() else {
        return;
    };
    check_registered(&registered);
    check_match(&registered, presented);
    for near in neighbours(registered.as_str()) {
        check_match(&registered, &near);
    }
}

fn check_registered(uri: &RedirectUri) {
    let text = uri.as_str();
    assert_eq!(
        text.parse().as_ref(),
        Ok(uri),
        "print then parse is the identity"
    );
    assert!(uri.matches(text), "a URI stands for itself");
    let url = Url::parse(text).expect("browsers understand what is registered");
    assert_eq!(url.fragment(), None, "a redirect URI has no fragment");
    assert!(
        url.username().is_empty() && url.password().is_none(),
        "nor user information"
    );
    assert!(
        text.starts_with(&format!("{}:", url.scheme())),
        "the scheme is as written"
    );
    if url.scheme().contains('.') {
        return;
    }
    let host = url.host_str().expect("a URL of the web has a host");
    assert!(
        ["https", "http"].contains(&url.scheme()),
        "or a scheme of an app's own"
    );
    let is_local = ["127.0.0.1", "[::1]", "localhost"].contains(&host);
    assert!(
        url.scheme() == "https" || is_local,
        "without TLS nothing leaves the machine"
    );
    let after_host = text.strip_prefix(&format!("{}://{host}", url.scheme()));
    let after_host = after_host.expect("the host is as written");
    let path = after_host
        .find(['/', '?'])
        .map_or("", |at| &after_host[at..]);
    let path = path.split('?').next().unwrap_or_default();
    assert_eq!(
        url.path().trim_start_matches('/'),
        path.trim_start_matches('/'),
        "the path is as written"
    );
}

fn check_match(registered: &RedirectUri, presented: &str) {
    if !registered.matches(presented) || registered.as_str() == presented {
        return;
    }
    let own = Url::parse(registered.as_str()).expect("browsers understand what is registered");
    let other = Url::parse(presented).expect("and what stands for it");
    let host = own.host_str().unwrap_or_default();
    assert!(own.scheme() == "http", "only without TLS may a URI differ");
    assert!(
        ["127.0.0.1", "[::1]"].contains(&host),
        "and only on a loopback address"
    );
    let without_port = |mut url: Url| {
        url.set_port(None)
            .expect("a URL with a host may have a port");
        url
    };
    assert_eq!(
        without_port(own),
        without_port(other),
        "only the port may differ"
    );
    match presented.parse::<RedirectUri>() {
        Ok(presented) => assert!(
            presented.matches(registered.as_str()),
            "to stand for another goes both ways"
        ),
        // A port is at most this much longer than none.
        Err(error) => assert!(
            error == InvalidRedirectUri::Length && presented.len() <= 512 + ":65535".len(),
            "what is presented could be registered itself: {error}"
        ),
    }
}

/// What an attacker would try.
fn neighbours(uri: &str) -> Vec<String> {
    let mut all: Vec<String> = [
        "/",
        "/..",
        "?",
        "#",
        "@evil.example",
        ".evil.example",
        "\\@evil.example",
        "%00",
        "\n",
        ":443",
        ":80",
        "&code=1",
    ]
    .iter()
    .map(|suffix| format!("{uri}{suffix}"))
    .collect();
    all.push(uri.to_uppercase());
    all.push(uri.trim_end_matches('/').to_owned());
    if let Some((scheme, rest)) = uri.split_once("://") {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        for authority in [
            format!("{authority}:1"),
            format!("{authority}:65535"),
            format!("{authority}:0"),
            format!("{authority}:65536"),
            format!("{authority}:80@evil.example"),
            format!("{authority}.evil.example"),
            format!("evil.example@{authority}"),
            format!("evil.example\\@{authority}"),
        ] {
            all.push(format!("{scheme}://{authority}{path}"));
        }
    }
    all
}
