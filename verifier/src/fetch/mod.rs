//! Keys and revocations over the network: found by the issuer's metadata, kept fresh in the
//! background.
//!
//! Nothing here is shaped by a token: the URLs come from configuration and from the issuer's own
//! metadata, and a token can at most cause one refetch per cooldown.

mod backoff;
mod documents;
mod endpoint;
mod feed;
mod follow;
mod freshness;
mod http;
mod refresher;
#[cfg(feature = "fuzzing")]
mod rehearsal;
mod revocation;
mod trial;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::builder::require_usable;
use crate::rejections::RejectionCounter;
use crate::verifier::Shared;
use crate::{ConfigError, KeySetError, Verifier, VerifierBuilder};

pub use documents::RevocationError;
use documents::Trust;
use endpoint::Endpoint;
use follow::FollowTask;
use http::{Fetched, Jwks};
pub(crate) use refresher::Refetch;
use refresher::Refresher;
#[cfg(feature = "fuzzing")]
pub use rehearsal::{Heard, Rehearsal, Source};
use revocation::RevocationSettings;

/// How keys are found and kept fresh; set through [`VerifierBuilder`].
#[derive(Debug, Clone)]
pub struct Discovery {
    jwks_uri: Option<String>,
    request_timeout: Duration,
    refetch_cooldown: Duration,
    shortest_refresh: Duration,
    longest_refresh: Duration,
    max_stale: Duration,
    revocation: RevocationSettings,
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            jwks_uri: None,
            request_timeout: Duration::from_secs(5),
            refetch_cooldown: Duration::from_secs(30),
            shortest_refresh: Duration::from_secs(1),
            longest_refresh: Duration::from_hours(24),
            max_stale: Duration::from_hours(24),
            revocation: RevocationSettings::default(),
        }
    }
}

/// Why a verifier could not be connected to its issuer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A mistake in the settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A URL that nothing is fetched from: not `https`, unless the host is loopback, or with
    /// credentials in it (RFC 8414 §2).
    #[error("nothing is fetched from `{0}`: it must be https, or http on a loopback host")]
    InsecureUrl(String),
    /// The metadata could not be fetched.
    #[error("the issuer's metadata could not be fetched")]
    Metadata(#[source] FetchError),
    /// The metadata is not a JSON object with `issuer` and `jwks_uri`.
    #[error("the issuer's metadata is malformed")]
    MalformedMetadata,
    /// The metadata is of another issuer (RFC 8414 §3.3).
    #[error("the metadata is of the issuer `{found}`")]
    IssuerMismatch {
        /// The issuer that the metadata names.
        found: String,
    },
    /// `jwks_uri` points to another origin than the issuer. If that is right, name it with
    /// [`VerifierBuilder::jwks_uri`].
    #[error("the metadata points to keys of another origin: `{0}`")]
    ForeignJwksUri(String),
    /// The key set could not be fetched.
    #[error("the issuer's key set could not be fetched")]
    Jwks(#[source] FetchError),
    /// No snapshot of revocations could be had. A verifier that is to honour them does not start
    /// without.
    #[error("no snapshot of revocations could be had")]
    Revocation(#[source] RevocationError),
}

/// Why a document could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No answer: name resolution, connection, TLS, timeout.
    #[error("the request failed")]
    Request(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An answer other than 200. Redirects are not followed.
    #[error("the answer was {0}")]
    Status(u16),
    /// 429 or 503, with word when to come again (RFC 9110 §10.2.3).
    #[error("the answer was {status}: come again in {} s", retry_after.as_secs())]
    Busy {
        /// 429 or 503.
        status: u16,
        /// `Retry-After`.
        retry_after: Duration,
    },
    /// More bytes than such a document has.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// Not a JWKS.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

impl FetchError {
    /// How long the server asks to be left alone.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

/// What runs behind a verifier; dropping it stops everything.
pub(crate) struct Background {
    refresher: Refresher,
    /// Held for its drop.
    _follow: Option<FollowTask>,
}

impl Background {
    pub(crate) fn ask_for_key(&self, kid: &str) -> Option<Refetch> {
        self.refresher.requests().ask_for(kid)
    }
}

impl VerifierBuilder<Discovery> {
    /// Fetches keys from this URL instead of the one in the issuer's metadata, which is then not
    /// read. For issuers without metadata, or with keys on another origin.
    pub fn jwks_uri(mut self, url: impl Into<String>) -> Self {
        self.source.jwks_uri = Some(url.into());
        self
    }

    /// How long one request may take; 5 s by default.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.source.request_timeout = timeout;
        self
    }

    /// The shortest time between two refetches that tokens with an unknown `kid` cause; 30 s by
    /// default. A `kid` that a refetch did not find causes no other for twice as long.
    pub fn refetch_cooldown(mut self, cooldown: Duration) -> Self {
        self.source.refetch_cooldown = cooldown;
        self
    }

    /// Bounds for the refresh interval that the issuer sets by `Cache-Control: max-age`; one
    /// second and one day by default. Without the header it is five minutes, and one minute where
    /// the issuer forbids caching: that is no wish to be asked every second.
    pub fn refresh_between(mut self, shortest: Duration, longest: Duration) -> Self {
        self.source.shortest_refresh = shortest;
        self.source.longest_refresh = longest.max(shortest);
        self
    }

    /// How long keys are used after the last refresh that worked; one day by default.
    ///
    /// Until then an outage of the issuer is no outage of this service. After it every token is
    /// rejected as [`KeysUnavailable`](crate::Reject::KeysUnavailable), because a key that was
    /// withdrawn in the meantime would still be believed.
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.source.max_stale = max_stale;
        self
    }

    /// Fetches the keys and starts the background refresh on the current tokio runtime.
    ///
    /// With [`revocation`](Self::revocation) it also fetches the snapshot, and waits for the first
    /// heartbeat for as long as one request may take. If none comes the verifier is there all the
    /// same, and its policy decides.
    ///
    /// # Errors
    ///
    /// A [`ConnectError`]: the settings are wrong, the issuer does not answer, it has no usable
    /// key, or no snapshot of revocations where those are to be honoured.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn connect(self) -> Result<Verifier, ConnectError> {
        let policy = self.policy()?;
        let issuer = Endpoint::parse(&policy.issuer)?;
        let jwks_uri = match &self.source.jwks_uri {
            Some(url) => Endpoint::parse(url)?,
            None => self.discover_jwks_uri(&policy.issuer, &issuer).await?,
        };
        let mut jwks = Jwks::new(jwks_uri, self.source.request_timeout)?;
        let Fetched { keys, fresh_for } = jwks.fetch().await.map_err(ConnectError::Jwks)?;
        let keys = keys.unwrap_or_default();
        require_usable(&keys)?;
        refresher::log_refused(&keys);
        let keys = Arc::new(ArcSwap::from_pointee(keys));
        let cache = self.cache();
        let settings = self.source.revocation.clone();
        let timeout = self.source.request_timeout;
        let refresher = Refresher::spawn(jwks, Arc::clone(&keys), self.source, fresh_for);
        let freshness = settings.freshness;
        let (revocation, follow) = if freshness.is_some() {
            let trust = Trust {
                issuer: Arc::from(policy.issuer.as_str()),
                keys: Arc::clone(&keys),
                requests: refresher.requests().clone(),
                leeway: policy.leeway,
            };
            let (reader, task) = settings.connect(trust, &issuer, timeout).await?;
            (Some(reader), Some(task))
        } else {
            (None, None)
        };
        let shared = Shared {
            policy,
            keys,
            cache,
            revocation,
            rejections: RejectionCounter::new(),
            background: Some(Background {
                refresher,
                _follow: follow,
            }),
        };
        Ok(Verifier::new(shared, freshness.unwrap_or_default()))
    }

    async fn discover_jwks_uri(
        &self,
        issuer: &str,
        issuer_endpoint: &Endpoint,
    ) -> Result<Endpoint, ConnectError> {
        let metadata = http::fetch_metadata(issuer_endpoint, self.source.request_timeout).await?;
        // RFC 8414 §3.3: identical, or the metadata must not be used.
        if metadata.issuer != issuer {
            return Err(ConnectError::IssuerMismatch {
                found: metadata.issuer,
            });
        }
        let jwks_uri = Endpoint::parse(&metadata.jwks_uri)?;
        // Our server's keys are on its own origin. Holding every issuer to it means that metadata
        // can never send this service's requests anywhere else (request forgery).
        if jwks_uri.has_origin_of(issuer_endpoint) {
            Ok(jwks_uri)
        } else {
            Err(ConnectError::ForeignJwksUri(metadata.jwks_uri))
        }
    }
}
