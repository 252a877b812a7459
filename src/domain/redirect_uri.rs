//! Redirect URIs (RFC 6749 §3.1.2): where an authorization code may be sent.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

/// An absolute URI of at most 512 characters to which the browser is sent with a code: `https`,
/// `http` on this very machine, or a scheme of an app's own (RFC 8252 §7).
///
/// Kept as written. Which URIs a request may name is answered by [`Self::matches`] alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct RedirectUri(String);

/// Why a text cannot be a redirect URI. None of the reasons repeats the text.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidRedirectUri {
    /// Empty, or more than 512 characters.
    #[error("a redirect URI has 1 to 512 characters")]
    Length,
    /// Anything from `#` on.
    #[error("a redirect URI has no fragment (RFC 6749 section 3.1.2)")]
    Fragment,
    /// A `*`: it would be taken as written, which is not what whoever wrote it meant.
    #[error("a redirect URI has no wildcard: it is compared as written (RFC 9700 section 2.1)")]
    Wildcard,
    /// White space, controls, backslashes, letters outside ASCII and the like.
    #[error(
        "a redirect URI has the characters of RFC 3986 only: no spaces, no backslashes, nothing \
         outside ASCII"
    )]
    Characters,
    /// No scheme, or nothing after it.
    #[error("a redirect URI is absolute, such as https://app.example.com/callback")]
    NotAbsolute,
    /// A scheme that is no app's own, such as `javascript`.
    #[error(
        "a redirect URI has the scheme https, http on this machine, or an app's own in lower case \
         with a dot in it, such as com.example.app (RFC 8252 section 7.1)"
    )]
    Scheme,
    /// Something before an `@` of the authority.
    #[error("a redirect URI has no user information")]
    UserInfo,
    /// No host, or a host or port that browsers would write differently.
    #[error(
        "a redirect URI names its host as browsers do: in lower case, an IP address in its usual \
         form, a port from 1 to 65535"
    )]
    Host,
    /// `http` over a network.
    #[error(
        "a redirect URI with http is for 127.0.0.1, [::1] or localhost only; elsewhere use https"
    )]
    PlainHttp,
    /// A segment `.` or `..`, percent-encoded or not.
    #[error("the path of a redirect URI has no segments . or ..")]
    DotSegments,
}

impl RedirectUri {
    const MAX_LENGTH: usize = 512;

    /// The URI as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a request may name `presented` where this URI is registered. It must be the same,
    /// byte for byte (RFC 9700 §2.1), but for one thing: on the loopback addresses `127.0.0.1` and
    /// `[::1]` any port will do, since an app gets whichever is free (RFC 8252 §7.3).
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        self.0 == presented
            || split_loopback(&self.0).is_some_and(|own| split_loopback(presented) == Some(own))
    }
}

/// The loopback address and what follows its port. `localhost` is not among them: what it
/// resolves to is not for sure this machine (RFC 8252 §8.3).
fn split_loopback(uri: &str) -> Option<(&str, &str)> {
    ["http://127.0.0.1", "http://[::1]"]
        .into_iter()
        .find_map(|origin| {
            let after_host = uri.strip_prefix(origin)?;
            let rest = match after_host.strip_prefix(':') {
                None => after_host,
                Some(after_colon) => {
                    let end = after_colon
                        .find(|c: char| !c.is_ascii_digit())
                        .unwrap_or(after_colon.len());
                    let (port, rest) = after_colon.split_at_checked(end)?;
                    is_port(port).then_some(rest)?
                }
            };
            // Anything else goes on with the host: `127.0.0.1.evil.example`, `127.0.0.1@evil.example`.
            let host_is_over = rest.is_empty() || rest.starts_with(['/', '?']);
            host_is_over.then_some((origin, rest))
        })
}

fn is_port(text: &str) -> bool {
    text.len() <= 5
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<NonZeroU16>().is_ok()
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RedirectUri {
    type Err = InvalidRedirectUri;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check_characters(text)?;
        let (scheme, rest) = text
            .split_once(':')
            .filter(|(_, rest)| !rest.is_empty())
            .ok_or(InvalidRedirectUri::NotAbsolute)?;
        let after_slashes = rest.strip_prefix("//");
        let (authority, path) = match after_slashes {
            Some(rest) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
            None => ("", rest),
        };
        if authority.contains('@') {
            return Err(InvalidRedirectUri::UserInfo);
        }
        match scheme {
            "https" => check_host(text, authority)?,
            "http" => {
                check_host(text, authority)?;
                if !["127.0.0.1", "[::1]", "localhost"].contains(&split_port(authority).0) {
                    return Err(InvalidRedirectUri::PlainHttp);
                }
            }
            private => check_private_use(private)?,
        }
        // What is left that a browser could not follow.
        Url::parse(text).map_err(|_| InvalidRedirectUri::NotAbsolute)?;
        if has_dot_segment(path) {
            return Err(InvalidRedirectUri::DotSegments);
        }
        Ok(Self(text.to_owned()))
    }
}

/// RFC 3986 §2, without the characters that have no place in a redirect URI.
fn check_characters(text: &str) -> Result<(), InvalidRedirectUri> {
    if text.is_empty() || text.len() > RedirectUri::MAX_LENGTH {
        return Err(InvalidRedirectUri::Length);
    }
    if text.contains('#') {
        return Err(InvalidRedirectUri::Fragment);
    }
    if text.contains('*') {
        return Err(InvalidRedirectUri::Wildcard);
    }
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()+,;=%".contains(&byte);
    let encodes =
        |hex: Option<&str>| hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let is_whole = text.bytes().all(allowed)
        && text
            .match_indices('%')
            .all(|(at, _)| encodes(text.get(at + 1..at + 3)));
    is_whole.then_some(()).ok_or(InvalidRedirectUri::Characters)
}

/// Takes a host only as browsers write it, so that what was registered is where they go.
fn check_host(text: &str, authority: &str) -> Result<(), InvalidRedirectUri> {
    let (host, port) = split_port(authority);
    let url = Url::parse(text).map_err(|_| InvalidRedirectUri::Host)?;
    let as_written = !host.is_empty() && url.host_str() == Some(host);
    if as_written && port.is_none_or(is_port) {
        Ok(())
    } else {
        Err(InvalidRedirectUri::Host)
    }
}

/// The host and, after a colon outside the brackets of an IPv6 address, the port.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// RFC 8252 §7.1: a domain of the app's maker, reversed. The dot keeps out every scheme that means
/// something to a browser: `javascript`, `data`, `file`, `blob`, `about` and their like.
fn check_private_use(scheme: &str) -> Result<(), InvalidRedirectUri> {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    let is_own = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(allowed)
        && scheme.contains('.')
        && scheme.split('.').all(|label| !label.is_empty());
    is_own.then_some(()).ok_or(InvalidRedirectUri::Scheme)
}

/// Whether the path climbs. Percent-encoded dots and slashes count: browsers and servers decode
/// them before they follow the path.
fn has_dot_segment(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let decoded = path
        .to_ascii_lowercase()
        .replace("%2e", ".")
        .replace("%2f", "/")
        .replace("%5c", "/");
    decoded
        .split('/')
        .any(|segment| segment == "." || segment == "..")
}

impl<'de> Deserialize<'de> for RedirectUri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> InvalidRedirectUri {
        let parsed: Result<RedirectUri, _> = text.parse();
        parsed.expect_err(text)
    }

    fn uri(text: &str) -> RedirectUri {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn https_loopback_and_an_apps_own_scheme_are_redirect_uris() {
        for good in [
            "https://app.example.com",
            "https://app.example.com/",
            "https://app.example.com/callback?tenant=acme",
            "https://app.example.com:8443/callback",
            "https://xn--bcher-kva.example/callback",
            "https://192.0.2.7/callback",
            "https://[2001:db8::1]/callback",
            "https://app.example.com/a%20b/c..d/...",
            "https://app.example.com/@me",
            "https://app.example.com/callback?next=/../",
            "http://127.0.0.1/callback",
            "http://127.0.0.1:49152/callback",
            "http://[::1]/callback",
            "http://[::1]:8080",
            "http://localhost:3000/callback",
            "com.example.app:/callback",
            "com.example.app://callback",
            "com.example.app:callback",
        ] {
            assert_eq!(uri(good).as_str(), good);
        }
    }

    #[test]
    fn a_fragment_a_wildcard_and_characters_that_no_uri_has_are_refused() {
        use InvalidRedirectUri as No;
        for (bad, reason) in [
            ("", No::Length),
            ("https://a.example/#", No::Fragment),
            ("https://a.example/#x", No::Fragment),
            ("https://*.example.com/", No::Wildcard),
            ("https://a.example/*", No::Wildcard),
            ("https://a.example/a b", No::Characters),
            ("https://a.example/a\tb", No::Characters),
            ("https://a.example/\r\nSet-Cookie:x", No::Characters),
            ("https://a.example/\0", No::Characters),
            (" https://a.example/", No::Characters),
            ("https://a.example\\@evil.example/", No::Characters),
            ("https:\\\\a.example/", No::Characters),
            ("https://bücher.example/", No::Characters),
            ("https://а.example/", No::Characters),
            ("https://a.example/\"><script>", No::Characters),
            ("https://a.example/%", No::Characters),
            ("https://a.example/%2", No::Characters),
            ("https://a.example/%zz", No::Characters),
        ] {
            assert_eq!(refusal(bad), reason, "{bad:?}");
        }
        let long = |length: usize| format!("{:a<length$}", "https://a.example/");
        assert_eq!(uri(&long(512)).as_str().len(), 512);
        assert_eq!(refusal(&long(513)), No::Length);
    }

    #[test]
    fn a_scheme_that_is_no_apps_own_is_refused() {
        use InvalidRedirectUri as No;
        for bad in [
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "javascript://a.example/%0aalert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "blob:https://a.example/x",
            "about:blank",
            "vbscript:x",
            "view-source:https://a.example/",
            "ws://a.example/",
            "ftp://a.example/",
            "urn:ietf:wg:oauth:2.0:oob",
            "myapp:/callback",
            "HTTPS://a.example/",
            "Com.Example.App:/callback",
            "com.:/callback",
            ".com:/callback",
            "1.com:/callback",
            "a..b:/callback",
        ] {
            assert_eq!(refusal(bad), No::Scheme, "{bad:?}");
        }
        for bad in [
            "callback",
            "/callback",
            "//a.example/callback",
            "com.example.app:",
        ] {
            assert_eq!(refusal(bad), No::NotAbsolute, "{bad:?}");
        }
    }

    #[test]
    fn a_host_that_browsers_read_differently_is_refused() {
        use InvalidRedirectUri as No;
        for bad in [
            "https:a.example/callback",
            "https:/a.example/callback",
            "https:///a.example/callback",
            "https://",
            "https://?x",
            "https://:443/",
            "https://A.example/callback",
            "https://%61.example/callback",
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://[0:0:0:0:0:0:0:1]/",
            "https://a.example:/",
            "https://a.example:0/",
            "https://a.example:65536/",
            "https://a.example:8x/",
            "https://a.example:00000443/",
            "http://127.1/callback",
            "http://LOCALHOST/callback",
        ] {
            assert_eq!(refusal(bad), No::Host, "{bad:?}");
        }
        for bad in [
            "https://me@a.example/",
            "https://me:word@a.example/",
            "https://@a.example/",
            "https://a.example@evil.example/",
            "http://127.0.0.1@evil.example/",
            "com.example.app://me@host/",
        ] {
            assert_eq!(refusal(bad), No::UserInfo, "{bad:?}");
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for bad in [
            "http://app.example.com/callback",
            "http://127.0.0.1.evil.example/",
            "http://localhost.evil.example/",
            "http://127.0.0.2/",
            "http://192.168.0.1/",
            "http://[::2]/",
            "http://[::ffff:7f00:1]/",
        ] {
            assert_eq!(refusal(bad), InvalidRedirectUri::PlainHttp, "{bad:?}");
        }
    }

    #[test]
    fn a_path_that_climbs_is_refused_however_it_is_encoded() {
        for bad in [
            "https://a.example/a/../b",
            "https://a.example/a/./b",
            "https://a.example/..",
            "https://a.example/a/.",
            "https://a.example/a/%2e%2e/b",
            "https://a.example/a/.%2E/b",
            "https://a.example/a%2f..%2fb",
            "https://a.example/a%5C..%5Cb",
            "https://a.example/a/..?x",
            "com.example.app:/a/../b",
            "com.example.app:..",
        ] {
            assert_eq!(refusal(bad), InvalidRedirectUri::DotSegments, "{bad:?}");
        }
    }

    #[test]
    fn a_redirect_uri_matches_itself_and_nothing_that_resembles_it() {
        let registered = "https://app.example.com/callback";
        assert!(uri(registered).matches(registered));
        for other in [
            "",
            "https://app.example.com/callback/",
            "https://app.example.com/callback?x",
            "https://app.example.com/callback?",
            "https://app.example.com/callback#",
            "https://app.example.com/callback#x",
            "https://app.example.com/Callback",
            "https://APP.example.com/callback",
            "HTTPS://app.example.com/callback",
            "http://app.example.com/callback",
            "https://app.example.com:443/callback",
            "https://app.example.com./callback",
            "https://app.example.com//callback",
            "https:/app.example.com/callback",
            "https://app.example.com/%63allback",
            "https://app.example.com/x/../callback",
            "https://app.example.com/callback%00",
            "https://app.example.com/callback\n",
            " https://app.example.com/callback",
            "https://evil.app.example.com/callback",
            "https://app.example.com.evil.example/callback",
            "https://app.example.com@evil.example/callback",
            "https://evil.example/callback?https://app.example.com/callback",
            "https://evil.example\\@app.example.com/callback",
            "https://аpp.example.com/callback",
            "//app.example.com/callback",
        ] {
            assert!(!uri(registered).matches(other), "{other:?}");
        }
    }

    #[test]
    fn on_a_loopback_address_any_port_will_do() {
        for (registered, presented) in [
            (
                "http://127.0.0.1/callback",
                "http://127.0.0.1:49152/callback",
            ),
            (
                "http://127.0.0.1:8080/callback",
                "http://127.0.0.1:1/callback",
            ),
            (
                "http://127.0.0.1:8080/callback",
                "http://127.0.0.1/callback",
            ),
            ("http://127.0.0.1", "http://127.0.0.1:65535"),
            ("http://127.0.0.1?a=b", "http://127.0.0.1:80?a=b"),
            ("http://[::1]/callback", "http://[::1]:49152/callback"),
        ] {
            assert!(
                uri(registered).matches(presented),
                "{registered} {presented}"
            );
        }
    }

    #[test]
    fn but_nothing_other_than_the_port() {
        let refused = |registered: &str, presented: &str| {
            assert!(
                !uri(registered).matches(presented),
                "{registered} {presented}"
            );
        };
        for presented in [
            "http://127.0.0.1:8080/",
            "http://127.0.0.1:8080/callback/",
            "http://127.0.0.1:8080/callback?x",
            "http://127.0.0.1:8080/callback#x",
            "http://127.0.0.1:8080//callback",
            "http://127.0.0.1:8080/x/../callback",
            "http://127.0.0.1:/callback",
            "http://127.0.0.1:0/callback",
            "http://127.0.0.1:65536/callback",
            "http://127.0.0.1:080808/callback",
            "http://127.0.0.1:+80/callback",
            "http://127.0.0.1:80:80/callback",
            "http://127.0.0.1:8080@evil.example/callback",
            "http://127.0.0.1@evil.example/callback",
            "http://127.0.0.1.evil.example/callback",
            "http://127.0.0.1:80.evil.example/callback",
            "http://127.0.0.1\\.evil.example/callback",
            "http://me@127.0.0.1/callback",
            "http://127.0.0.10/callback",
            "http://127.1/callback",
            "http://[::1]:8080/callback",
            "http://localhost:8080/callback",
            "https://127.0.0.1:8080/callback",
            "HTTP://127.0.0.1:8080/callback",
        ] {
            refused("http://127.0.0.1/callback", presented);
        }
        refused("http://[::1]/callback", "http://127.0.0.1:8080/callback");
        refused(
            "http://[::1]/callback",
            "http://[::1]:8080.evil.example/callback",
        );
        for port in [
            "http://localhost/callback",
            "http://localhost:8081/callback",
        ] {
            refused("http://localhost:8080/callback", port);
        }
        refused(
            "https://127.0.0.1/callback",
            "https://127.0.0.1:8443/callback",
        );
        refused("com.example.app:/callback", "com.example.app://callback");
    }

    #[test]
    fn what_is_stored_is_what_was_written() {
        let text = "\"http://127.0.0.1/callback\"";
        let stored: RedirectUri = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&stored).unwrap(), text);
        let error = serde_json::from_str::<RedirectUri>("\"https://a.example/#hunter2\"");
        assert!(!error.unwrap_err().to_string().contains("hunter2"));
    }
}
