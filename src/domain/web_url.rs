//! URLs on the web that a client registers: for browsers to load, or for this server to call.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

/// An absolute URL of at most 512 characters: `https`, or `http` on this very machine. Without user
/// information and fragment.
///
/// Kept as written, and taken only as browsers write it, so that whoever reads it and whoever calls
/// it see the same host. What it names may still be an address that must not be called: that is
/// decided when a connection is made, since a name may resolve to anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebUrl {
    text: String,
    url: Url,
}

/// Why a text cannot be a URL that a client registers. None of the reasons repeats the text.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidWebUrl {
    /// Empty, or more than 512 characters.
    #[error("a URL has 1 to 512 characters")]
    Length,
    /// White space, controls, letters outside ASCII.
    #[error("a URL has no spaces, and nothing outside ASCII")]
    Characters,
    /// No scheme, or none with a host.
    #[error("a URL is absolute, such as https://app.example.com/logo.png")]
    NotAbsolute,
    /// `javascript`, `data`, `ftp` and all others.
    #[error("a URL has the scheme https, or http on this machine")]
    Scheme,
    /// `http` over a network.
    #[error("a URL with http is for 127.0.0.0/8, [::1] or localhost only; elsewhere use https")]
    PlainHttp,
    /// Something before an `@` of the authority.
    #[error("a URL has no user information here")]
    UserInfo,
    /// Anything from `#` on.
    #[error("a URL has no fragment here")]
    Fragment,
    /// Letters in a host name that no host has.
    #[error("a URL names its host by letters, digits, hyphens and dots")]
    Host,
    /// Readers could disagree about what it names.
    #[error(
        "a URL is written as browsers do: scheme and host in lower case, IP addresses in their \
         usual form, no port that goes without saying, no segments . or .., no backslashes"
    )]
    NotCanonical,
}

impl WebUrl {
    const MAX_LENGTH: usize = 512;

    /// The URL as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URL in its parts.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for WebUrl {
    type Err = InvalidWebUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        use InvalidWebUrl as No;
        if text.is_empty() || text.len() > Self::MAX_LENGTH {
            return Err(No::Length);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(No::Characters);
        }
        let url = Url::parse(text).map_err(|_| No::NotAbsolute)?;
        match url.scheme() {
            "https" => (),
            "http" if is_loopback(&url) => (),
            "http" => return Err(No::PlainHttp),
            _ => return Err(No::Scheme),
        }
        // In the text: an empty fragment or user name is gone from the parsed URL.
        if text.contains('#') {
            return Err(No::Fragment);
        }
        if authority(text).contains('@') {
            return Err(No::UserInfo);
        }
        if !is_as_written(&url, text) {
            return Err(No::NotCanonical);
        }
        if !has_plain_host(&url) {
            return Err(No::Host);
        }
        Ok(Self {
            text: text.to_owned(),
            url,
        })
    }
}

/// What stands between the slashes and the path.
fn authority(text: &str) -> &str {
    let rest = text.split_once(':').map_or(text, |(_, rest)| rest);
    let rest = rest.trim_start_matches(['/', '\\']);
    rest.split(['/', '\\', '?']).next().unwrap_or_default()
}

/// The only thing that may be left out is the slash of an empty path.
fn is_as_written(url: &Url, text: &str) -> bool {
    let canonical = url.as_str();
    canonical == text || (url.path() == "/" && canonical.strip_suffix('/') == Some(text))
}

/// To a browser `*`, `;` and quotes are letters of a name like others (URL Standard §3.2); in the policy
/// of a page, where the origin of a logo stands, they are not.
fn has_plain_host(url: &Url) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match url.host() {
        Some(Host::Domain(name)) => name.bytes().all(is_plain),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

impl Serialize for WebUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for WebUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> InvalidWebUrl {
        text.parse::<WebUrl>().expect_err(text)
    }

    #[test]
    fn https_and_http_on_this_machine_are_kept_as_written() {
        for good in [
            "https://app.example.com",
            "https://app.example.com/",
            "https://app.example.com/logo.png?size=64&dark",
            "https://app.example.com:8443/logout",
            "https://app.example.com/?x",
            "https://app.example.com/@me",
            "https://xn--bcher-kva.example/",
            "https://192.0.2.7/logout",
            "https://[2001:db8::1]/logout",
            "https://localhost/logout",
            "https://10.0.0.1/logout",
            "http://127.0.0.1/logout",
            "http://127.0.0.2:3000/logout",
            "http://[::1]:3000/logout",
            "http://localhost:3000/logout",
        ] {
            let url: WebUrl = good.parse().unwrap_or_else(|no| panic!("{good}: {no}"));
            assert_eq!(url.as_str(), good);
            assert_eq!(serde_json::to_value(&url).unwrap(), good);
        }
    }

    #[test]
    fn other_schemes_are_refused() {
        for bad in [
            "javascript:alert(1)",
            "JavaScript://a.example/%0aalert(1)",
            "data:image/svg+xml,x",
            "file:///etc/passwd",
            "blob:https://a.example/x",
            "ftp://a.example/",
            "gopher://127.0.0.1:6379/x",
            "com.example.app:/callback",
            "urn:example:logo",
        ] {
            assert_eq!(refusal(bad), InvalidWebUrl::Scheme, "{bad}");
        }
        for bad in ["logo.png", "/logo.png", "//a.example/logo.png", "https://"] {
            assert_eq!(refusal(bad), InvalidWebUrl::NotAbsolute, "{bad}");
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for bad in [
            "http://app.example.com/",
            "http://127.0.0.1.evil.example/",
            "http://localhost.evil.example/",
            "http://localhost./",
            "http://10.0.0.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://0.0.0.0/",
            "http://[::ffff:127.0.0.1]/",
            "http://127.0.0.1@evil.example/",
        ] {
            assert_eq!(refusal(bad), InvalidWebUrl::PlainHttp, "{bad}");
        }
    }

    #[test]
    fn user_information_a_fragment_and_other_characters_are_refused() {
        use InvalidWebUrl as No;
        for (bad, reason) in [
            ("", No::Length),
            ("https://a.example/#", No::Fragment),
            ("https://a.example/#x", No::Fragment),
            ("https://me@a.example/", No::UserInfo),
            ("https://me:word@a.example/", No::UserInfo),
            ("https://@a.example/", No::UserInfo),
            ("https://:@a.example/", No::UserInfo),
            ("https://a.example/a b", No::Characters),
            (" https://a.example/", No::Characters),
            ("https://a.example/\n", No::Characters),
            ("https://a.example/\0", No::Characters),
            ("https://bücher.example/", No::Characters),
        ] {
            assert_eq!(refusal(bad), reason, "{bad:?}");
        }
        let long = |length: usize| format!("{:a<length$}", "https://a.example/");
        assert_eq!(long(512).parse::<WebUrl>().unwrap().as_str().len(), 512);
        assert_eq!(refusal(&long(513)), No::Length);
    }

    #[test]
    fn a_url_that_readers_could_read_differently_is_refused() {
        for bad in [
            "HTTPS://a.example/",
            "https:a.example/",
            "https:/a.example/",
            "https:///a.example/",
            "https:\\\\a.example/",
            "https://a.example\\@evil.example/",
            "https://A.example/",
            "https://%61.example/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "http://0177.0.0.1/",
            "https://[0:0:0:0:0:0:0:1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://a.example:443/",
            "https://a.example:/",
            "https://a.example:08443/",
            "https://a.example?x",
            "https://a.example/a/../b",
            "https://a.example/%2e%2e/b",
            "https://a.example/\"onload=\"",
            "https://a.example/<script>",
            "https://a.example/?'x",
        ] {
            assert_eq!(refusal(bad), InvalidWebUrl::NotCanonical, "{bad}");
        }
    }

    #[test]
    fn a_host_that_would_say_more_in_a_policy_than_in_a_url_is_refused() {
        for bad in [
            "https://*/",
            "https://*.example.com/",
            "https://a.example;sandbox/logo.png",
            "https://a.example,b.example/",
            "https://'self'/",
            "https://$a.example/",
            "https://(a).example/",
        ] {
            assert_eq!(refusal(bad), InvalidWebUrl::Host, "{bad}");
        }
        assert!("https://a_b.example/".parse::<WebUrl>().is_ok());
    }

    #[test]
    fn a_refusal_does_not_repeat_what_was_written() {
        let error = serde_json::from_str::<WebUrl>("\"https://a.example/#hunter2\"").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
