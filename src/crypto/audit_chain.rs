//! The keyed hash that chains audit records.

use ring::hmac;

use super::MasterKey;
use crate::domain::audit::{AuditRecord, ChainHash, RecordMac, Seal};
use crate::domain::ports::ChainSealer;

/// HMAC-SHA-256 under keys derived from the master key; up to where a former one was renewed, under
/// that one's.
pub struct HmacChainSealer {
    chain: hmac::Key,
    /// Oldest first, each with the last record that it has chained.
    former: Vec<(Seal, hmac::Key)>,
    records: hmac::Key,
}

impl HmacChainSealer {
    /// A sealer for the log of this installation.
    #[must_use]
    pub fn new(master: &MasterKey) -> Self {
        let key = |derived: &[u8; 32]| hmac::Key::new(hmac::HMAC_SHA256, derived);
        let former = master.inheritance().former().iter();
        Self {
            chain: key(&master.derive("audit-chain")),
            former: former
                .map(|keys| (keys.until, key(&keys.audit_chain)))
                .collect(),
            records: key(&master.derive("audit-record")),
        }
    }

    /// The key that chains the record with this number: whoever has stolen a former one must not go on
    /// with it.
    fn chain_key(&self, number: i64) -> &hmac::Key {
        let mut former = self.former.iter();
        former
            .find(|(until, _)| number <= until.sequence)
            .map_or(&self.chain, |(_, key)| key)
    }
}

impl ChainSealer for HmacChainSealer {
    fn link(&self, before: Seal, record: &AuditRecord) -> ChainHash {
        let mut context = hmac::Context::with_key(self.chain_key(before.sequence + 1));
        context.update(&before.hash.0);
        context.update(&record.canonical_bytes());
        let mut hash = [0; 32];
        hash.iter_mut()
            .zip(context.sign().as_ref())
            .for_each(|(to, from)| *to = *from);
        ChainHash(hash)
    }

    fn known_end(&self) -> Seal {
        self.former.last().map_or(Seal::START, |(until, _)| *until)
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

#[cfg(test)]
mod tests {
    use super::super::SystemEntropy;
    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::audit::{AuditKind, Origin};

    #[test]
    fn records_are_chained_with_the_key_of_their_time() {
        let entropy = SystemEntropy::default();
        let now = Timestamp::UNIX_EPOCH;
        let record = AuditRecord::new(AuditKind::UserCreated, &Origin::SYSTEM, now, &entropy);
        let record = record.unwrap();
        let after = |sequence| Seal {
            sequence,
            hash: ChainHash([7; 32]),
        };
        let (first, next) = (MasterKey::of([1; 32]), MasterKey::of([2; 32]));
        let inheritance = first.bequeath(&next, after(3), &entropy).unwrap();
        let without = HmacChainSealer::new(&next);
        let next = next.inherit(&inheritance).unwrap();
        let (former, sealer) = (HmacChainSealer::new(&first), HmacChainSealer::new(&next));
        assert_eq!(
            (former.known_end(), sealer.known_end()),
            (Seal::START, after(3))
        );
        for sequence in 0..6 {
            let expected = if sequence < 3 { &former } else { &without };
            let link = sealer.link(after(sequence), &record);
            assert_eq!(
                link,
                expected.link(after(sequence), &record),
                "after {sequence}"
            );
        }
        assert_ne!(sealer.mac(&record), former.mac(&record));
    }
}
