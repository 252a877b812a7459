//! A signing key and the instants that rule its life.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::algorithm::Algorithm;
use super::id::Kid;

/// One signing key, as every replica reads it. **The schedule is in the row**: replicas that read
/// the same instants switch at the same moment without talking to each other.
#[derive(Clone, Debug, PartialEq)]
pub struct SigningKey {
    /// RFC 7638 thumbprint of the public key.
    pub kid: Kid,
    /// The one algorithm it signs with.
    pub algorithm: Algorithm,
    /// Position in the chain of keys of this algorithm, from 1. Unique, so that replicas that make
    /// the next key at the same time make it once.
    pub slot: i64,
    /// The public half, as published.
    pub public_jwk: PublicJwk,
    /// The private half; `None` once the key can never sign again.
    pub sealed_private: Option<SealedPrivateKey>,
    /// From when it is published in the JWKS.
    pub created_at: Timestamp,
    /// When it signs, stops to sign, and leaves the JWKS.
    pub schedule: KeySchedule,
    /// When it was withdrawn in an emergency (or before it was ever used).
    pub revoked_at: Option<Timestamp>,
}

/// The planned instants of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySchedule {
    /// From when it signs.
    pub active_from: Timestamp,
    /// When its successor takes over.
    pub retires_at: Timestamp,
    /// When the last token that it signed is dead and it leaves the JWKS.
    pub removed_at: Timestamp,
}

/// Where a key is in its life at some instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Published, not yet signing.
    Next,
    /// Signing.
    Active,
    /// No longer signing, still published for the tokens it has signed.
    Retiring,
    /// No longer published.
    Gone,
    /// Withdrawn.
    Revoked,
}

impl KeyState {
    /// The name in lists, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Gone => "gone",
            Self::Revoked => "revoked",
        }
    }

    /// Whether verifiers find the key in the JWKS.
    #[must_use]
    pub const fn is_published(self) -> bool {
        matches!(self, Self::Next | Self::Active | Self::Retiring)
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A public key as a JSON Web Key (RFC 7517 §4), with `use`, `alg` and `kid`. Private members have
/// no place in this type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicJwk {
    /// The key's own members.
    #[serde(flatten)]
    pub parameters: PublicKeyParameters,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub usage: KeyUse,
    /// The one algorithm of the key.
    pub alg: Algorithm,
    /// RFC 7638 thumbprint.
    pub kid: String,
}

/// `use` (RFC 7517 §4.2): keys here only sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyUse {
    /// `sig`
    #[serde(rename = "sig")]
    Signature,
}

/// The members that make the key (RFC 7518 §6, RFC 8037 §2), each base64url.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum PublicKeyParameters {
    /// RSA.
    #[serde(rename = "RSA")]
    Rsa {
        /// Modulus.
        n: String,
        /// Public exponent.
        e: String,
    },
    /// An elliptic curve.
    #[serde(rename = "EC")]
    EllipticCurve {
        /// `P-256`.
        crv: String,
        /// Coordinate.
        x: String,
        /// Coordinate.
        y: String,
    },
    /// An octet key pair.
    #[serde(rename = "OKP")]
    OctetKeyPair {
        /// `Ed25519`.
        crv: String,
        /// The public key.
        x: String,
    },
}

/// A private key in PKCS#8, sealed by a key derived from the master key.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedPrivateKey(pub Vec<u8>);

impl fmt::Debug for SealedPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedPrivateKey(..)")
    }
}
