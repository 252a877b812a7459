//! Word of the servers that are at work.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::Timestamp;
use crate::domain::fleet::RunningReplica;
use crate::domain::id::ReplicaId;

/// Storage of who is at work. Where a database has one server at most, nothing is stored.
#[async_trait]
pub trait FleetStore: Send + Sync {
    /// Says that a replica is there.
    async fn note_replica(&self, replica: &RunningReplica) -> Result<(), StoreError>;
    /// Says that it has stopped.
    async fn forget_replica(&self, id: ReplicaId) -> Result<(), StoreError>;
    /// Who has said so since an instant, the longest at work first.
    async fn running_replicas(&self, since: Timestamp) -> Result<Vec<RunningReplica>, StoreError>;
}
