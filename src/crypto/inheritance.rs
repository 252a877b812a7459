//! What a master key takes over from those before it, when it is renewed because one has leaked.
//!
//! Tokens, cookies and signing keys die with the old key. Three things live on, and for each a key of
//! before is needed:
//!
//! - **client secrets** are compared with what they were digested to. They are 256 random bits, which a
//!   known HMAC key does not help to guess. Whoever has stolen it and can also *write* to the database can
//!   still put in the digest of a secret of their own, under the former key;
//! - **status indices** must go on being permuted alike, or two tokens would share a bit;
//! - **sealed audit records** are proved with the key of their time, and that only up to the record with
//!   which the log ended when the key was renewed.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::master_key::{MasterKey, MasterKeyError};
use crate::domain::audit::{ChainHash, Seal};
use crate::domain::ports::{Entropy, NoEntropy, SealedInheritance};

/// The first byte of every sealed inheritance, so that the form can change later.
const FORMAT: u8 = 1;
/// Two keys, the number of a record, and its hash.
const FORMER_BYTES: usize = 32 + 32 + 8 + 32;

/// A key for one use. Zeroed when dropped.
pub(super) type DerivedKey = Zeroizing<[u8; 32]>;

/// What lives on of former master keys. Empty for the first master key of an installation.
#[derive(Default)]
pub(super) struct Inheritance {
    /// Permutes the status indices; of the first master key.
    status_index: Option<DerivedKey>,
    /// Oldest first.
    former: Vec<FormerKeys>,
}

/// What lives on of one former master key.
pub(super) struct FormerKeys {
    /// Has digested the client secrets of its time.
    pub(super) client_secret: DerivedKey,
    /// Has chained the audit records of its time.
    pub(super) audit_chain: DerivedKey,
    /// The last of these records.
    pub(super) until: Seal,
}

impl Inheritance {
    /// The former master keys, oldest first.
    pub(super) fn former(&self) -> &[FormerKeys] {
        &self.former
    }

    /// format | nonce | ciphertext and tag
    fn seal(
        &self,
        heir: &MasterKey,
        entropy: &dyn Entropy,
    ) -> Result<SealedInheritance, NoEntropy> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce)?;
        let mut body = self.to_bytes();
        let tag = sealing_key(heir)
            .ok_or(NoEntropy)?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from([FORMAT]),
                &mut body,
            )
            .map_err(|_| NoEntropy)?;
        let mut sealed = vec![FORMAT];
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        sealed.extend_from_slice(tag.as_ref());
        Ok(SealedInheritance(sealed))
    }

    fn unseal(heir: &MasterKey, sealed: &SealedInheritance) -> Option<Self> {
        let body = sealed.0.strip_prefix(&[FORMAT])?;
        let (nonce, body) = body.split_first_chunk::<NONCE_LEN>()?;
        let mut buffer = Zeroizing::new(body.to_vec());
        let plain = sealing_key(heir)?
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from([FORMAT]),
                &mut buffer,
            )
            .ok()?;
        Self::from_bytes(plain)
    }

    /// The key of the status indices, then each former master key.
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // At once as large as it gets: a vector that grows leaves copies behind.
        let length = 32 + self.former.len() * FORMER_BYTES;
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        if let Some(status_index) = &self.status_index {
            bytes.extend_from_slice(&**status_index);
        }
        for former in &self.former {
            bytes.extend_from_slice(&*former.client_secret);
            bytes.extend_from_slice(&*former.audit_chain);
            bytes.extend_from_slice(&former.until.sequence.to_be_bytes());
            bytes.extend_from_slice(&former.until.hash.0);
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (status_index, rest) = bytes.split_first_chunk()?;
        let former = rest.chunks(FORMER_BYTES).map(FormerKeys::from_bytes);
        Some(Self {
            status_index: Some(Zeroizing::new(*status_index)),
            former: former.collect::<Option<_>>()?,
        })
    }
}

impl FormerKeys {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (client_secret, rest) = bytes.split_first_chunk()?;
        let (audit_chain, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        Some(Self {
            client_secret: Zeroizing::new(*client_secret),
            audit_chain: Zeroizing::new(*audit_chain),
            until: Seal {
                sequence: i64::from_be_bytes(*sequence),
                hash: ChainHash(rest.try_into().ok()?),
            },
        })
    }
}

impl Clone for FormerKeys {
    fn clone(&self) -> Self {
        Self {
            client_secret: self.client_secret.clone(),
            audit_chain: self.audit_chain.clone(),
            until: self.until,
        }
    }
}

impl MasterKey {
    /// Seals for the next master key what lives on of this one and of those before it. The audit log
    /// ends with the record `until`, and all of it is sealed.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn bequeath(
        &self,
        heir: &Self,
        until: Seal,
        entropy: &dyn Entropy,
    ) -> Result<SealedInheritance, NoEntropy> {
        let mut former = self.inheritance().former.clone();
        former.push(FormerKeys {
            client_secret: self.derive("client-secret"),
            audit_chain: self.derive("audit-chain"),
            until,
        });
        let all = Inheritance {
            status_index: Some(self.status_index_key()),
            former,
        };
        all.seal(heir, entropy)
    }

    /// The master key with what was sealed for it.
    ///
    /// # Errors
    /// When that was sealed for another, or changed.
    pub fn inherit(self, sealed: &SealedInheritance) -> Result<Self, MasterKeyError> {
        let inheritance = Inheritance::unseal(&self, sealed);
        Ok(self.with_inheritance(inheritance.ok_or(MasterKeyError::Inheritance)?))
    }

    /// Whether this key has inherited from another.
    #[must_use]
    pub fn is_heir_of(&self, other: &Self) -> bool {
        let audit_chain = other.derive("audit-chain");
        let mut former = self.inheritance().former.iter();
        former.any(|keys| keys.audit_chain == audit_chain)
    }

    /// The key that permutes the status indices: always that of the first master key, so that an index
    /// is never used twice.
    pub(super) fn status_index_key(&self) -> DerivedKey {
        match &self.inheritance().status_index {
            Some(key) => key.clone(),
            None => self.derive("status-index"),
        }
    }
}

fn sealing_key(heir: &MasterKey) -> Option<LessSafeKey> {
    let key = heir.derive("inheritance");
    UnboundKey::new(&AES_256_GCM, &*key)
        .ok()
        .map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::super::SystemEntropy;
    use super::*;

    fn end(sequence: i64) -> Seal {
        let byte = u8::try_from(sequence).unwrap();
        Seal {
            sequence,
            hash: ChainHash([byte; 32]),
        }
    }

    /// Three master keys, each the heir of the one before.
    fn family() -> [MasterKey; 3] {
        let entropy = SystemEntropy::default();
        let first = MasterKey::of([1; 32]);
        let second = MasterKey::of([2; 32]);
        let sealed = first.bequeath(&second, end(7), &entropy).unwrap();
        let second = second.inherit(&sealed).unwrap();
        let third = MasterKey::of([3; 32]);
        let sealed = second.bequeath(&third, end(9), &entropy).unwrap();
        let third = third.inherit(&sealed).unwrap();
        [first, second, third]
    }

    #[test]
    fn what_lives_on_comes_through_two_renewals() {
        let [first, second, third] = family();
        assert_eq!(*third.status_index_key(), *first.derive("status-index"));
        assert_eq!(*second.status_index_key(), *first.derive("status-index"));
        assert!(third.is_heir_of(&first) && third.is_heir_of(&second));
        assert!(!second.is_heir_of(&third) && !first.is_heir_of(&first));
        let former = third.inheritance().former();
        let ends: Vec<_> = former.iter().map(|keys| keys.until).collect();
        assert_eq!(ends, [end(7), end(9)]);
        for (keys, of) in former.iter().zip([&first, &second]) {
            assert_eq!(*keys.client_secret, *of.derive("client-secret"));
            assert_eq!(*keys.audit_chain, *of.derive("audit-chain"));
        }
    }

    #[test]
    fn the_first_master_key_has_inherited_nothing() {
        let key = MasterKey::of([1; 32]);
        assert!(key.inheritance().former().is_empty());
        assert_eq!(*key.status_index_key(), *key.derive("status-index"));
    }

    #[test]
    fn only_the_heir_opens_it_and_only_as_it_was_sealed() {
        let (first, heir) = (MasterKey::of([1; 32]), || MasterKey::of([2; 32]));
        let sealed = first
            .bequeath(&heir(), end(7), &SystemEntropy::default())
            .unwrap();
        assert!(heir().inherit(&sealed).is_ok());
        assert!(first.inherit(&sealed).is_err(), "the one who gave it");
        for place in 0..sealed.0.len() {
            let mut changed = sealed.clone();
            changed.0[place] ^= 1;
            assert!(heir().inherit(&changed).is_err(), "byte {place}");
            let cut = SealedInheritance(sealed.0[..place].to_vec());
            assert!(heir().inherit(&cut).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn nothing_of_it_can_be_read_without_the_heir() {
        let first = MasterKey::of([1; 32]);
        let sealed = first
            .bequeath(&MasterKey::of([2; 32]), end(7), &SystemEntropy::default())
            .unwrap();
        for label in ["status-index", "client-secret", "audit-chain"] {
            let key = first.derive(label);
            let is_there = sealed.0.windows(32).any(|window| *window == *key);
            assert!(!is_there, "{label}");
        }
    }

    #[test]
    fn bytes_that_are_no_inheritance_are_refused() {
        let [.., third] = family();
        let bytes = third.inheritance().to_bytes();
        assert_eq!(bytes.len(), 32 + 2 * FORMER_BYTES);
        assert!(Inheritance::from_bytes(&bytes).is_some());
        for bad in [&bytes[..31], &bytes[..33], &bytes[..bytes.len() - 1]] {
            assert!(Inheritance::from_bytes(bad).is_none(), "{}", bad.len());
        }
    }
}
