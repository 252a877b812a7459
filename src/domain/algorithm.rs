//! The signature algorithms that a signing key may use. There is no symmetric one and no `none`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A JWS algorithm (RFC 7518 §3.1, RFC 9864 for `Ed25519`). One key has exactly one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256; the default, since RFC 9068 §2.1 obliges every resource
    /// server to support it.
    #[default]
    RS256,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519 (RFC 9864 deprecates the polymorphic name `EdDSA`).
    Ed25519,
}

impl Algorithm {
    /// Every algorithm, in the order in which help texts name them.
    pub const ALL: [Self; 4] = [Self::RS256, Self::PS256, Self::ES256, Self::Ed25519];

    /// The `alg` value on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
            Self::ES256 => "ES256",
            Self::Ed25519 => "Ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name is not one of [`Algorithm::ALL`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a signature algorithm offered here; use RS256, PS256, ES256 or Ed25519")]
pub struct UnknownAlgorithm(pub String);

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }
}
