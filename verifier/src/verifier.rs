//! The verifier: what an access token must pass before anybody believes it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::de::DeserializeOwned;

use crate::clock::unix_now;
use crate::jws::Compact;
use crate::jwt::Policy;
use crate::{Claims, KeySet, Reject, Verified, VerifierBuilder};

/// Verifies access tokens offline: no network call, no lock, no allocation beyond the claims.
///
/// Cheap to clone; all clones share one key set. When the last one is dropped, the background
/// refresh stops.
#[derive(Clone)]
pub struct Verifier {
    shared: Arc<Shared>,
}

struct Shared {
    policy: Policy,
    keys: Arc<ArcSwap<KeySet>>,
    #[cfg(feature = "fetch")]
    refresher: Option<crate::fetch::Refresher>,
}

impl Verifier {
    /// A verifier with keys given by hand: it never touches the network.
    ///
    /// ```
    /// # use tokensmith_verify::{KeySet, Verifier};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let jwks = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"Ed25519","use":"sig","kid":"1",
    /// #     "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    /// let verifier = Verifier::with_keys("https://auth.example.com", KeySet::from_json(jwks)?)
    ///     .audience("https://api.example.com")
    ///     .build()?;
    /// assert_eq!(verifier.verify("not a token").unwrap_err().reason(), "not_compact_jws");
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_keys(issuer: impl Into<String>, keys: KeySet) -> VerifierBuilder<KeySet> {
        VerifierBuilder::new(issuer.into(), keys)
    }

    /// A verifier that finds the keys by the issuer's metadata and keeps them fresh.
    ///
    /// ```no_run
    /// # use tokensmith_verify::Verifier;
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let verifier = Verifier::discover("https://auth.example.com")
    ///     .audience("https://api.example.com")
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "fetch")]
    pub fn discover(issuer: impl Into<String>) -> VerifierBuilder<crate::Discovery> {
        VerifierBuilder::new(issuer.into(), crate::Discovery::default())
    }

    /// Verifies an access token.
    ///
    /// # Errors
    ///
    /// The [`Reject`] that says which rule was broken. It is for logs; the sender learns only
    /// `invalid_token`.
    pub fn verify(&self, token: &str) -> Result<Verified<Claims>, Reject> {
        self.verify_as(token)
    }

    /// Verifies an access token that carries custom claims.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify), and [`Reject::InvalidCustomClaims`] when they do not have the
    /// form of `X`.
    pub fn verify_as<X: DeserializeOwned>(
        &self,
        token: &str,
    ) -> Result<Verified<Claims<X>>, Reject> {
        self.verify_at(token, unix_now())
    }

    /// Verifies an access token as of `now`, in Unix seconds: for callers that have a clock of
    /// their own.
    ///
    /// # Errors
    ///
    /// As [`verify_as`](Self::verify_as).
    pub fn verify_at<X: DeserializeOwned>(
        &self,
        token: &str,
        now: i64,
    ) -> Result<Verified<Claims<X>>, Reject> {
        let result = self.shared.verify(token, now);
        #[cfg(feature = "fetch")]
        if matches!(result, Err(Reject::UnknownKid)) {
            self.ask_for_key_of(token);
        }
        result
    }

    /// Verifies an access token; when its key is unknown, waits for one refetch of the key set and
    /// tries again, so that the first token of a new key is not rejected.
    ///
    /// Refetches are single-flight and rate-limited, so this waits only when a fetch is under way
    /// or may start, and never longer than the request timeout. With keys given by hand it is the
    /// same as [`verify_as`](Self::verify_as).
    ///
    /// # Errors
    ///
    /// As [`verify_as`](Self::verify_as).
    #[cfg_attr(
        not(feature = "fetch"),
        expect(
            clippy::unused_async,
            reason = "the signature must not depend on features"
        )
    )]
    pub async fn verify_waiting<X: DeserializeOwned>(
        &self,
        token: &str,
    ) -> Result<Verified<Claims<X>>, Reject> {
        let result = self.shared.verify(token, unix_now());
        #[cfg(feature = "fetch")]
        if matches!(result, Err(Reject::UnknownKid))
            && let Some(refetch) = self.ask_for_key_of(token)
        {
            refetch.finished().await;
            return self.shared.verify(token, unix_now());
        }
        result
    }

    /// Replaces the whole key set at once; tokens of keys that are not in the new one are rejected
    /// from here on.
    pub fn replace_keys(&self, keys: KeySet) {
        self.shared.keys.store(Arc::new(keys));
    }

    /// The keys in use now.
    #[must_use]
    pub fn keys(&self) -> Arc<KeySet> {
        self.shared.keys.load_full()
    }

    /// The issuer whose tokens are accepted.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.policy.issuer
    }

    /// The name of the protection space in `WWW-Authenticate`: the first audience.
    #[cfg(any(feature = "actix", feature = "tower"))]
    pub(crate) fn realm(&self) -> &str {
        let policy = &self.shared.policy;
        policy
            .audiences
            .as_ref()
            .and_then(|audiences| audiences.first())
            .unwrap_or(&policy.issuer)
    }

    /// Whether both are clones of one verifier.
    #[cfg(feature = "actix")]
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    pub(crate) fn new(policy: Policy, keys: Arc<ArcSwap<KeySet>>) -> Self {
        Self {
            shared: Arc::new(Shared {
                policy,
                keys,
                #[cfg(feature = "fetch")]
                refresher: None,
            }),
        }
    }

    #[cfg(feature = "fetch")]
    pub(crate) fn refreshed_by(
        policy: Policy,
        keys: Arc<ArcSwap<KeySet>>,
        refresher: crate::fetch::Refresher,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                policy,
                keys,
                refresher: Some(refresher),
            }),
        }
    }

    #[cfg(feature = "fetch")]
    fn ask_for_key_of(&self, token: &str) -> Option<crate::fetch::Refetch> {
        let refresher = self.shared.refresher.as_ref()?;
        let compact = Compact::split(token, self.shared.policy.max_token_bytes).ok()?;
        refresher.ask_for(&compact.unverified_kid()?)
    }
}

impl Shared {
    /// The whole verification, in the order of RFC 8725 §3 and RFC 9068 §4.
    fn verify<X: DeserializeOwned>(
        &self,
        token: &str,
        now: i64,
    ) -> Result<Verified<Claims<X>>, Reject> {
        let keys = self.keys.load();
        if keys.is_empty() {
            return Err(Reject::KeysUnavailable);
        }
        let compact = Compact::split(token, self.policy.max_token_bytes)?;
        let header = compact.header(&keys, &self.policy.algorithms)?;
        header.require_access_token()?;
        compact.verify_signature(header.key)?;
        let claims = self.policy.read_claims(&compact.payload()?, now)?;
        Ok(Verified::new(claims))
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Verifier")
            .field("policy", &self.shared.policy)
            .field("keys", &self.shared.keys.load())
            .finish_non_exhaustive()
    }
}
