//! The server whose log is relayed.

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, redirect};
use url::{Host, Url};

const USER_AGENT: &str = concat!("tokensmith-relay/", env!("CARGO_PKG_VERSION"));

/// How long the connection may take, with the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The server whose log is relayed.
pub struct Upstream {
    base: Url,
    client: Client,
}

/// The URL of the upstream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidUpstream {
    /// Not a URL under which an issuer can be reached.
    #[error("{0} is not the URL of an issuer: expected https://HOST, perhaps with a path")]
    NotAnIssuer(String),
    /// The connection would not be encrypted.
    #[error(
        "{0} is plain http: whoever is on the way can then hold revocations back; if nobody is, say \
         --allow-plain-http"
    )]
    PlainHttp(String),
    /// The HTTP client cannot be set up.
    #[error("cannot prepare calls to the upstream: {0}")]
    NoHttpClient(String),
}

/// What was asked of the upstream did not come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamFailed {
    /// No connection, or it broke.
    #[error("the upstream cannot be reached: {0}")]
    Unreachable(String),
    /// It has nothing to give.
    #[error("the upstream answered with status {0}")]
    Status(u16),
    /// More than is ever kept.
    #[error("the answer of the upstream is too large")]
    TooLarge,
}

impl Upstream {
    /// The issuer at a URL. Plain http is for this machine, unless it is allowed.
    ///
    /// # Errors
    /// When the URL cannot be used.
    pub fn new(url: &str, allow_plain_http: bool) -> Result<Self, InvalidUpstream> {
        let not_an_issuer = || InvalidUpstream::NotAnIssuer(url.to_owned());
        let mut base = Url::parse(url).map_err(|_| not_an_issuer())?;
        let has_more = base.query().is_some()
            || base.fragment().is_some()
            || !base.username().is_empty()
            || base.password().is_some();
        if has_more || !base.has_host() || !["http", "https"].contains(&base.scheme()) {
            return Err(not_an_issuer());
        }
        if base.scheme() == "http" && !allow_plain_http && !is_loopback(&base) {
            return Err(InvalidUpstream::PlainHttp(url.to_owned()));
        }
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| InvalidUpstream::NoHttpClient(error.to_string()))?;
        Ok(Self { base, client })
    }

    /// A request to one of its endpoints.
    pub(super) fn get(&self, endpoint: &str) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}{endpoint}",
            self.base.path().trim_end_matches('/')
        ));
        self.client.get(url)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str()
    }
}

impl From<reqwest::Error> for UpstreamFailed {
    /// The innermost cause; those around it only say that something failed.
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Unreachable("no answer in time".to_owned());
        }
        let error = error.without_url();
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            cause = inner.to_string();
            source = inner.source();
        }
        Self::Unreachable(cause)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_unless_it_is_allowed() {
        for url in [
            "https://auth.example.com",
            "https://auth.example.com/tenant/",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "http://localhost",
        ] {
            assert!(Upstream::new(url, false).is_ok(), "{url}");
        }
        for url in [
            "http://auth.example.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
        ] {
            let refused = Upstream::new(url, false).err();
            assert!(
                matches!(refused, Some(InvalidUpstream::PlainHttp(_))),
                "{url}"
            );
            assert!(Upstream::new(url, true).is_ok(), "{url}");
        }
        for url in [
            "",
            "auth.example.com",
            "ftp://a",
            "https://u@a",
            "https://a?b",
            "https://a#b",
        ] {
            let refused = Upstream::new(url, true).err();
            assert!(
                matches!(refused, Some(InvalidUpstream::NotAnIssuer(_))),
                "{url}"
            );
        }
    }

    #[test]
    fn endpoints_stand_below_the_path_of_the_issuer() {
        for (base, url) in [
            ("https://a.example", "https://a.example/status-lists"),
            ("https://a.example/", "https://a.example/status-lists"),
            ("https://a.example/t/", "https://a.example/t/status-lists"),
        ] {
            let request = Upstream::new(base, false).unwrap().get("/status-lists");
            assert_eq!(request.build().unwrap().url().as_str(), url);
        }
    }
}
