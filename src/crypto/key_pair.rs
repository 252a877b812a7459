//! Key pairs that sign, parsed once and kept.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use tokensmith_verify::jws;
use zeroize::Zeroizing;

use crate::domain::algorithm::Algorithm;
use crate::domain::id::Kid;
use crate::domain::key::{KeyUse, PublicJwk, PublicKeyParameters};
use crate::domain::ports::{KeyVaultError, SigningFailed, TokenKind, TokenSigner};

/// A private key for one algorithm.
pub(super) enum KeyPair {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl KeyPair {
    /// Makes a key pair; RSA ones have 2,048 bits.
    pub(super) fn generate(algorithm: Algorithm) -> Result<Self, KeyVaultError> {
        let failed = |_| KeyVaultError::Failed;
        Ok(match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => Self::Rsa(
                RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?,
                padding(algorithm),
            ),
            Algorithm::ES256 => Self::P256(
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?,
            ),
            Algorithm::Ed25519 => Self::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
        })
    }

    /// Parses PKCS#8.
    pub(super) fn from_pkcs8(der: &[u8], algorithm: Algorithm) -> Result<Self, KeyVaultError> {
        let wrong_kind = |error| refusal(&error, algorithm);
        Ok(match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => Self::Rsa(
                RsaKeyPair::from_pkcs8(der).map_err(wrong_kind)?,
                padding(algorithm),
            ),
            Algorithm::ES256 => Self::P256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                    .map_err(wrong_kind)?,
            ),
            Algorithm::Ed25519 => {
                Self::Ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(wrong_kind)?)
            }
        })
    }

    /// Parses an `RSAPrivateKey` (PKCS#1).
    pub(super) fn from_pkcs1(der: &[u8], algorithm: Algorithm) -> Result<Self, KeyVaultError> {
        let wrong_kind = |error| refusal(&error, algorithm);
        match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => Ok(Self::Rsa(
                RsaKeyPair::from_der(der).map_err(wrong_kind)?,
                padding(algorithm),
            )),
            Algorithm::ES256 | Algorithm::Ed25519 => Err(KeyVaultError::WrongKind(algorithm)),
        }
    }

    /// The private key in PKCS#8, to be sealed.
    pub(super) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyVaultError> {
        let failed = |_| KeyVaultError::Failed;
        let copy = |der: &[u8]| Zeroizing::new(der.to_vec());
        Ok(match self {
            Self::Rsa(pair, _) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                copy(der.as_ref())
            }
            Self::P256(pair) => copy(pair.to_pkcs8v1().map_err(failed)?.as_ref()),
            Self::Ed25519(pair) => copy(pair.to_pkcs8v1().map_err(failed)?.as_ref()),
        })
    }

    /// The public key as a JWK with its thumbprint.
    pub(super) fn public_jwk(&self, algorithm: Algorithm) -> Result<PublicJwk, KeyVaultError> {
        let parameters = match self {
            Self::Rsa(pair, _) => {
                let public = pair.public_key();
                PublicKeyParameters::Rsa {
                    n: encode(public.modulus().big_endian_without_leading_zero()),
                    e: encode(public.exponent().big_endian_without_leading_zero()),
                }
            }
            Self::P256(pair) => {
                // The uncompressed point of SEC 1: 0x04, then two coordinates of 32 bytes.
                let point = pair.public_key().as_ref();
                let (x, y) = point
                    .strip_prefix(&[4])
                    .and_then(|coordinates| coordinates.split_at_checked(32))
                    .ok_or(KeyVaultError::Failed)?;
                PublicKeyParameters::EllipticCurve {
                    crv: "P-256".to_owned(),
                    x: encode(x),
                    y: encode(y),
                }
            }
            Self::Ed25519(pair) => PublicKeyParameters::OctetKeyPair {
                crv: "Ed25519".to_owned(),
                x: encode(pair.public_key().as_ref()),
            },
        };
        let kid = thumbprint(&parameters);
        Ok(PublicJwk {
            parameters,
            usage: KeyUse::Signature,
            alg: algorithm,
            kid,
        })
    }

    /// Modulus and exponent, where it is an RSA key.
    pub(super) fn rsa_parameters(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        match self {
            Self::Rsa(pair, _) => {
                let public = pair.public_key();
                Some((
                    public.modulus().big_endian_without_leading_zero().to_vec(),
                    public.exponent().big_endian_without_leading_zero().to_vec(),
                ))
            }
            Self::P256(_) | Self::Ed25519(_) => None,
        }
    }

    /// Signs and appends the signature as base64url.
    fn sign_onto(&self, message_length: usize, token: &mut String) -> Result<(), ()> {
        let message = token.as_bytes().get(..message_length).ok_or(())?;
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair, encoding) => {
                let mut signature = [0; 512];
                let signature = signature.get_mut(..pair.public_modulus_len()).ok_or(())?;
                pair.sign(*encoding, &random, message, signature)
                    .map_err(|_| ())?;
                append(signature, token);
            }
            Self::P256(pair) => {
                append(pair.sign(&random, message).map_err(|_| ())?.as_ref(), token);
            }
            Self::Ed25519(pair) => append(pair.try_sign(message).map_err(|_| ())?.as_ref(), token),
        }
        Ok(())
    }
}

/// The library itself refuses RSA keys that are far too small or large.
fn refusal(error: &KeyRejected, algorithm: Algorithm) -> KeyVaultError {
    match error.description_() {
        "TooSmall" | "TooLarge" => KeyVaultError::RsaSize,
        _ => KeyVaultError::WrongKind(algorithm),
    }
}

fn append(signature: &[u8], token: &mut String) {
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, token);
}

/// A key pair with everything about its tokens that never changes.
pub(super) struct MemorySigner {
    kid: Kid,
    pair: KeyPair,
    algorithm: Algorithm,
    /// The JOSE header of an access token in base64url, and the dot.
    header: String,
}

impl MemorySigner {
    pub(super) fn new(kid: Kid, algorithm: Algorithm, pair: KeyPair) -> Self {
        // Written by the verifier, which recognises it byte for byte.
        let header = jws::access_token_header(verifiers_name(algorithm), kid.as_str());
        let header = URL_SAFE_NO_PAD.encode(header) + ".";
        Self {
            kid,
            pair,
            algorithm,
            header,
        }
    }
}

impl TokenSigner for MemorySigner {
    fn kid(&self) -> &Kid {
        &self.kid
    }

    fn sign_access_token(&self, payload: &[u8]) -> Result<String, SigningFailed> {
        self.sign_behind(&self.header, payload)
    }

    fn sign(&self, kind: TokenKind, payload: &[u8]) -> Result<String, SigningFailed> {
        // Rare enough to be written each time. A thumbprint needs no escapes in JSON.
        let header = format!(
            r#"{{"alg":"{}","typ":"{}","kid":"{}"}}"#,
            verifiers_name(self.algorithm),
            kind.typ(),
            self.kid.as_str()
        );
        self.sign_behind(&(URL_SAFE_NO_PAD.encode(header) + "."), payload)
    }
}

impl MemorySigner {
    fn sign_behind(&self, header: &str, payload: &[u8]) -> Result<String, SigningFailed> {
        const LONGEST_SIGNATURE: usize = 684;
        let capacity = header.len() + payload.len().div_ceil(3) * 4 + LONGEST_SIGNATURE;
        let mut token = String::with_capacity(capacity);
        token.push_str(header);
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        self.pair
            .sign_onto(token.len(), &mut token)
            .map_err(|()| SigningFailed {
                kid: self.kid.clone(),
            })?;
        Ok(token)
    }
}

fn verifiers_name(algorithm: Algorithm) -> tokensmith_verify::Algorithm {
    match algorithm {
        Algorithm::RS256 => tokensmith_verify::Algorithm::Rs256,
        Algorithm::PS256 => tokensmith_verify::Algorithm::Ps256,
        Algorithm::ES256 => tokensmith_verify::Algorithm::Es256,
        Algorithm::Ed25519 => tokensmith_verify::Algorithm::Ed25519,
    }
}

/// RFC 7638 §3: SHA-256 over the required members, in lexical order, without white space.
fn thumbprint(parameters: &PublicKeyParameters) -> String {
    let canonical = match parameters {
        PublicKeyParameters::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        PublicKeyParameters::EllipticCurve { crv, x, y } => {
            format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
        }
        PublicKeyParameters::OctetKeyPair { crv, x } => {
            format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{x}"}}"#)
        }
    };
    encode(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref())
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn padding(algorithm: Algorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        Algorithm::PS256 => &RSA_PSS_SHA256,
        Algorithm::RS256 | Algorithm::ES256 | Algorithm::Ed25519 => &RSA_PKCS1_SHA256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_the_example_in_rfc_7638() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let parameters = PublicKeyParameters::Rsa {
            n: n.to_owned(),
            e: "AQAB".to_owned(),
        };
        assert_eq!(
            thumbprint(&parameters),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn a_key_pair_of_every_algorithm_survives_storage() {
        for algorithm in Algorithm::ALL {
            let pair = KeyPair::generate(algorithm).unwrap();
            let again = KeyPair::from_pkcs8(&pair.to_pkcs8().unwrap(), algorithm).unwrap();
            assert_eq!(again.public_jwk(algorithm), pair.public_jwk(algorithm));
        }
    }
}
