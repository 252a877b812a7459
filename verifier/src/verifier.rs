//! The verifier: what an access token must pass before anybody believes it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::de::DeserializeOwned;

use crate::cache::{Entry, TokenCache};
use crate::clock::unix_now;
use crate::jws::Compact;
use crate::jwt::Policy;
use crate::rejections::RejectionCounter;
use crate::revocation::Registration;
use crate::{
    Claims, Freshness, KeySet, Reject, RejectionStats, RevocationReader, RevocationWatch, Verified,
    VerifierBuilder,
};

/// Verifies access tokens offline: no network call, no lock, no allocation beyond the claims.
///
/// Cheap to clone; all clones share one key set, and what is known of revocations. When the last
/// one is dropped, everything in the background stops.
#[derive(Clone)]
pub struct Verifier {
    shared: Arc<Shared>,
    freshness: Freshness,
}

/// What a verifier is made of.
pub(crate) struct Shared {
    pub(crate) policy: Policy,
    pub(crate) keys: Arc<ArcSwap<KeySet>>,
    pub(crate) cache: Option<TokenCache>,
    pub(crate) revocation: Option<Arc<RevocationReader>>,
    pub(crate) rejections: RejectionCounter,
    #[cfg(feature = "fetch")]
    pub(crate) background: Option<crate::fetch::Background>,
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
    pub fn verify_as<X: DeserializeOwned + 'static>(
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
    pub fn verify_at<X: DeserializeOwned + 'static>(
        &self,
        token: &str,
        now: i64,
    ) -> Result<Verified<Claims<X>>, Reject> {
        let result = self.look_at(token, now);
        #[cfg(feature = "fetch")]
        if matches!(result, Err(Reject::UnknownKid)) {
            self.ask_for_key_of(token);
        }
        self.noted(result)
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
    pub async fn verify_waiting<X: DeserializeOwned + 'static>(
        &self,
        token: &str,
    ) -> Result<Verified<Claims<X>>, Reject> {
        let result = self.look_at(token, unix_now());
        #[cfg(feature = "fetch")]
        if matches!(result, Err(Reject::UnknownKid))
            && let Some(refetch) = self.ask_for_key_of(token)
        {
            refetch.finished().await;
            return self.noted(self.look_at(token, unix_now()));
        }
        self.noted(result)
    }

    /// The same verifier under another policy for when nothing is heard of revocations: for routes
    /// that need to be stricter than the others, or may be laxer. Everything else is shared.
    ///
    /// Without revocation it makes no difference.
    ///
    /// ```
    /// # use tokensmith_verify::{Freshness, Verifier};
    /// # fn example(verifier: Verifier) {
    /// let for_payments = verifier.with_freshness(Freshness::Strict);
    /// let for_reading = verifier.with_freshness(Freshness::UntilExpiry);
    /// # }
    /// ```
    #[must_use]
    pub fn with_freshness(&self, freshness: Freshness) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            freshness,
        }
    }

    /// What is known of revocations; `None` unless the verifier was set up with
    /// [`revocation`](VerifierBuilder::revocation).
    #[must_use]
    pub fn revocation(&self) -> Option<&RevocationReader> {
        self.shared.revocation.as_deref()
    }

    /// How many tokens were rejected so far, and why: for your metrics. The same is logged at
    /// `debug`, one event a token. All clones count together.
    #[must_use]
    pub fn rejections(&self) -> RejectionStats {
        self.shared.rejections.stats()
    }

    /// Calls `callback` once when the token is revoked: for connections that outlive the request
    /// that opened them, such as web sockets and streams. If it is revoked already, at once.
    ///
    /// The callback runs on the task that follows revocations and must not block: let it send on a
    /// channel. A token that merely expires is not revoked: end the connection at its `exp` in any
    /// case. Without revocation the callback is never called.
    pub fn on_revoked<X>(
        &self,
        token: &Verified<Claims<X>>,
        callback: impl FnOnce() + Send + 'static,
    ) -> Registration {
        let reader = self.revocation();
        reader.map_or_else(Registration::inert, |reader| {
            reader.on_revoked(token, token.kid(), Box::new(callback))
        })
    }

    /// The same to be awaited. It is watched from now on, not only once it is awaited.
    ///
    /// ```
    /// # use tokensmith_verify::{Claims, Verified, Verifier};
    /// # async fn serve() {}
    /// # async fn example(verifier: Verifier, claims: Verified<Claims>) {
    /// let watch = verifier.watch(&claims);
    /// let connection = tokio::spawn(serve());
    /// let abort = connection.abort_handle();
    /// tokio::spawn(async move {
    ///     watch.revoked().await;
    ///     abort.abort();
    /// });
    /// # }
    /// ```
    pub fn watch<X>(&self, token: &Verified<Claims<X>>) -> RevocationWatch {
        RevocationWatch::new(|signal| self.on_revoked(token, signal))
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

    /// Whether a token that this one has verified needs no look by the other: they are clones, and
    /// the other is not stricter.
    #[cfg(feature = "actix")]
    pub(crate) fn vouches_for(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared) && self.freshness.is_at_least(other.freshness)
    }

    pub(crate) fn new(shared: Shared, freshness: Freshness) -> Self {
        Self {
            shared: Arc::new(shared),
            freshness,
        }
    }

    fn look_at<X: DeserializeOwned + 'static>(
        &self,
        token: &str,
        now: i64,
    ) -> Result<Verified<Claims<X>>, Reject> {
        let result = self.shared.verify(token, now, self.freshness);
        if matches!(result, Err(Reject::UnknownStatusList))
            && let Some(reader) = self.revocation()
        {
            reader.ask_for_resync();
        }
        result
    }

    fn noted<T>(&self, result: Result<T, Reject>) -> Result<T, Reject> {
        result.inspect_err(|reject| self.shared.rejections.note(reject))
    }

    #[cfg(feature = "fetch")]
    fn ask_for_key_of(&self, token: &str) -> Option<crate::fetch::Refetch> {
        let background = self.shared.background.as_ref()?;
        let compact = Compact::split(token, self.shared.policy.max_token_bytes).ok()?;
        background.ask_for_key(&compact.unverified_kid()?)
    }
}

impl Shared {
    /// The whole verification, in the order of RFC 8725 §3 and RFC 9068 §4.
    fn verify<X: DeserializeOwned + 'static>(
        &self,
        token: &str,
        now: i64,
        freshness: Freshness,
    ) -> Result<Verified<Claims<X>>, Reject> {
        let keys = self.keys.load();
        if keys.is_empty() {
            return Err(Reject::KeysUnavailable);
        }
        let cached = self
            .cache
            .as_ref()
            .and_then(|cache| cache.find(token, &keys));
        if let Some(entry) = cached {
            self.policy.check_times(entry.times, now)?;
            self.check_revocation(&entry.claims, &entry.kid, freshness)?;
            return Ok(Verified::new(entry.claims_as()?, Arc::clone(&entry.kid)));
        }
        let compact = Compact::split(token, self.policy.max_token_bytes)?;
        let header = compact.header(&keys, &self.policy.algorithms)?;
        header.require_access_token()?;
        compact.verify_signature(header.key)?;
        let payload = compact.payload()?;
        let (claims, times) = self.policy.read_claims(&payload, now)?;
        let kid = header.key.shared_kid();
        self.check_revocation(&claims, &kid, freshness)?;
        if let Some(cache) = &self.cache {
            let entry = Entry::new(&claims, times, Arc::clone(&kid), payload, &keys);
            cache.insert(token, entry);
        }
        Ok(Verified::new(claims, kid))
    }

    fn check_revocation<X>(
        &self,
        claims: &Claims<X>,
        kid: &str,
        freshness: Freshness,
    ) -> Result<(), Reject> {
        let reader = self.revocation.as_ref();
        reader.map_or(Ok(()), |reader| reader.check(claims, kid, freshness))
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Verifier")
            .field("policy", &self.shared.policy)
            .field("keys", &self.shared.keys.load())
            .field("freshness", &self.freshness)
            .finish_non_exhaustive()
    }
}
