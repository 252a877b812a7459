//! The master key that the database belongs to, and its renewal.

use std::fmt;

use async_trait::async_trait;

use super::{KeyTransition, MasterKeyFingerprint, StoreError, Version};
use crate::domain::audit::{AuditRecord, Seal};
use crate::domain::revocation::CutOffOrder;

/// What lives on of former master keys, sealed under the present one.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedInheritance(pub Vec<u8>);

impl fmt::Debug for SealedInheritance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedInheritance(..)")
    }
}

/// All that changes when the master key is renewed.
#[derive(Clone, Debug)]
pub struct MasterKeyRenewal {
    /// Whose the database must still be.
    pub from: MasterKeyFingerprint,
    /// Whose it is afterwards.
    pub to: MasterKeyFingerprint,
    /// What lives on, sealed for the new one.
    pub inheritance: SealedInheritance,
    /// Where the audit log ends; everything up to there is sealed, and nothing is not.
    pub audit_end: Seal,
    /// The keys that the former master key has sealed go, and one that the new one has sealed comes.
    pub keys: KeyTransition,
    /// The version of the keys for which that was planned.
    pub keys_seen: Version,
    /// Everybody has to sign in again.
    pub cut_off: CutOffOrder,
    /// What is written down of it.
    pub records: RenewalRecords,
}

/// The records of a renewal, all of the same instant.
#[derive(Clone, Debug)]
pub struct RenewalRecords {
    /// That there is a new master key.
    pub renewed: AuditRecord,
    /// Which signing keys have come and gone.
    pub keys: AuditRecord,
    /// That everybody was signed out.
    pub cut_off: AuditRecord,
}

/// What became of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalOutcome {
    /// The database belongs to the new master key.
    Renewed {
        /// How many sessions were live, and are over.
        ended_sessions: u64,
    },
    /// A server is there, or was a moment ago. Nothing was changed.
    ServersAreThere,
    /// The database belongs to another master key than was thought. Nothing was changed.
    AnotherMasterKey,
    /// Keys were changed, or something was written to the audit log, since it was looked at. Nothing
    /// was changed.
    Overtaken,
}

/// Storage of what belongs to the master key.
#[async_trait]
pub trait MasterKeyStore: Send + Sync {
    /// What the present master key has inherited; `None` when it is the first.
    async fn inheritance(&self) -> Result<Option<SealedInheritance>, StoreError>;
    /// Hands the database over to another master key, in one transaction, if no server is there: all
    /// signing keys are revoked and all sessions and logins are over.
    async fn renew_master_key(
        &self,
        renewal: &MasterKeyRenewal,
    ) -> Result<RenewalOutcome, StoreError>;
}
