//! JSON Web Signature, compact serialisation (RFC 7515): the layer below the access token.
//!
//! [`verify`] answers one question, whether these bytes were signed by one of these keys, and
//! gives no meaning to the payload. Access tokens go through the same code; use
//! [`Verifier`](crate::Verifier) for them, because a good signature alone does not make a token
//! acceptable.
//!
//! What is stricter here than in many libraries, and why:
//!
//! * the size is checked before anything is split, and there are exactly three parts;
//! * `kid` is required and finds exactly one key, and the key, not the header, decides the
//!   algorithm (RFC 8725 §3.1);
//! * a `crit` header is always rejected, because no extension is implemented (RFC 7515 §4.1.11);
//! * `jwk`, `jku`, `x5u`, `x5c` and `x5t` are ignored, as RFC 7515 §4.1 asks of headers that are
//!   not understood: they never choose a key and nothing is ever fetched from them;
//! * every header name occurs once (RFC 7515 §4).

use std::borrow::Cow;

use crate::json::{Fault, Object};
use crate::jwk::{MAX_KID_BYTES, MAX_SIGNATURE_BYTES};
use crate::{ACCESS_TOKEN_TYP, Algorithm, Key, KeySet, Reject, base64url};

/// The size limit of a token unless another is set: 8 KiB, what common servers allow for all
/// headers together.
pub const DEFAULT_MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A payload whose signature has been verified. It need not be JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Payload {
    /// The `kid` of the key that signed.
    pub kid: String,
    /// The algorithm that the key is for.
    pub algorithm: Algorithm,
    /// The `typ` header as written, if there is one. Compare it before trusting the payload
    /// (RFC 8725 §3.11).
    pub typ: Option<String>,
    /// The payload's bytes.
    pub bytes: Vec<u8>,
}

/// Verifies a compact JWS of at most [`DEFAULT_MAX_TOKEN_BYTES`].
///
/// # Errors
///
/// The [`Reject`] that says which rule was broken.
pub fn verify(compact: &str, keys: &KeySet) -> Result<Payload, Reject> {
    verify_within(compact, keys, DEFAULT_MAX_TOKEN_BYTES)
}

/// Verifies a compact JWS of at most `max_bytes`.
///
/// # Errors
///
/// The [`Reject`] that says which rule was broken.
pub fn verify_within(compact: &str, keys: &KeySet, max_bytes: usize) -> Result<Payload, Reject> {
    let compact = Compact::split(compact, max_bytes)?;
    let header = compact.header(keys, Algorithm::ALL)?;
    compact.verify_signature(header.key)?;
    Ok(Payload {
        kid: header.key.kid().to_owned(),
        algorithm: header.key.algorithm(),
        typ: header.typ.map(Cow::into_owned),
        bytes: compact.payload()?,
    })
}

/// The header that our server writes for an access token. A token whose header is exactly this
/// text takes a short cut through the verifier; any other order of members is verified too.
#[must_use]
pub fn access_token_header(algorithm: Algorithm, kid: &str) -> String {
    let kid = serde_json::Value::from(kid);
    format!(r#"{{"alg":"{algorithm}","typ":"{ACCESS_TOKEN_TYP}","kid":{kid}}}"#)
}

/// Three parts that nobody has vouched for yet.
#[derive(Clone, Copy)]
pub(crate) struct Compact<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    signing_input: &'a str,
}

/// A header that passed every rule, and the one key that it leads to.
pub(crate) struct Header<'k> {
    pub(crate) key: &'k Key,
    pub(crate) typ: Option<Cow<'static, str>>,
}

impl<'a> Compact<'a> {
    pub(crate) fn split(compact: &'a str, max_bytes: usize) -> Result<Self, Reject> {
        // First of all, so that no input can make the rest expensive (CVE-2025-30204).
        if compact.len() > max_bytes {
            return Err(Reject::TooLarge { limit: max_bytes });
        }
        let (signing_input, signature) = compact.rsplit_once('.').ok_or(Reject::NotCompactJws)?;
        let (header, payload) = signing_input.split_once('.').ok_or(Reject::NotCompactJws)?;
        // An empty payload is legal in JWS, but detached content (RFC 7515 appendix F) is not
        // supported, and no token has one.
        let is_compact = !payload.contains('.')
            && [header, payload, signature]
                .iter()
                .all(|part| !part.is_empty());
        if is_compact {
            Ok(Self {
                header,
                payload,
                signature,
                signing_input,
            })
        } else {
            Err(Reject::NotCompactJws)
        }
    }

    pub(crate) fn header<'k>(
        &self,
        keys: &'k KeySet,
        allowed: &[Algorithm],
    ) -> Result<Header<'k>, Reject> {
        // The header of an honest token is the same text for every token of a key. Recognising it
        // spares decoding and parsing; what it says was settled when the key was read.
        if let Some(key) = keys.find_by_access_token_header(self.header) {
            return if allowed.contains(&key.algorithm()) {
                Ok(Header {
                    key,
                    typ: Some(Cow::Borrowed(ACCESS_TOKEN_TYP)),
                })
            } else {
                Err(Reject::AlgorithmNotAllowed)
            };
        }
        let json = base64url::decode(self.header).map_err(|_| Reject::NotBase64url)?;
        let header = Object::parse(&json).map_err(malformed_header)?;
        let algorithm = text(&header, "alg")?.ok_or(Reject::MalformedHeader)?;
        let typ = text(&header, "typ")?.map(|typ| Cow::Owned(typ.to_owned()));
        let algorithm = Algorithm::from_name(algorithm)
            .filter(|algorithm| allowed.contains(algorithm))
            .ok_or(Reject::AlgorithmNotAllowed)?;
        if header.contains("crit") {
            return Err(Reject::CriticalExtension);
        }
        let key = keys
            .find(plausible_kid(&header)?)
            .ok_or(Reject::UnknownKid)?;
        if key.algorithm() != algorithm {
            return Err(Reject::AlgorithmMismatch);
        }
        Ok(Header { key, typ })
    }

    pub(crate) fn verify_signature(&self, key: &Key) -> Result<(), Reject> {
        // The decoder works in whole quanta of three bytes.
        let mut buffer = [0; MAX_SIGNATURE_BYTES.next_multiple_of(3)];
        // A signature longer than any that exists does not fit; it is checked apart so that the
        // reason is not "not base64url".
        if self.signature.len() > MAX_SIGNATURE_BYTES.div_ceil(3) * 4 {
            return Err(Reject::BadSignature);
        }
        let signature = base64url::decode_into(self.signature, &mut buffer)
            .map_err(|_| Reject::NotBase64url)?;
        key.verify_signature(self.signing_input.as_bytes(), signature)
    }

    pub(crate) fn payload(&self) -> Result<Vec<u8>, Reject> {
        base64url::decode(self.payload).map_err(|_| Reject::NotBase64url)
    }

    /// The `kid` that a token asks for, to look for it; nothing has vouched for it.
    #[cfg(feature = "fetch")]
    pub(crate) fn unverified_kid(&self) -> Option<String> {
        let json = base64url::decode(self.header).ok()?;
        let header = Object::parse(&json).ok()?;
        plausible_kid(&header).ok().map(str::to_owned)
    }
}

fn plausible_kid<'o>(header: &'o Object<'_>) -> Result<&'o str, Reject> {
    let kid = text(header, "kid")?.ok_or(Reject::MissingKid)?;
    if kid.is_empty() || kid.len() > MAX_KID_BYTES {
        return Err(Reject::ImplausibleKid);
    }
    Ok(kid)
}

fn text<'o>(header: &'o Object<'_>, name: &str) -> Result<Option<&'o str>, Reject> {
    header
        .get(name)
        .map(|value| value.as_text().ok_or(Reject::MalformedHeader))
        .transpose()
}

fn malformed_header(fault: Fault) -> Reject {
    match fault {
        Fault::Syntax => Reject::MalformedHeader,
        Fault::DuplicateMember => Reject::DuplicateMember,
        Fault::TooComplex => Reject::JsonTooComplex,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_exactly_three_parts() {
        for text in [
            "",
            ".",
            "..",
            "...",
            "a",
            "a.b",
            "a.b.",
            ".a.b",
            "a..b",
            "a.b.c.",
            ".a.b.c",
            "a.b.c.d",
            "a.b.c.d.e",
            "{\"payload\":\"\"}",
        ] {
            assert_eq!(
                Compact::split(text, 100).err(),
                Some(Reject::NotCompactJws),
                "{text}"
            );
        }
        assert!(Compact::split("a.b.c", 5).is_ok());
    }

    #[test]
    fn the_size_is_checked_before_the_parts() {
        let dots = ".".repeat(1_000_000);
        assert_eq!(
            Compact::split(&dots, 8).err(),
            Some(Reject::TooLarge { limit: 8 })
        );
    }

    #[test]
    fn the_header_text_is_json_whatever_the_kid() {
        let header = access_token_header(Algorithm::Rs256, "a\"b\\\n");
        let header = Object::parse(header.as_bytes()).unwrap();
        assert_eq!(
            header.get("kid").and_then(|kid| kid.as_text()),
            Some("a\"b\\\n")
        );
    }
}
