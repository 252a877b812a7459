//! The two documents of an issuer, fetched with suspicion: no redirects, a time limit, and a size
//! limit that holds while the answer arrives.

use std::time::Duration;

use reqwest::header::{ACCEPT, CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode, redirect};

use crate::KeySet;
use crate::json::Object;
use crate::keyset::MAX_JWKS_BYTES;

use super::endpoint::Endpoint;
use super::freshness::fresh_for;
use super::{ConnectError, FetchError};

const MAX_METADATA_BYTES: usize = 64 * 1024;
const ACCEPTED: &str = "application/jwk-set+json, application/json";

/// What a verifier needs of an issuer's metadata (RFC 8414 §2).
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) jwks_uri: String,
}

/// A JWKS and what is known of its last version.
pub(super) struct Jwks {
    client: Client,
    endpoint: Endpoint,
    etag: Option<HeaderValue>,
}

/// The outcome of one fetch.
pub(super) struct Fetched {
    /// The new set; `None` when the one at hand is still current.
    pub(super) keys: Option<KeySet>,
    pub(super) fresh_for: Duration,
}

pub(super) async fn fetch_metadata(
    issuer: &Endpoint,
    timeout: Duration,
) -> Result<Metadata, ConnectError> {
    let client = client(issuer, timeout).map_err(ConnectError::Metadata)?;
    let request = client
        .get(issuer.metadata_url())
        .header(ACCEPT, "application/json");
    let response = send(request).await.map_err(ConnectError::Metadata)?;
    if response.status() != StatusCode::OK {
        return Err(ConnectError::Metadata(FetchError::Status(
            response.status().as_u16(),
        )));
    }
    let body = read(response, MAX_METADATA_BYTES)
        .await
        .map_err(ConnectError::Metadata)?;
    let metadata = Object::parse(&body).map_err(|_| ConnectError::MalformedMetadata)?;
    let text = |name| {
        let text = metadata.get(name).and_then(|value| value.as_text());
        text.map(str::to_owned)
            .ok_or(ConnectError::MalformedMetadata)
    };
    Ok(Metadata {
        issuer: text("issuer")?,
        jwks_uri: text("jwks_uri")?,
    })
}

impl Jwks {
    pub(super) fn new(endpoint: Endpoint, timeout: Duration) -> Result<Self, ConnectError> {
        let client = client(&endpoint, timeout).map_err(ConnectError::Jwks)?;
        Ok(Self {
            client,
            endpoint,
            etag: None,
        })
    }

    /// Fetches the set, if it changed since the last time.
    pub(super) async fn fetch(&mut self) -> Result<Fetched, FetchError> {
        self.fetch_with(self.request()).await
    }

    /// Fetches the set past every cache on the way, for a key that a cached copy lacks.
    pub(super) async fn fetch_revalidated(&mut self) -> Result<Fetched, FetchError> {
        // RFC 9111 §5.2.1.4: the answer must come from, or be confirmed by, the origin.
        self.fetch_with(self.request().header(CACHE_CONTROL, "no-cache"))
            .await
    }

    /// Forgets the last version, so that the next fetch brings the whole set.
    pub(super) fn forget(&mut self) {
        self.etag = None;
    }

    pub(super) fn url(&self) -> &str {
        self.endpoint.url().as_str()
    }

    fn request(&self) -> RequestBuilder {
        let request = self
            .client
            .get(self.endpoint.url().clone())
            .header(ACCEPT, ACCEPTED);
        match &self.etag {
            Some(etag) => request.header(IF_NONE_MATCH, etag),
            None => request,
        }
    }

    async fn fetch_with(&mut self, request: RequestBuilder) -> Result<Fetched, FetchError> {
        let response = send(request).await?;
        let fresh_for = fresh_for(response.headers());
        if response.status() == StatusCode::NOT_MODIFIED && self.etag.is_some() {
            return Ok(Fetched {
                keys: None,
                fresh_for,
            });
        }
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let etag = response.headers().get(ETAG).cloned();
        let body = read(response, MAX_JWKS_BYTES).await?;
        // The content type is not looked at: servers disagree on it, and nothing but a JWKS parses.
        let text = std::str::from_utf8(&body).map_err(|_| crate::KeySetError::Malformed)?;
        let keys = KeySet::from_json(text)?;
        self.etag = etag;
        Ok(Fetched {
            keys: Some(keys),
            fresh_for,
        })
    }
}

fn client(endpoint: &Endpoint, timeout: Duration) -> Result<Client, FetchError> {
    let builder = client_builder(endpoint, timeout).timeout(timeout);
    builder.build().map_err(request_failed)
}

/// A client without a limit for the whole request.
pub(super) fn client_builder(endpoint: &Endpoint, connect_timeout: Duration) -> ClientBuilder {
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .https_only(!endpoint.is_plain())
        .user_agent(concat!("tokensmith-verify/", env!("CARGO_PKG_VERSION")));
    if endpoint.is_loopback() {
        // A proxy from the environment has another loopback.
        builder.no_proxy()
    } else {
        builder
    }
}

pub(super) async fn send(request: RequestBuilder) -> Result<Response, FetchError> {
    request.send().await.map_err(request_failed)
}

pub(super) async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(request_failed)? {
        if body.len() + chunk.len() > limit {
            return Err(FetchError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

pub(super) fn request_failed(error: reqwest::Error) -> FetchError {
    FetchError::Request(Box::new(error))
}
