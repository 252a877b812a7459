//! [`RevocationStore`]: as in the module above, each method names its transition.

use async_trait::async_trait;

use super::{Database, SqlStore};
use crate::domain::Timestamp;
use crate::domain::audit::AuditRecord;
use crate::domain::ports::{LogState, RevocationStore, StoreError};
use crate::domain::revocation::{Batch, CutOffOrder, LogEnd, LogTerms, Revocation};
use crate::store::transitions::revocations;

#[async_trait]
impl<D: Database> RevocationStore for SqlStore<D> {
    async fn lease_status_numbers(&self, count: u32, now: Timestamp) -> Result<u64, StoreError> {
        run!(self.write, revocations::lease_status_numbers(count, now))
    }

    async fn enter_log(&self, now: Timestamp) -> Result<LogState, StoreError> {
        run!(self.write, revocations::enter_log(now, D::HAS_REPLICAS))
    }

    async fn keep_log_alive(&self, now: Timestamp) -> Result<(), StoreError> {
        if !D::HAS_REPLICAS {
            // Nobody else could know what is lost while this process is away.
            return Ok(());
        }
        run!(self.write_one, revocations::keep_log_alive(now))
    }

    async fn begin_epoch(&self, seen: u64, epoch: u64) -> Result<(), StoreError> {
        run!(self.write_one, revocations::begin_epoch(seen, epoch))
    }

    async fn log_state(&self) -> Result<LogState, StoreError> {
        run!(self.read, revocations::log_state())
    }

    async fn number_revocations(
        &self,
        seen: &LogEnd,
        terms: &LogTerms,
    ) -> Result<Option<(Batch, LogEnd)>, StoreError> {
        let (seen, terms) = (*seen, terms.clone());
        run!(self.write, revocations::number_revocations(&seen, &terms))
    }

    async fn batches_since(
        &self,
        epoch: u64,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<Batch>, StoreError> {
        run!(self.read, revocations::batches_since(epoch, seq, limit))
    }

    async fn numbered_revocations(
        &self,
        after: &[u8],
        limit: u32,
    ) -> Result<(Vec<(Timestamp, Revocation)>, Option<Vec<u8>>), StoreError> {
        let after = after.to_vec();
        run!(self.read, revocations::numbered_revocations(&after, limit))
    }

    async fn cut_off(&self, order: &CutOffOrder, record: &AuditRecord) -> Result<(), StoreError> {
        let (order, record) = (order.clone(), self.proven(record));
        run!(self.write_long, revocations::cut_off(&order, &record))
    }

    async fn sweep_revocations(
        &self,
        over_before: Timestamp,
        keys_over_before: Timestamp,
        limit: u32,
    ) -> Result<(), StoreError> {
        run!(
            self.write,
            revocations::sweep_revocations(over_before, keys_over_before, limit)
        )
    }

    async fn wake_replicas(&self) -> Result<(), StoreError> {
        self.writes.pass(self.database.wake_replicas()).await
    }

    async fn woken(&self) -> Result<(), StoreError> {
        self.database.woken().await
    }
}
