//! The keyed hash that chains audit records.

use ring::hmac;

use super::MasterKey;
use crate::domain::audit::{AuditRecord, ChainHash, RecordMac};
use crate::domain::ports::ChainSealer;

/// HMAC-SHA-256 under keys derived from the master key.
pub struct HmacChainSealer {
    chain: hmac::Key,
    records: hmac::Key,
}

impl HmacChainSealer {
    /// A sealer for the log of this installation.
    #[must_use]
    pub fn new(master: &MasterKey) -> Self {
        let key = |label| hmac::Key::new(hmac::HMAC_SHA256, &*master.derive(label));
        Self {
            chain: key("audit-chain"),
            records: key("audit-record"),
        }
    }
}

impl ChainSealer for HmacChainSealer {
    fn link(&self, before: ChainHash, record: &AuditRecord) -> ChainHash {
        let mut context = hmac::Context::with_key(&self.chain);
        context.update(&before.0);
        context.update(&record.canonical_bytes());
        let mut hash = [0; 32];
        hash.iter_mut()
            .zip(context.sign().as_ref())
            .for_each(|(to, from)| *to = *from);
        ChainHash(hash)
    }

    fn mac(&self, record: &AuditRecord) -> RecordMac {
        let tag = hmac::sign(&self.records, &record.canonical_bytes());
        let mut mac = [0; 16];
        mac.iter_mut()
            .zip(tag.as_ref())
            .for_each(|(to, from)| *to = *from);
        RecordMac(mac)
    }
}
