//! A forge of tokens for the tests of services that use this library.
//!
//! **For tests only.** It holds a private key in the open and can sign anything.
//!
//! ```
//! use std::time::Duration;
//! use tokensmith_verify::testing::Forge;
//!
//! let forge = Forge::new();
//! let verifier = forge.verifier("https://api.example.com");
//!
//! let token = forge.issue("ada").scope("orders:read").audience("https://api.example.com").sign();
//! assert_eq!(verifier.verify(&token).unwrap().sub, "ada");
//!
//! let expired = forge.issue("ada").audience("https://api.example.com").expired().sign();
//! assert_eq!(verifier.verify(&expired).unwrap_err().reason(), "expired");
//! ```
//!
//! Revocation without a network:
//!
//! ```
//! use tokensmith_verify::Freshness;
//! use tokensmith_verify::testing::Forge;
//!
//! let forge = Forge::new();
//! let revocations = forge.revocations();
//! let api = "https://api.example.com";
//! let verifier = forge.revoking_verifier(api, &revocations, Freshness::Strict);
//!
//! let token = forge.issue("ada").audience(api).revocable().sign();
//! assert!(verifier.verify(&token).is_ok());
//! revocations.revoke(&token);
//! assert_eq!(verifier.verify(&token).unwrap_err().reason(), "revoked");
//! ```
#![expect(
    clippy::expect_used,
    reason = "a test that cannot forge should stop at once"
)]
#![expect(
    clippy::missing_panics_doc,
    reason = "it panics only when the machine has no randomness"
)]

mod revocations;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Map, Value, json};

use crate::clock::unix_now;
use crate::jws::access_token_header;
use crate::revocation::{LIST_SIZE, list_uris};
use crate::{Algorithm, Freshness, KeySet, Verifier, base64url};

pub use revocations::Revocations;

/// Signs tokens as an issuer would.
///
/// All forges of a process share one RSA key, because making one takes long; the `kid` can differ.
#[derive(Debug, Clone)]
pub struct Forge {
    issuer: String,
    kid: String,
}

/// A token in the making: good, unless you spoil it.
#[derive(Debug, Clone)]
#[must_use = "a token does nothing until `sign`"]
pub struct TokenDraft {
    header: Option<String>,
    kid: String,
    issuer: String,
    claims: Map<String, Value>,
    audiences: Vec<String>,
}

impl Forge {
    /// A forge for the issuer `https://auth.test`.
    #[must_use]
    pub fn new() -> Self {
        Self::for_issuer("https://auth.test")
    }

    /// A forge for another issuer, such as a mock server's URL.
    #[must_use]
    pub fn for_issuer(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            kid: "forge".to_owned(),
        }
    }

    /// The same forge under another key id, to play key rotation.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = kid.into();
        self
    }

    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The public key as a JWK.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let public_key = key_pair().public_key();
        json!({
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.kid,
            "n": base64url::encode(public_key.modulus().big_endian_without_leading_zero()),
            "e": base64url::encode(public_key.exponent().big_endian_without_leading_zero()),
        })
    }

    /// The key set as an issuer would serve it.
    #[must_use]
    pub fn jwks(&self) -> String {
        json!({ "keys": [self.jwk()] }).to_string()
    }

    /// A verifier of this forge's tokens for `audience`.
    #[must_use]
    pub fn verifier(&self, audience: &str) -> Verifier {
        Verifier::with_keys(self.issuer.as_str(), self.key_set())
            .audience(audience)
            .build()
            .expect("the issuer and the audience of a test are well-formed")
    }

    /// A verifier that also honours the revocations of [`revocations`](Self::revocations). Its
    /// tokens must be [`revocable`](TokenDraft::revocable).
    #[must_use]
    pub fn revoking_verifier(
        &self,
        audience: &str,
        revocations: &Revocations,
        freshness: Freshness,
    ) -> Verifier {
        Verifier::with_keys(self.issuer.as_str(), self.key_set())
            .audience(audience)
            .revocations(revocations, freshness)
            .build()
            .expect("the issuer and the audience of a test are well-formed")
    }

    /// The revocations of this issuer, made up by the test and without a network: fresh, and
    /// nothing revoked.
    #[must_use]
    pub fn revocations(&self) -> Revocations {
        Revocations::of(&self.issuer)
    }

    fn key_set(&self) -> KeySet {
        KeySet::from_json(&self.jwks()).expect("the forge's key set is well-formed")
    }

    /// A token for the subject `sub`, from the client `test-client`, issued now, that lives five
    /// minutes. Without [`audience`](TokenDraft::audience) it is for the issuer itself.
    pub fn issue(&self, sub: impl Into<String>) -> TokenDraft {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let now = unix_now();
        let jti = SERIAL.fetch_add(1, Ordering::Relaxed).to_string();
        let claims = [
            ("iss", json!(self.issuer)),
            ("sub", json!(sub.into())),
            ("aud", json!(self.issuer)),
            ("client_id", json!("test-client")),
            ("exp", json!(now + 300)),
            ("iat", json!(now)),
            ("jti", json!(jti)),
        ];
        TokenDraft {
            header: None,
            kid: self.kid.clone(),
            issuer: self.issuer.clone(),
            claims: claims
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            audiences: Vec::new(),
        }
    }

    /// A signed JWS of exactly this header text and payload, however wrong they are.
    #[must_use]
    pub fn sign_raw(&self, header: &str, payload: &[u8]) -> String {
        let header = base64url::encode(header.as_bytes());
        let payload = base64url::encode(payload);
        self.sign_encoded(&format!("{header}.{payload}"))
    }

    /// Puts a good signature behind exactly this text.
    #[must_use]
    pub fn sign_encoded(&self, signing_input: &str) -> String {
        let key_pair = key_pair();
        let mut signature = vec![0; key_pair.public_modulus_len()];
        key_pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signing_input.as_bytes(),
                &mut signature,
            )
            .expect("an RSA signature needs nothing but randomness");
        format!("{signing_input}.{}", base64url::encode(&signature))
    }
}

impl Default for Forge {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenDraft {
    /// Grants a space-delimited list of scopes.
    pub fn scope(self, scope: &str) -> Self {
        self.claim("scope", scope)
    }

    /// Adds an audience; the first call replaces the issuer.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        let audience = match self.audiences.as_slice() {
            [one] => json!(one),
            several => json!(several),
        };
        self.claim("aud", audience)
    }

    /// The client that the token is issued to.
    pub fn client(self, client_id: &str) -> Self {
        self.claim("client_id", client_id)
    }

    /// How long the token lives from now on.
    pub fn expires_in(self, lifetime: Duration) -> Self {
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        self.claim("exp", unix_now().saturating_add(lifetime))
    }

    /// A token that died long ago.
    pub fn expired(self) -> Self {
        let now = unix_now();
        self.claim("iat", now - 1_200).claim("exp", now - 900)
    }

    /// Binds the token to a key, so that it is no bearer token (RFC 9449 §6.1).
    pub fn bound_to(self, thumbprint: &str) -> Self {
        self.claim("cnf", json!({ "jkt": thumbprint }))
    }

    /// Gives the token a bit of its own in the first status list, as every token of an issuer has
    /// that promises revocation.
    pub fn revocable(self) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let idx = NEXT.fetch_add(1, Ordering::Relaxed) % LIST_SIZE;
        self.status(0, idx)
    }

    /// Gives the token this bit of this status list.
    pub fn status(self, list: u32, idx: u32) -> Self {
        let uri = list_uris(&self.issuer).uri(list);
        self.claim(
            "status",
            json!({ "status_list": { "idx": idx, "uri": uri } }),
        )
    }

    /// Sets any claim to any value, registered or not.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Leaves a claim out.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Uses exactly this header text.
    pub fn header(mut self, header: impl Into<String>) -> Self {
        self.header = Some(header.into());
        self
    }

    /// Signs the token.
    #[must_use]
    pub fn sign(self) -> String {
        let header = self
            .header
            .unwrap_or_else(|| access_token_header(Algorithm::Rs256, &self.kid));
        Forge::new().sign_raw(&header, Value::Object(self.claims).to_string().as_bytes())
    }
}

fn key_pair() -> &'static RsaKeyPair {
    static KEY_PAIR: OnceLock<RsaKeyPair> = OnceLock::new();
    KEY_PAIR.get_or_init(|| {
        RsaKeyPair::generate(KeySize::Rsa2048).expect("a key needs nothing but randomness")
    })
}
