//! How a verifier is set up. Mistakes show here, not at the first token.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

#[cfg(feature = "testing")]
use crate::RevocationReader;
use crate::cache::TokenCache;
use crate::jws::DEFAULT_MAX_TOKEN_BYTES;
use crate::jwt::Policy;
use crate::rejections::RejectionCounter;
use crate::verifier::Shared;
use crate::{Algorithm, Freshness, KeySet, MAX_ACCESS_TOKEN_LIFETIME, Verifier};

/// Forgiven clock skew unless another is set.
const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);
/// More skew than this is a broken clock, and forgiving it would double a token's life.
const MAX_LEEWAY: Duration = Duration::from_mins(5);

/// Settings of a [`Verifier`]; `S` says where the keys come from.
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` or `connect`"]
pub struct VerifierBuilder<S> {
    pub(crate) source: S,
    issuer: String,
    audiences: Vec<String>,
    accepts_any_audience: bool,
    algorithms: Vec<Algorithm>,
    leeway: Duration,
    max_lifetime: Duration,
    max_token_bytes: usize,
    token_cache: usize,
    #[cfg(feature = "testing")]
    in_memory: Option<(Arc<RevocationReader>, Freshness)>,
}

/// A mistake in the settings of a verifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The issuer is not an `http` or `https` URL without query and fragment (RFC 8414 §2).
    #[error("the issuer `{0}` is not an http(s) URL without query and fragment")]
    InvalidIssuer(String),
    /// No audience was given. RFC 9068 §4 demands the check; see
    /// [`danger_accept_any_audience`](VerifierBuilder::danger_accept_any_audience).
    #[error("no audience was given")]
    MissingAudience,
    /// An audience is empty or has characters that no identifier has.
    #[error("the audience `{0}` is not an identifier")]
    InvalidAudience(String),
    /// The list of allowed algorithms is empty.
    #[error("no algorithm is allowed")]
    NoAlgorithm,
    /// The leeway is above five minutes.
    #[error("the leeway is above {} seconds", MAX_LEEWAY.as_secs())]
    LeewayTooLong,
    /// The longest lifetime or the largest token accepted is zero.
    #[error("a limit is zero, so every token would be rejected")]
    LimitIsZero,
    /// No key of the set can be used.
    #[error("the key set has no usable key ({refused} refused)")]
    NoUsableKey {
        /// The number of keys that were refused.
        refused: usize,
    },
}

impl<S> VerifierBuilder<S> {
    pub(crate) fn new(issuer: String, source: S) -> Self {
        Self {
            source,
            issuer,
            audiences: Vec::new(),
            accepts_any_audience: false,
            algorithms: Algorithm::ALL.to_vec(),
            leeway: DEFAULT_LEEWAY,
            max_lifetime: MAX_ACCESS_TOKEN_LIFETIME,
            max_token_bytes: DEFAULT_MAX_TOKEN_BYTES,
            token_cache: 0,
            #[cfg(feature = "testing")]
            in_memory: None,
        }
    }

    /// Who this service is. Repeatable; a token that names any of them is accepted. Compared
    /// exactly.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Accepts tokens for every audience.
    ///
    /// Dangerous: a token that another service received can then be replayed here. Only the issuer
    /// itself has a use for it, at endpoints such as introspection and userinfo.
    pub fn danger_accept_any_audience(mut self) -> Self {
        self.accepts_any_audience = true;
        self
    }

    /// The algorithms allowed; by default all four of this library.
    ///
    /// The default is safe because every key of a set is bound to one algorithm and all four are
    /// sound: the issuer can move to another without a change here. Narrow it where a policy
    /// demands it.
    pub fn algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        self.algorithms = algorithms.to_vec();
        self
    }

    /// Clock skew to forgive at `exp`, `nbf` and `iat`; 30 s by default, 300 s at most.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// The longest `exp` − `iat` accepted; one hour by default. No leeway applies, because both
    /// instants come from the same clock.
    pub fn max_lifetime(mut self, max_lifetime: Duration) -> Self {
        self.max_lifetime = max_lifetime;
        self
    }

    /// The largest token accepted, in bytes; 8 KiB by default.
    pub fn max_token_bytes(mut self, max_token_bytes: usize) -> Self {
        self.max_token_bytes = max_token_bytes;
        self
    }

    /// Keeps this many tokens that were good, so that the same token costs no signature check the
    /// next time; 0, and so none, by default.
    ///
    /// Time, revocation and whether the key is still published are looked at on every use, so a
    /// token is rejected at the same instant with and without the cache. Where the issuer's keys are
    /// replaced, every token is verified once more. One entry takes about three times the bytes of
    /// its token: some 2.5 KiB for a token of 800 bytes, so 25 MiB for 10,000.
    pub fn token_cache(mut self, capacity: usize) -> Self {
        self.token_cache = capacity;
        self
    }

    pub(crate) fn cache(&self) -> Option<TokenCache> {
        (self.token_cache > 0).then(|| TokenCache::new(self.token_cache))
    }

    pub(crate) fn policy(&self) -> Result<Policy, ConfigError> {
        if !is_issuer(&self.issuer) {
            return Err(ConfigError::InvalidIssuer(self.issuer.clone()));
        }
        if let Some(audience) = self
            .audiences
            .iter()
            .find(|audience| !is_identifier(audience))
        {
            return Err(ConfigError::InvalidAudience(audience.clone()));
        }
        if self.audiences.is_empty() && !self.accepts_any_audience {
            return Err(ConfigError::MissingAudience);
        }
        if self.algorithms.is_empty() {
            return Err(ConfigError::NoAlgorithm);
        }
        if self.leeway > MAX_LEEWAY {
            return Err(ConfigError::LeewayTooLong);
        }
        if self.max_lifetime.as_secs() == 0 || self.max_token_bytes == 0 {
            return Err(ConfigError::LimitIsZero);
        }
        Ok(Policy {
            issuer: self.issuer.clone(),
            audiences: (!self.accepts_any_audience).then(|| self.audiences.clone()),
            algorithms: self.algorithms.clone(),
            leeway: self.leeway,
            max_lifetime: self.max_lifetime,
            max_token_bytes: self.max_token_bytes,
        })
    }
}

impl VerifierBuilder<KeySet> {
    /// Makes the verifier.
    ///
    /// # Errors
    ///
    /// The first [`ConfigError`] found.
    pub fn build(self) -> Result<Verifier, ConfigError> {
        let policy = self.policy()?;
        require_usable(&self.source)?;
        let cache = self.cache();
        #[cfg(feature = "testing")]
        let (revocation, freshness) = self.in_memory.unzip();
        #[cfg(not(feature = "testing"))]
        let (revocation, freshness) = (None, None::<Freshness>);
        let shared = Shared {
            policy,
            keys: Arc::new(ArcSwap::from_pointee(self.source)),
            cache,
            revocation,
            rejections: RejectionCounter::new(),
            #[cfg(feature = "fetch")]
            background: None,
        };
        Ok(Verifier::new(shared, freshness.unwrap_or_default()))
    }

    /// Follows revocations that a test makes up, under this policy.
    #[cfg(feature = "testing")]
    pub fn revocations(
        mut self,
        revocations: &crate::testing::Revocations,
        freshness: Freshness,
    ) -> Self {
        self.in_memory = Some((revocations.reader(), freshness));
        self
    }
}

pub(crate) fn require_usable(keys: &KeySet) -> Result<(), ConfigError> {
    if keys.is_empty() {
        return Err(ConfigError::NoUsableKey {
            refused: keys.refused().len(),
        });
    }
    Ok(())
}

/// RFC 8414 §2. Plain `http` passes here, because with keys given by hand the issuer is only a
/// name; fetching checks the scheme again.
fn is_issuer(issuer: &str) -> bool {
    let rest = issuer
        .strip_prefix("https://")
        .or_else(|| issuer.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '#'])
    }) && is_identifier(issuer)
}

/// Visible ASCII without quote and backslash: also safe inside a header's quoted string.
fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
}
