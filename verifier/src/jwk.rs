//! One public key of a JWKS (RFC 7517), accepted or refused for a reason.

use std::sync::Arc;

use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};

use crate::base64url;
use crate::json::{Fault, Object};
use crate::jws::access_token_header;
use crate::{Algorithm, Reject};

/// A `kid` longer than this is not one: an RFC 7638 thumbprint has 43 characters.
pub(crate) const MAX_KID_BYTES: usize = 256;
/// RSA moduli between these are accepted (RFC 7518 §3.3 sets the lower bound). Above 4,096 bits a
/// verification costs so much that the key itself becomes a means of attack.
const RSA_MODULUS_BITS: std::ops::RangeInclusive<usize> = 2_048..=4_096;
/// The longest signature of any key that is accepted.
pub(crate) const MAX_SIGNATURE_BYTES: usize = 512;

/// One public key, parsed once, for exactly one algorithm (RFC 8725 §3.1).
pub struct Key {
    kid: Arc<str>,
    algorithm: Algorithm,
    signature_bytes: usize,
    verification: ParsedPublicKey,
    access_token_header: String,
}

/// Why a key of a JWKS is not used. The other keys of the set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRefusal {
    /// Not a JSON object, or a member has the wrong type.
    #[error("the key is not a well-formed JWK")]
    Malformed,
    /// A member name occurs twice (RFC 7517 §4).
    #[error("a member name occurs twice")]
    DuplicateMember,
    /// A symmetric key: it cannot be public (RFC 7518 §6.4).
    #[error("the key is symmetric")]
    Symmetric,
    /// Private members: whoever published this key has lost it.
    #[error("the key has private members")]
    Private,
    /// `kid` is missing, empty or longer than 256 bytes.
    #[error("the key id is missing, empty or too long")]
    InvalidKid,
    /// Another key of the set has the same `kid`; neither is used.
    #[error("another key has the same key id")]
    DuplicateKid,
    /// `alg` is missing, and a key without one could be used for any (RFC 8725 §3.1).
    #[error("the key names no algorithm")]
    MissingAlgorithm,
    /// `alg` is none of the four algorithms.
    #[error("the algorithm is not supported")]
    UnsupportedAlgorithm,
    /// `kty` or `crv` does not belong to `alg`.
    #[error("the key type does not belong to the algorithm")]
    WrongKeyType,
    /// `use` is there and not `sig` (RFC 7517 §4.2).
    #[error("the key is not for signatures")]
    WrongUse,
    /// `key_ops` is there and not exactly `verify` (RFC 7517 §4.3).
    #[error("the key's operations are not exactly `verify`")]
    WrongKeyOps,
    /// A number of the key is not canonical base64url, or has leading zeros.
    #[error("a number of the key is not canonically encoded")]
    InvalidEncoding,
    /// The modulus has fewer than 2,048 or more than 4,096 bits.
    #[error("the RSA modulus is not between 2048 and 4096 bits")]
    ModulusSize,
    /// The modulus is even, has a small factor, or bears the ROCA fingerprint (CVE-2017-15361).
    #[error("the RSA modulus is weak")]
    WeakModulus,
    /// The public exponent is even, below 65,537, or longer than four bytes.
    #[error("the RSA exponent is weak or oversized")]
    WeakExponent,
    /// The Ed25519 point has a small order: signatures for it can be made without a private key.
    #[error("the Ed25519 point has a small order")]
    SmallOrder,
    /// The point is not on the curve, or the library refuses the key for another reason.
    #[error("the key is not valid")]
    InvalidKey,
}

impl Key {
    /// The key's id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The same, to be kept with what the key has signed.
    pub(crate) fn shared_kid(&self) -> Arc<str> {
        Arc::clone(&self.kid)
    }

    /// The one algorithm that the key is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Verifies a detached signature over `message`: the layer below JWS.
    ///
    /// # Errors
    ///
    /// [`Reject::BadSignature`], whatever the reason.
    pub fn verify_signature(&self, message: &[u8], signature: &[u8]) -> Result<(), Reject> {
        // RFC 8017 §8.2.2 step 1: the signature has exactly the length of the modulus.
        if signature.len() != self.signature_bytes {
            return Err(Reject::BadSignature);
        }
        self.verification
            .verify_sig(message, signature)
            .map_err(|_| Reject::BadSignature)
    }

    /// The encoded header of an access token that this key signed, as our server writes it.
    pub(crate) fn access_token_header(&self) -> &str {
        &self.access_token_header
    }

    pub(crate) fn parse(json: &[u8]) -> Result<Self, KeyRefusal> {
        let jwk = Object::parse(json).map_err(|fault| match fault {
            Fault::DuplicateMember => KeyRefusal::DuplicateMember,
            Fault::Syntax | Fault::TooComplex => KeyRefusal::Malformed,
        })?;
        let kty = text(&jwk, "kty")?.ok_or(KeyRefusal::Malformed)?;
        if kty == "oct" || jwk.contains("k") {
            return Err(KeyRefusal::Symmetric);
        }
        // RFC 7518 §6.2.2, §6.3.2 and RFC 8037 §2.
        if ["d", "p", "q", "dp", "dq", "qi", "oth"]
            .iter()
            .any(|name| jwk.contains(name))
        {
            return Err(KeyRefusal::Private);
        }
        let kid = text(&jwk, "kid")?
            .filter(|kid| !kid.is_empty() && kid.len() <= MAX_KID_BYTES)
            .ok_or(KeyRefusal::InvalidKid)?;
        if text(&jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
            return Err(KeyRefusal::WrongUse);
        }
        match jwk.get("key_ops") {
            None => {}
            Some(operations) if operations.as_texts().is_some_and(|ops| ops == ["verify"]) => {}
            Some(_) => return Err(KeyRefusal::WrongKeyOps),
        }
        let algorithm = text(&jwk, "alg")?.ok_or(KeyRefusal::MissingAlgorithm)?;
        let algorithm = Algorithm::from_name(algorithm).ok_or(KeyRefusal::UnsupportedAlgorithm)?;
        let (verification, signature_bytes) = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => rsa(&jwk, kty, algorithm)?,
            Algorithm::Es256 | Algorithm::Ed25519 => curve(&jwk, kty, algorithm)?,
        };
        Ok(Self {
            access_token_header: base64url::encode(access_token_header(algorithm, kid).as_bytes()),
            kid: Arc::from(kid),
            algorithm,
            signature_bytes,
            verification,
        })
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Key")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// The `kid` of a key that may be refused, to name it.
pub(crate) fn find_kid(json: &[u8]) -> Option<String> {
    Object::parse(json)
        .ok()?
        .get("kid")?
        .as_text()
        .map(str::to_owned)
}

fn rsa(
    jwk: &Object<'_>,
    kty: &str,
    algorithm: Algorithm,
) -> Result<(ParsedPublicKey, usize), KeyRefusal> {
    let parameters = algorithm.rsa_parameters().ok_or(KeyRefusal::WrongKeyType)?;
    if kty != "RSA" {
        return Err(KeyRefusal::WrongKeyType);
    }
    let n = unsigned_integer(jwk, "n")?;
    let e = unsigned_integer(jwk, "e")?;
    if !RSA_MODULUS_BITS.contains(&bits(&n)) {
        return Err(KeyRefusal::ModulusSize);
    }
    if is_weak_modulus(&n) {
        return Err(KeyRefusal::WeakModulus);
    }
    if e.len() > 4 {
        return Err(KeyRefusal::WeakExponent);
    }
    let exponent = e
        .iter()
        .fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
    // A small exponent is what Bleichenbacher's forgery of 2006 needs; F4 is what everybody uses.
    if exponent < 65_537 || exponent % 2 == 0 {
        return Err(KeyRefusal::WeakExponent);
    }
    let signature_bytes = n.len();
    let public_key = RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(parameters)
        .map_err(|_| KeyRefusal::InvalidKey)?;
    Ok((public_key, signature_bytes))
}

fn curve(
    jwk: &Object<'_>,
    kty: &str,
    algorithm: Algorithm,
) -> Result<(ParsedPublicKey, usize), KeyRefusal> {
    let verification = algorithm
        .curve_verification()
        .ok_or(KeyRefusal::WrongKeyType)?;
    let crv = text(jwk, "crv")?.ok_or(KeyRefusal::Malformed)?;
    let mut point = Vec::with_capacity(65);
    match (kty, crv) {
        ("EC", "P-256") if algorithm == Algorithm::Es256 => {
            // The uncompressed form of SEC 1 §2.3.3; the crypto library checks the curve equation.
            point.push(4);
            point.extend(coordinate(jwk, "x")?);
            point.extend(coordinate(jwk, "y")?);
        }
        ("OKP", "Ed25519") if algorithm == Algorithm::Ed25519 => {
            point.extend(coordinate(jwk, "x")?);
            if has_small_order(&point) {
                return Err(KeyRefusal::SmallOrder);
            }
        }
        _ => return Err(KeyRefusal::WrongKeyType),
    }
    let public_key =
        ParsedPublicKey::new(verification, point).map_err(|_| KeyRefusal::InvalidKey)?;
    Ok((public_key, 64))
}

/// Whether a point of Edwards25519 has order 1, 2, 4 or 8, in any of its spellings.
///
/// The equation of RFC 8032 §5.1.7 then holds for signatures that anybody can write down: with the
/// neutral point as the key, one and the same for every message.
fn has_small_order(point: &[u8]) -> bool {
    /// The y coordinates of the points of order 8, in little-endian order.
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    // The highest bit is the sign of x; a point and its negative have the same order.
    let mut y = point.to_vec();
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    match y.as_slice() {
        // y is 0 or 1.
        [0 | 1, rest @ ..] if rest.iter().all(|byte| *byte == 0) => true,
        // y is p - 1, or p or p + 1: 0 and 1 again, not reduced.
        [0xec..=0xee, middle @ .., 0x7f] if middle.iter().all(|byte| *byte == 0xff) => true,
        y => ORDER_8.iter().any(|known| known == y),
    }
}

fn text<'o>(jwk: &'o Object<'_>, name: &str) -> Result<Option<&'o str>, KeyRefusal> {
    jwk.get(name)
        .map(|value| value.as_text().ok_or(KeyRefusal::Malformed))
        .transpose()
}

fn bytes(jwk: &Object<'_>, name: &str) -> Result<Vec<u8>, KeyRefusal> {
    let encoded = text(jwk, name)?.ok_or(KeyRefusal::Malformed)?;
    base64url::decode(encoded).map_err(|_| KeyRefusal::InvalidEncoding)
}

/// RFC 7518 §2, `Base64urlUInt`: the minimum number of octets.
fn unsigned_integer(jwk: &Object<'_>, name: &str) -> Result<Vec<u8>, KeyRefusal> {
    let bytes = bytes(jwk, name)?;
    match bytes.first() {
        None | Some(0) => Err(KeyRefusal::InvalidEncoding),
        Some(_) => Ok(bytes),
    }
}

/// RFC 7518 §6.2.1.2 and RFC 8037 §2: always the full length, 32 bytes for both curves.
fn coordinate(jwk: &Object<'_>, name: &str) -> Result<Vec<u8>, KeyRefusal> {
    let bytes = bytes(jwk, name)?;
    if bytes.len() == 32 {
        Ok(bytes)
    } else {
        Err(KeyRefusal::InvalidEncoding)
    }
}

fn bits(big_endian: &[u8]) -> usize {
    big_endian.first().map_or(0, |first| {
        big_endian.len() * 8 - first.leading_zeros() as usize
    })
}

/// Even, divisible by a small prime, or made by the generator of CVE-2017-15361 ("ROCA").
///
/// That generator's primes are powers of 65,537 modulo the product of the small primes, and so is
/// their product. A sound modulus passes this test for all of them with a chance of 2^-27.
fn is_weak_modulus(n: &[u8]) -> bool {
    const SMALL_PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89,
        97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    let residue = |prime: u32| {
        n.iter()
            .fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % prime)
    };
    if n.last().is_none_or(|last| last % 2 == 0) {
        return true;
    }
    if SMALL_PRIMES.iter().any(|prime| residue(*prime) == 0) {
        return true;
    }
    SMALL_PRIMES
        .iter()
        .all(|prime| is_power_of_f4(residue(*prime), *prime))
}

fn is_power_of_f4(residue: u32, prime: u32) -> bool {
    let mut power = 1;
    loop {
        if power == residue {
            return true;
        }
        power = power * (65_537 % prime) % prime;
        if power == 1 {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A modulus of 2,048 bits that is 1 modulo every small prime, as a power of 65,537 may be.
    fn roca_modulus() -> Vec<u8> {
        let mut product = vec![1_u8];
        for prime in [
            3_u32, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79,
            83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
        ] {
            let mut carry = 0_u32;
            for byte in product.iter_mut().rev() {
                carry += u32::from(*byte) * prime;
                *byte = (carry & 0xff) as u8;
                carry >>= 8;
            }
            while carry > 0 {
                product.insert(0, (carry & 0xff) as u8);
                carry >>= 8;
            }
        }
        product.resize(256, 0);
        product[255] = 1;
        product
    }

    #[test]
    fn the_roca_fingerprint_is_recognised() {
        let mut n = roca_modulus();
        assert!(is_weak_modulus(&n));
        n[255] = 3;
        assert!(
            !is_weak_modulus(&n) || n.iter().fold(0, |r, b| (r * 256 + u32::from(*b)) % 3) == 0
        );
    }

    #[test]
    fn a_modulus_with_a_small_factor_is_weak() {
        let mut n = roca_modulus();
        n[255] = 0; // Divisible by every small prime and even.
        assert!(is_weak_modulus(&n));
    }

    #[test]
    fn bits_are_counted_from_the_first_one() {
        assert_eq!(bits(&[]), 0);
        assert_eq!(bits(&[1]), 1);
        assert_eq!(bits(&[0x80, 0]), 16);
    }
}
