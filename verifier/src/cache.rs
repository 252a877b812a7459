//! Tokens that were good a moment ago, so that their signature need not be verified again.

use std::any::{Any, TypeId};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Weak};

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use serde::de::DeserializeOwned;

use crate::jwt::{Times, read_claims_again};
use crate::{Claims, KeySet, NoCustomClaims, Reject};

/// Good tokens by their text. Rejected ones are never in it, so nobody can fill it with rubbish.
pub(crate) struct TokenCache {
    entries: Cache<Box<str>, Arc<Entry>, UnitWeighter, TailHash>,
}

/// What was found out about a token. What can change since is not part of it: time, keys and
/// revocation are looked at again on every hit.
pub(crate) struct Entry {
    pub(crate) times: Times,
    pub(crate) kid: Arc<str>,
    pub(crate) claims: Claims,
    payload: Vec<u8>,
    /// The set that the key was found in. As long as it is referred to, no other has its address.
    keys: Weak<KeySet>,
}

impl TokenCache {
    pub(crate) fn new(capacity: usize) -> Self {
        let weight = u64::try_from(capacity).unwrap_or(u64::MAX);
        Self {
            entries: Cache::with(
                capacity,
                weight,
                UnitWeighter,
                TailHash::default(),
                DefaultLifecycle::default(),
            ),
        }
    }

    /// The entry of a token, unless the keys were replaced since: the issuer may have withdrawn
    /// the one that signed it.
    pub(crate) fn find(&self, token: &str, keys: &Arc<KeySet>) -> Option<Arc<Entry>> {
        let entry = self.entries.get(token)?;
        (entry.keys.as_ptr() == Arc::as_ptr(keys)).then_some(entry)
    }

    pub(crate) fn insert(&self, token: &str, entry: Entry) {
        self.entries.insert(token.into(), Arc::new(entry));
    }
}

impl Entry {
    pub(crate) fn new<X>(
        claims: &Claims<X>,
        times: Times,
        kid: Arc<str>,
        payload: Vec<u8>,
        keys: &Arc<KeySet>,
    ) -> Self {
        Self {
            times,
            kid,
            claims: claims.registered(),
            payload,
            keys: Arc::downgrade(keys),
        }
    }

    pub(crate) fn claims_as<X: DeserializeOwned + 'static>(&self) -> Result<Claims<X>, Reject> {
        if TypeId::of::<X>() != TypeId::of::<NoCustomClaims>() {
            return read_claims_again(&self.payload);
        }
        let mut claims = Some(self.claims.clone());
        let same: &mut dyn Any = &mut claims;
        let same = same.downcast_mut().and_then(Option::take);
        same.map_or_else(|| read_claims_again(&self.payload), Ok)
    }
}

/// Hashes the end of a token under a random key. The end is the signature, which nobody can choose
/// for a token that verifies; the texts are compared in full.
#[derive(Clone, Default)]
struct TailHash(RandomState);

struct TailHasher<H>(H);

/// Longer than any hash, shorter than any signature.
const TAIL_BYTES: usize = 43;

impl BuildHasher for TailHash {
    type Hasher = TailHasher<<RandomState as BuildHasher>::Hasher>;

    fn build_hasher(&self) -> Self::Hasher {
        TailHasher(self.0.build_hasher())
    }
}

impl<H: Hasher> Hasher for TailHasher<H> {
    fn write(&mut self, bytes: &[u8]) {
        let tail = bytes.last_chunk::<TAIL_BYTES>();
        self.0.write(tail.map_or(bytes, |tail| tail));
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}
