//! The keyed hash that chains audit records.

use ring::hmac;

use super::MasterKey;
use crate::domain::audit::{AuditRecord, ChainHash};
use crate::domain::ports::ChainSealer;

/// HMAC-SHA-256 under a key derived from the master key.
pub struct HmacChainSealer(hmac::Key);

impl HmacChainSealer {
    /// A sealer for the log of this installation.
    #[must_use]
    pub fn new(master: &MasterKey) -> Self {
        Self(hmac::Key::new(
            hmac::HMAC_SHA256,
            &*master.derive("audit-chain"),
        ))
    }
}

impl ChainSealer for HmacChainSealer {
    fn link(&self, before: ChainHash, record: &AuditRecord) -> ChainHash {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&before.0);
        context.update(&record.canonical_bytes());
        let mut hash = [0; 32];
        hash.iter_mut()
            .zip(context.sign().as_ref())
            .for_each(|(to, from)| *to = *from);
        ChainHash(hash)
    }
}
