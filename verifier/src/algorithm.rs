//! The signature algorithms that this library knows. There is no HMAC and no `none`, so there is
//! nothing that a confused token could be confused with.

use std::fmt;

use aws_lc_rs::signature::{
    self, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters,
    VerificationAlgorithm,
};

/// A signature algorithm, by its name in the JOSE registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3). The default; RFC 9068 §2.1 demands it.
    Rs256,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes (RFC 7518 §3.5).
    Ps256,
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
    Es256,
    /// Ed25519 by its own name (RFC 9864 §2.2), not the polymorphic `EdDSA`.
    Ed25519,
}

impl Algorithm {
    /// Every algorithm of this library.
    pub const ALL: &[Self] = &[Self::Rs256, Self::Ps256, Self::Es256, Self::Ed25519];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// The algorithm of that exact name: case matters (RFC 7515 §4.1.1).
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|algorithm| algorithm.as_str() == name)
    }

    /// The RSA parameters; `None` for the algorithms on curves.
    pub(crate) fn rsa_parameters(self) -> Option<&'static RsaParameters> {
        static PKCS1: RsaParameters = RSA_PKCS1_2048_8192_SHA256;
        static PSS: RsaParameters = RSA_PSS_2048_8192_SHA256;
        match self {
            Self::Rs256 => Some(&PKCS1),
            Self::Ps256 => Some(&PSS),
            Self::Es256 | Self::Ed25519 => None,
        }
    }

    /// The algorithm on a curve; `None` for RSA.
    pub(crate) fn curve_verification(self) -> Option<&'static dyn VerificationAlgorithm> {
        match self {
            Self::Rs256 | Self::Ps256 => None,
            Self::Es256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
            Self::Ed25519 => Some(&signature::ED25519),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
