//! Storage and sealing of the audit log.

use std::sync::Arc;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::audit::{AuditKind, AuditRecord, ChainHash, RecordMac, Seal, StoredRecord};
use crate::domain::id::{AuditId, ClientId, SessionId, UserId};

/// Which records are wanted; every member narrows.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Records of this kind.
    pub kind: Option<AuditKind>,
    /// Records about this person.
    pub user: Option<UserId>,
    /// Records about this client.
    pub client: Option<ClientId>,
    /// Records about this session.
    pub session: Option<SessionId>,
}

/// Storage of the audit log.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Names who proves records; called once, before the first record is written.
    fn prove_records_with(&self, sealer: Arc<dyn ChainSealer>);
    /// Writes a record of something that changed nothing else.
    async fn record(&self, record: &AuditRecord) -> Result<(), StoreError>;
    /// A page of records, newest first, older than `before`.
    async fn list_audit(
        &self,
        filter: &AuditFilter,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<StoredRecord>, StoreError>;
    /// Sealed records in the order of the chain, after a number.
    async fn sealed_records(&self, after: i64, limit: u32)
    -> Result<Vec<StoredRecord>, StoreError>;
    /// Records that are not sealed yet, oldest first, and the end of the chain.
    async fn unsealed_records(&self, limit: u32) -> Result<(Vec<AuditRecord>, Seal), StoreError>;
    /// Seals records if the chain still ends at `seen`. `false` when another replica was first.
    async fn seal_records(&self, seals: &[(AuditId, Seal)], seen: Seal)
    -> Result<bool, StoreError>;
}

/// The keyed hash of the chain.
pub trait ChainSealer: Send + Sync {
    /// The hash that follows `before` for a record.
    fn link(&self, before: Seal, record: &AuditRecord) -> ChainHash;
    /// A place that the chain has certainly come to: where it ended when the master key was last
    /// renewed.
    fn known_end(&self) -> Seal;
    /// The keyed digest of a record alone.
    fn mac(&self, record: &AuditRecord) -> RecordMac;
}
