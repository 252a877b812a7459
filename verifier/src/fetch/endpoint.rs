//! URLs that may be fetched.

use std::net::IpAddr;

use reqwest::Url;

use super::ConnectError;

/// A URL that is `https`, or `http` on a loopback host, and carries no credentials.
#[derive(Debug, Clone)]
pub(super) struct Endpoint(Url);

impl Endpoint {
    pub(super) fn parse(text: &str) -> Result<Self, ConnectError> {
        Self::parse_if(text, is_loopback)
    }

    /// The same, but plain `http` passes for every host.
    pub(super) fn parse_allowing_plain_http(text: &str) -> Result<Self, ConnectError> {
        Self::parse_if(text, |_| true)
    }

    fn parse_if(text: &str, is_plain_allowed: fn(&Url) -> bool) -> Result<Self, ConnectError> {
        let insecure = || ConnectError::InsecureUrl(text.to_owned());
        let url = Url::parse(text).map_err(|_| insecure())?;
        let is_safe_scheme = match url.scheme() {
            "https" => true,
            "http" => is_plain_allowed(&url),
            _ => false,
        };
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        if is_safe_scheme && !has_credentials {
            Ok(Self(url))
        } else {
            Err(insecure())
        }
    }

    /// RFC 8414 §3.1: the well-known part goes between host and path, and a slash that ends the
    /// path goes away first.
    pub(super) fn metadata_url(&self) -> Url {
        let mut url = self.0.clone();
        let path = self.0.path().trim_end_matches('/');
        url.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
        url
    }

    pub(super) fn has_origin_of(&self, other: &Self) -> bool {
        self.0.origin() == other.0.origin()
    }

    /// The URL with `path` behind its own path; a slash that ends that goes away first.
    pub(super) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url.set_query(None);
        url.set_fragment(None);
        url
    }

    pub(super) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_fetched_from_everywhere_and_http_from_loopback_only() {
        for url in [
            "https://auth.example.com",
            "http://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://[::1]:8080",
            "http://localhost:8080/tenant",
        ] {
            assert!(Endpoint::parse(url).is_ok(), "{url}");
        }
        for url in [
            "http://auth.example.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://0.0.0.0",
            "file:///etc/passwd",
            "data:application/json,{}",
            "ftp://127.0.0.1",
            "https://user@auth.example.com",
            "https://:secret@auth.example.com",
            "auth.example.com",
            "",
        ] {
            assert!(Endpoint::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_relay_may_be_plain_where_it_is_said_and_nothing_else_may() {
        let parse = Endpoint::parse_allowing_plain_http;
        assert!(parse("http://relay.cluster.local:8080").is_ok());
        for url in ["file:///etc/passwd", "http://user@relay", "relay", ""] {
            assert!(parse(url).is_err(), "{url}");
        }
        for (base, joined) in [
            ("http://relay", "http://relay/revocation/stream"),
            ("http://relay/", "http://relay/revocation/stream"),
            ("http://relay/t/?x#y", "http://relay/t/revocation/stream"),
        ] {
            let url = parse(base).unwrap().join("/revocation/stream");
            assert_eq!(url.as_str(), joined);
        }
    }

    #[test]
    fn the_well_known_part_goes_before_the_issuers_path() {
        for (issuer, metadata) in [
            (
                "https://a.example",
                "https://a.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://a.example/",
                "https://a.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://a.example/t",
                "https://a.example/.well-known/oauth-authorization-server/t",
            ),
            (
                "https://a.example/t/",
                "https://a.example/.well-known/oauth-authorization-server/t",
            ),
        ] {
            assert_eq!(
                Endpoint::parse(issuer).unwrap().metadata_url().as_str(),
                metadata
            );
        }
    }
}
