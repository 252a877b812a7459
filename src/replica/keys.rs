//! The signing keys, parsed once, and the JWKS that is served.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use prometheus_client::metrics::histogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokensmith_verify::{Audience, Claims, KeySet, Reject, Verifier, jws};

use crate::domain::Timestamp;
use crate::domain::algorithm::Algorithm;
use crate::domain::id::Kid;
use crate::domain::issuer::Issuer;
use crate::domain::key::{PublicJwk, SigningKey};
use crate::domain::key_schedule::KeyChain;
use crate::domain::ports::{
    AccessTokenReader, IdTokenHint, IdTokenReader, KeyVault, SigningFailed, SigningKeys, TokenKind,
    TokenSigner, Version,
};
use crate::telemetry::metrics::KeyMetrics;

/// The keys as this replica knows them.
pub struct KeyRing {
    vault: Arc<dyn KeyVault>,
    signing_time: Histogram,
    issuer: Issuer,
    /// Verifies tokens of this issuer for this issuer, with the keys that are published.
    verifier: ArcSwapOption<Verifier>,
    /// Verifies tokens of this issuer for any API.
    reader: ArcSwapOption<Verifier>,
    /// The public halves of all keys that were not withdrawn, published or not.
    ever_published: ArcSwapOption<KeySet>,
    state: ArcSwap<RingState>,
    jwks: ArcSwap<JwksDocument>,
}

#[derive(Default)]
struct RingState {
    keys: Vec<SigningKey>,
    signers: HashMap<Kid, Arc<dyn TokenSigner>>,
    version: Version,
}

/// The key set as it is served: prebuilt bytes (RFC 7517 §5).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct JwksDocument {
    /// The JSON.
    pub body: Bytes,
    /// A strong entity tag, with its quotes.
    pub etag: String,
}

impl KeyRing {
    /// An empty ring.
    #[must_use]
    pub fn new(vault: Arc<dyn KeyVault>, issuer: Issuer, signing_time: Histogram) -> Self {
        Self {
            vault,
            signing_time,
            issuer,
            verifier: ArcSwapOption::empty(),
            reader: ArcSwapOption::empty(),
            ever_published: ArcSwapOption::empty(),
            state: ArcSwap::default(),
            jwks: ArcSwap::default(),
        }
    }

    /// The key set to serve.
    #[must_use]
    pub fn jwks(&self) -> Arc<JwksDocument> {
        self.jwks.load_full()
    }

    /// Verifies tokens of this issuer for this issuer; `None` before the first key.
    #[must_use]
    pub fn verifier(&self) -> Option<Arc<Verifier>> {
        self.verifier.load_full()
    }

    /// Whether a key can sign at `now`.
    #[must_use]
    pub fn can_sign(&self, now: Timestamp) -> bool {
        self.signer(Algorithm::default(), now).is_some()
    }

    pub(super) fn seen(&self) -> Version {
        self.state.load().version
    }

    /// Takes over the keys as they are in the database. Those known already are not opened again.
    ///
    /// A key whose private half is there but does not open, or does not belong to the public half
    /// beside it, neither signs nor is published: whoever can write to the database but does not
    /// have the master key cannot bring in a key.
    pub(super) fn replace(&self, mut keys: Vec<SigningKey>, version: Version) {
        let known = self.state.load();
        let mut signers = HashMap::new();
        for key in keys.iter_mut().filter(|key| key.sealed_private.is_some()) {
            let opened = match known.signers.get(&key.kid) {
                Some(signer) => Ok(Arc::clone(signer)),
                None => self.vault.open(key).map(|signer| self.timed(signer)),
            };
            match opened {
                Ok(signer) => {
                    signers.insert(key.kid.clone(), signer);
                }
                Err(error) => {
                    tracing::error!(kid = %key.kid, %error, "a signing key is not used");
                    key.sealed_private = None;
                }
            }
        }
        self.ever_published.store(known_keys(&keys));
        self.state.store(Arc::new(RingState {
            keys,
            signers,
            version,
        }));
    }

    /// Rebuilds the JWKS when a key has come or gone.
    pub(super) fn publish(&self, now: Timestamp) {
        let state = self.state.load();
        let published: Vec<&PublicJwk> = state
            .keys
            .iter()
            .filter(|key| state.signers.contains_key(&key.kid))
            .filter(|key| chain(&state, key.algorithm).state(key, now).is_published())
            .map(|key| &key.public_jwk)
            .collect();
        let document = JwksDocument::of(&published);
        if document == **self.jwks.load() {
            return;
        }
        match self.verifiers_with(&document) {
            Ok((verifier, reader)) => {
                self.verifier.store(Some(Arc::new(verifier)));
                self.reader.store(Some(Arc::new(reader)));
            }
            Err(error) => {
                // Rather no administrator than one whose key may be withdrawn.
                self.verifier.store(None);
                self.reader.store(None);
                tracing::error!(%error, "the published key set does not verify");
            }
        }
        self.jwks.store(Arc::new(document));
    }

    /// One verifier for tokens for this server, and one for tokens for whatever API.
    fn verifiers_with(
        &self,
        jwks: &JwksDocument,
    ) -> Result<(Verifier, Verifier), Box<dyn std::error::Error>> {
        let issuer = self.issuer.as_str();
        let jwks = std::str::from_utf8(&jwks.body)?;
        let keys = || KeySet::from_json(jwks);
        // These tokens were made by this very clock, or one a moment apart.
        let leeway = Duration::from_secs(1);
        Ok((
            Verifier::with_keys(issuer, keys()?)
                .audience(issuer)
                .leeway(leeway)
                .build()?,
            Verifier::with_keys(issuer, keys()?)
                .danger_accept_any_audience()
                .leeway(leeway)
                .build()?,
        ))
    }

    /// Whether something is due on a chain, at a glance and without the database.
    pub(super) fn needs_upkeep(
        &self,
        algorithm: Algorithm,
        now: Timestamp,
        policy: &crate::domain::key_schedule::RotationPolicy,
    ) -> bool {
        !chain(&self.state.load(), algorithm)
            .upkeep(now, policy)
            .is_empty()
    }

    /// Lists the published keys with their ages.
    pub(super) fn measure(&self, metrics: &KeyMetrics, now: Timestamp) {
        metrics.clear();
        let state = self.state.load();
        for key in &state.keys {
            let life = chain(&state, key.algorithm).state(key, now);
            if life.is_published() {
                let age = (now - key.created_at).num_seconds();
                metrics.set(
                    key.kid.to_string(),
                    key.algorithm.as_str(),
                    life.as_str(),
                    age,
                );
            }
        }
    }

    fn timed(&self, signer: Arc<dyn TokenSigner>) -> Arc<dyn TokenSigner> {
        Arc::new(TimedSigner {
            signer,
            time: self.signing_time.clone(),
        })
    }
}

impl SigningKeys for KeyRing {
    fn signer(&self, algorithm: Algorithm, now: Timestamp) -> Option<Arc<dyn TokenSigner>> {
        let state = self.state.load();
        let key = chain(&state, algorithm).signer(now)?;
        state.signers.get(&key.kid).cloned()
    }
}

impl AccessTokenReader for KeyRing {
    fn read_access_token(
        &self,
        text: &str,
        now: Timestamp,
    ) -> Result<Claims<Map<String, Value>>, Reject> {
        let reader = self.reader.load_full().ok_or(Reject::KeysUnavailable)?;
        let verified = reader.verify_at(text, now.timestamp())?;
        Ok(verified.into_inner())
    }
}

impl IdTokenReader for KeyRing {
    fn read_id_token_hint(&self, text: &str) -> Option<IdTokenHint> {
        #[derive(Deserialize)]
        struct Hint {
            iss: String,
            aud: Audience,
            sub: String,
            sid: Option<String>,
        }
        let keys = self.ever_published.load_full()?;
        let verified = jws::verify(text, &keys).ok()?;
        if verified.typ.as_deref() != Some(TokenKind::IdToken.typ()) {
            return None;
        }
        let hint: Hint = serde_json::from_slice(&verified.bytes).ok()?;
        if hint.iss != self.issuer.as_str() {
            return None;
        }
        let mut clients = hint.aud.iter();
        let (client, other) = (clients.next()?, clients.next());
        Some(IdTokenHint {
            client_id: client.parse().ok().filter(|_| other.is_none())?,
            user_id: hint.sub.parse().ok()?,
            session: hint.sid.and_then(|sid| sid.parse().ok()),
        })
    }
}

/// The key set of all keys that were not withdrawn.
fn known_keys(keys: &[SigningKey]) -> Option<Arc<KeySet>> {
    let known: Vec<&PublicJwk> = keys
        .iter()
        .filter(|key| key.revoked_at.is_none())
        .map(|key| &key.public_jwk)
        .collect();
    let document = JwksDocument::of(&known);
    let text = std::str::from_utf8(&document.body).ok()?;
    KeySet::from_json(text).ok().map(Arc::new)
}

fn chain(state: &RingState, algorithm: Algorithm) -> KeyChain<'_> {
    KeyChain::of(&state.keys, algorithm)
}

impl JwksDocument {
    fn of(keys: &[&PublicJwk]) -> Self {
        #[derive(Serialize)]
        struct Jwks<'a> {
            keys: &'a [&'a PublicJwk],
        }
        let body = serde_json::to_string(&Jwks { keys }).unwrap_or_default();
        // A key id is a digest of its key, so the ids name the content.
        let kids: Vec<&str> = keys.iter().filter_map(|key| key.kid.get(..12)).collect();
        Self {
            etag: format!("\"{}\"", kids.join(".")),
            body: body.into(),
        }
    }
}

/// A signer that measures itself.
struct TimedSigner {
    signer: Arc<dyn TokenSigner>,
    time: Histogram,
}

impl TokenSigner for TimedSigner {
    fn kid(&self) -> &Kid {
        self.signer.kid()
    }

    fn sign_access_token(&self, payload: &[u8]) -> Result<String, SigningFailed> {
        let start = Instant::now();
        let token = self.signer.sign_access_token(payload);
        self.time.observe(start.elapsed().as_secs_f64());
        token
    }

    fn sign(&self, kind: TokenKind, payload: &[u8]) -> Result<String, SigningFailed> {
        self.signer.sign(kind, payload)
    }
}
