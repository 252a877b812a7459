//! [`FleetStore`]: as in the module above, each method names its transition.

use async_trait::async_trait;

use super::{Database, SqlStore};
use crate::domain::Timestamp;
use crate::domain::fleet::RunningReplica;
use crate::domain::id::ReplicaId;
use crate::domain::ports::{FleetStore, StoreError};
use crate::store::transitions::fleet;

#[async_trait]
impl<D: Database> FleetStore for SqlStore<D> {
    async fn note_replica(&self, replica: &RunningReplica) -> Result<(), StoreError> {
        if !D::HAS_REPLICAS {
            return Ok(());
        }
        let replica = replica.clone();
        run!(self.write_one, fleet::note_replica(&replica))
    }

    async fn forget_replica(&self, id: ReplicaId) -> Result<(), StoreError> {
        if !D::HAS_REPLICAS {
            return Ok(());
        }
        run!(self.write_one, fleet::forget_replica(id))
    }

    async fn running_replicas(&self, since: Timestamp) -> Result<Vec<RunningReplica>, StoreError> {
        run!(self.read, fleet::running_replicas(since))
    }
}
