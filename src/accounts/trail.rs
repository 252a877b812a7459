//! Writing the audit log, sealing it, and proving that it is whole.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;

use super::AccountError;
use crate::domain::Timestamp;
use crate::domain::audit::{AuditKind, AuditRecord, Origin, Seal, StoredRecord};
use crate::domain::id::{AuditId, ClientId, UserId};
use crate::domain::network::AddressKey;
use crate::domain::ports::{AuditFilter, ChainSealer, Entropy, NoEntropy, Store, StoreError};

/// How many records are sealed or read at a time.
const PAGE: u32 = 500;

/// The audit log of this process.
#[derive(Clone)]
pub struct Trail {
    store: Arc<dyn Store>,
    sealer: Arc<dyn ChainSealer>,
    entropy: Arc<dyn Entropy>,
    refusals: Arc<Mutex<HashMap<RefusalKey, Repeated>>>,
    /// The end of the chain as this process last saw it.
    last_end: Arc<Mutex<Seal>>,
}

/// Why the audit log is not sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain ends before where it ended a moment ago, or in another way.
    #[error(
        "the audit log was tampered with: it ended with record {}, and now ends with record {}; it \
         is not sealed again before a restart",
        .seen.sequence, .found.sequence
    )]
    Tampered {
        /// Where it ended.
        seen: Seal,
        /// Where it ends now.
        found: Seal,
    },
    /// A record that nobody with the master key has written.
    #[error("the audit log was tampered with: record {0} was put in or changed")]
    Forged(AuditId),
}

/// Refusals that are alike.
type RefusalKey = (
    AuditKind,
    Option<ClientId>,
    Option<AddressKey>,
    Option<UserId>,
    Option<String>,
);

/// What was refused again after it had been written down.
struct Repeated {
    since: Timestamp,
    count: u32,
    last: AuditRecord,
}

/// What [`Trail::verify`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Verification {
    /// The end of the chain as far as it is whole.
    pub end: Seal,
    /// Records written a moment ago, not sealed yet.
    pub unsealed: u64,
    /// What is wrong, where something is.
    pub broken: Option<Break>,
}

/// Where the chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Break {
    /// A number is missing: a record was removed.
    Missing(i64),
    /// The record does not fit its hash: it was changed, or put in.
    Changed(i64, AuditId),
    /// The end of the chain is not where the database says it is: records were cut off.
    CutOff(Seal),
}

impl Trail {
    /// The log in a database.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        sealer: Arc<dyn ChainSealer>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let last_end = Arc::new(Mutex::new(sealer.known_end()));
        Self {
            store,
            sealer,
            entropy,
            refusals: Arc::default(),
            last_end,
        }
    }

    /// A record of this instant, to be written in the transaction of what it speaks of.
    pub fn record(
        &self,
        kind: AuditKind,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<AuditRecord, NoEntropy> {
        AuditRecord::new(kind, origin, now, &*self.entropy)
    }

    /// Writes a record of something that changed nothing else.
    pub async fn write(&self, record: &AuditRecord) -> Result<(), StoreError> {
        self.store.record(record).await
    }

    /// Writes down a refusal that anybody can provoke. Of refusals that are alike (kind, client,
    /// network, person, reason) the first in a minute is written at once and the others are counted: the log must not grow as
    /// fast as a stranger can send.
    pub async fn refuse(&self, record: AuditRecord) -> Result<(), StoreError> {
        if self.is_new_refusal(&record) {
            self.write(&record).await?;
        }
        Ok(())
    }

    fn is_new_refusal(&self, record: &AuditRecord) -> bool {
        /// Beyond so many that differ within a minute, those of a kind count as alike.
        const MOST: usize = 1_000;
        let mut key = (
            record.kind,
            record.client.clone(),
            record.origin.address.map(AddressKey::from),
            record.user,
            record.detail.clone(),
        );
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() >= MOST && !refusals.contains_key(&key) {
            key = (record.kind, None, None, None, None);
        }
        if let Some(known) = refusals.get_mut(&key) {
            known.count = known.count.saturating_add(1);
            known.last = record.clone();
            return false;
        }
        let first = Repeated {
            since: record.at,
            count: 0,
            last: record.clone(),
        };
        refusals.insert(key, first);
        true
    }

    /// Writes down how often refusals of more than a minute ago were repeated.
    pub async fn write_repeated(&self, now: Timestamp) -> Result<(), AccountError> {
        let over = {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            refusals
                .extract_if(|_, known| now - known.since >= TimeDelta::minutes(1))
                .collect::<Vec<_>>()
        };
        for (_, Repeated { count, last, .. }) in over.into_iter().filter(|(_, r)| r.count > 0) {
            let mut record = self.record(last.kind, &last.origin, last.at)?;
            record.client = last.client;
            record.user = last.user;
            let record = record.with_detail(format!("{count} more like the one before"));
            self.write(&record).await?;
        }
        Ok(())
    }

    /// A page of the log, newest first, older than `before`.
    pub async fn list(
        &self,
        filter: &AuditFilter,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        self.store.list_audit(filter, before, limit).await
    }

    /// Chains the records that have been written since the last time.
    ///
    /// # Errors
    /// When somebody without the master key has changed the log in the database.
    pub async fn seal(&self) -> Result<(), SealError> {
        loop {
            let (records, seen) = self.store.unsealed_records(PAGE).await?;
            self.check_end(seen)?;
            if records.is_empty() {
                return Ok(());
            }
            let is_forged = |record: &&AuditRecord| record.mac != Some(self.sealer.mac(record));
            if let Some(forged) = records.iter().find(is_forged) {
                return Err(SealError::Forged(forged.id));
            }
            let mut end = seen;
            let seals: Vec<(AuditId, Seal)> = records
                .iter()
                .map(|record| {
                    end = self.next(end, record);
                    (record.id, end)
                })
                .collect();
            // When another replica was first, what is left is read again.
            if self.store.seal_records(&seals, seen).await? {
                self.check_end(end)?;
            }
        }
    }

    /// A chain only grows. (A backup is restored while no server runs.)
    fn check_end(&self, found: Seal) -> Result<(), SealError> {
        let mut last = self.last_end.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = *last;
        let is_other = found.sequence == seen.sequence && found.hash != seen.hash;
        if found.sequence < seen.sequence || is_other {
            return Err(SealError::Tampered { seen, found });
        }
        *last = found;
        Ok(())
    }

    fn next(&self, end: Seal, record: &AuditRecord) -> Seal {
        Seal {
            sequence: end.sequence + 1,
            hash: self.sealer.link(end, record),
        }
    }

    /// Walks the whole chain and finds the first record that is missing, changed or put in.
    pub async fn verify(&self) -> Result<Verification, StoreError> {
        let mut end = Seal::START;
        loop {
            let page = self.store.sealed_records(end.sequence, PAGE).await?;
            for stored in &page {
                match self.check(end, stored) {
                    Ok(next) => end = next,
                    Err(broken) => return self.verification(end, Some(broken)).await,
                }
            }
            if page.is_empty() {
                let known = self.sealer.known_end();
                if end.sequence < known.sequence {
                    return self.verification(end, Some(Break::CutOff(known))).await;
                }
                let (_, claimed) = self.store.unsealed_records(1).await?;
                // Others may have sealed more since the last page was read.
                let broken = (claimed.sequence == end.sequence && claimed.hash != end.hash
                    || claimed.sequence < end.sequence)
                    .then_some(Break::CutOff(claimed));
                if broken.is_none() && claimed.sequence > end.sequence {
                    let more = self.store.sealed_records(end.sequence, 1).await?;
                    if more.is_empty() {
                        return self.verification(end, Some(Break::CutOff(claimed))).await;
                    }
                    continue;
                }
                return self.verification(end, broken).await;
            }
        }
    }

    fn check(&self, end: Seal, stored: &StoredRecord) -> Result<Seal, Break> {
        let next = self.next(end, &stored.record);
        // Records from before the master key was renewed are chained with a key that may have leaked, but
        // how they ended is known.
        let known = self.sealer.known_end();
        let is_known_otherwise = next.sequence == known.sequence && next != known;
        match stored.seal {
            Some(seal) if seal == next && !is_known_otherwise => Ok(next),
            Some(seal) if seal.sequence != next.sequence => Err(Break::Missing(next.sequence)),
            _ => Err(Break::Changed(next.sequence, stored.record.id)),
        }
    }

    async fn verification(
        &self,
        end: Seal,
        broken: Option<Break>,
    ) -> Result<Verification, StoreError> {
        let (unsealed, _) = self.store.unsealed_records(PAGE).await?;
        Ok(Verification {
            end,
            unsealed: unsealed.len() as u64,
            broken,
        })
    }
}
