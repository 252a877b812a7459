//! A set of public keys, immutable once made: a refresh replaces the whole set, never merges.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::jwk::{self, Key, KeyRefusal};

/// Keys allowed in one JWKS. An issuer rotates through two or three; some publish a dozen.
const MAX_KEYS: usize = 64;
/// Bytes allowed in one JWKS: room for 64 keys with certificate chains.
pub(crate) const MAX_JWKS_BYTES: usize = 256 * 1024;

/// The public keys of an issuer.
///
/// A key that is weak, malformed or meant for something else is refused alone, with a reason in
/// [`refused`](Self::refused); the others are used.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Box<[Key]>,
    refused: Box<[RefusedKey]>,
}

/// A key of the JWKS that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedKey {
    /// Its position in the JWKS, from 0.
    pub index: usize,
    /// Its `kid`, where it could be read.
    pub kid: Option<String>,
    /// Why it is refused.
    pub reason: KeyRefusal,
}

/// A text that is no JWKS at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// Not a JSON object with an array `keys` (RFC 7517 §5).
    #[error("the text is not a JWK set")]
    Malformed,
    /// More than 256 KiB.
    #[error("the JWK set is larger than {MAX_JWKS_BYTES} bytes")]
    TooLarge,
    /// More than 64 keys.
    #[error("the JWK set has more than {MAX_KEYS} keys")]
    TooManyKeys,
}

impl KeySet {
    /// Reads a JWKS (RFC 7517 §5).
    ///
    /// The set may come out empty when every key is refused: look at
    /// [`refused`](Self::refused). A [`Verifier`](crate::Verifier) does not start with an empty
    /// set.
    ///
    /// # Errors
    ///
    /// [`KeySetError`] when the text as a whole is no JWKS. A single bad key is not an error.
    pub fn from_json(json: &str) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Document<'a> {
            #[serde(borrow)]
            keys: Vec<&'a RawValue>,
        }

        if json.len() > MAX_JWKS_BYTES {
            return Err(KeySetError::TooLarge);
        }
        let document: Document<'_> =
            serde_json::from_str(json).map_err(|_| KeySetError::Malformed)?;
        if document.keys.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys);
        }
        let jwks: Vec<&[u8]> = document
            .keys
            .iter()
            .map(|jwk| jwk.get().as_bytes())
            .collect();
        Ok(Self::from_jwks(&jwks))
    }

    fn from_jwks(jwks: &[&[u8]]) -> Self {
        let kids: Vec<Option<String>> = jwks.iter().map(|jwk| jwk::find_kid(jwk)).collect();
        let mut keys = Vec::with_capacity(jwks.len());
        let mut refused = Vec::new();
        for (index, (jwk, kid)) in jwks.iter().zip(&kids).enumerate() {
            // Which of two keys a signer meant cannot be known, so neither is used.
            let is_duplicate =
                kid.is_some() && kids.iter().filter(|other| *other == kid).count() > 1;
            match Key::parse(jwk) {
                Ok(_) if is_duplicate => refused.push(RefusedKey {
                    index,
                    kid: kid.clone(),
                    reason: KeyRefusal::DuplicateKid,
                }),
                Ok(key) => keys.push(key),
                Err(reason) => refused.push(RefusedKey {
                    index,
                    kid: kid.clone(),
                    reason,
                }),
            }
        }
        Self {
            keys: keys.into(),
            refused: refused.into(),
        }
    }

    /// The key of that id. The sets are small, so a scan beats a hash.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid() == kid)
    }

    /// The key whose access-token header has exactly this encoding.
    pub(crate) fn find_by_access_token_header(&self, encoded_header: &str) -> Option<&Key> {
        self.keys
            .iter()
            .find(|key| key.access_token_header() == encoded_header)
    }

    /// The keys in use.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    /// The keys that are not used, and why.
    #[must_use]
    pub fn refused(&self) -> &[RefusedKey] {
        &self.refused
    }

    /// The number of keys in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key to verify with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_limits() {
        let keys = |count: usize| format!(r#"{{"keys":[{}]}}"#, vec!["{}"; count].join(","));
        assert_eq!(KeySet::from_json(&keys(64)).unwrap().refused().len(), 64);
        assert_eq!(
            KeySet::from_json(&keys(65)).err(),
            Some(KeySetError::TooManyKeys)
        );
        let wide = |bytes: usize| format!(r#"{{"keys":[]}}{}"#, " ".repeat(bytes - 11));
        assert!(KeySet::from_json(&wide(MAX_JWKS_BYTES)).is_ok());
        assert_eq!(
            KeySet::from_json(&wide(MAX_JWKS_BYTES + 1)).err(),
            Some(KeySetError::TooLarge)
        );
    }
}
