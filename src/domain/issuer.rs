//! The issuer identifier (RFC 8414 §2) and the addresses that follow from it.

use std::fmt;

use url::{Host, Url};

/// An issuer: an https URL without query or fragment; plain http only on a loopback host.
///
/// Compared byte for byte everywhere (RFC 8414 §3.3), so it is kept exactly as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    url: Url,
}

/// Why a text cannot be the issuer.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidIssuer {
    /// Not an absolute URL.
    #[error("an issuer is an absolute URL such as https://login.example.com")]
    NotAUrl,
    /// `http` on a host that is not loopback, or another scheme.
    #[error("an issuer uses https; plain http is for loopback addresses only")]
    Scheme,
    /// A query, a fragment or user information.
    #[error("an issuer has no query, no fragment and no user information (RFC 8414 section 2)")]
    Components,
    /// A trailing slash, upper case in the host, or a default port: other parties would write the
    /// same issuer differently, and the comparison is exact.
    #[error("write the issuer as {0}: it is compared byte for byte")]
    NotCanonical(String),
}

impl Issuer {
    /// Parses and checks an issuer.
    pub fn parse(text: &str) -> Result<Self, InvalidIssuer> {
        let url = Url::parse(text).map_err(|_| InvalidIssuer::NotAUrl)?;
        let plain = url.scheme() == "http" && is_loopback(&url);
        if url.scheme() != "https" && !plain {
            return Err(InvalidIssuer::Scheme);
        }
        let userinfo = !url.username().is_empty() || url.password().is_some();
        if url.query().is_some() || url.fragment().is_some() || userinfo {
            return Err(InvalidIssuer::Components);
        }
        let canonical = url.as_str().trim_end_matches('/');
        if canonical != text {
            return Err(InvalidIssuer::NotCanonical(canonical.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            url,
        })
    }

    /// The issuer exactly as configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path under which all endpoints stand: empty, or like `/auth`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }

    /// The absolute address of an endpoint; `path` starts with a slash.
    #[must_use]
    pub fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }

    /// The host, which people take for the name of the service.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Whether the issuer is reached over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_and_loopback_http_are_issuers() {
        for good in [
            "https://login.example.com",
            "https://example.com/auth/tenant",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "http://localhost:8080",
        ] {
            assert_eq!(
                Issuer::parse(good).map(|issuer| issuer.to_string()),
                Ok(good.to_owned())
            );
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        use InvalidIssuer::{Components, NotAUrl, NotCanonical, Scheme};
        let canonical = |text: &str| NotCanonical(text.to_owned());
        for (bad, reason) in [
            ("login.example.com", NotAUrl),
            ("http://login.example.com", Scheme),
            ("ftp://127.0.0.1", Scheme),
            ("https://example.com?x=1", Components),
            ("https://example.com#x", Components),
            ("https://me@example.com", Components),
            ("https://example.com/", canonical("https://example.com")),
            ("https://EXAMPLE.com", canonical("https://example.com")),
            ("https://example.com:443", canonical("https://example.com")),
        ] {
            assert_eq!(Issuer::parse(bad), Err(reason), "{bad}");
        }
    }

    #[test]
    fn endpoints_stand_under_the_path_of_the_issuer() {
        let issuer = Issuer::parse("https://example.com/auth").unwrap();
        assert_eq!(issuer.path(), "/auth");
        assert_eq!(
            issuer.endpoint("/oauth/token"),
            "https://example.com/auth/oauth/token"
        );
    }
}
