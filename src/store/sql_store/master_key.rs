//! [`MasterKeyStore`]: as in the module above, each method names its transition.

use async_trait::async_trait;

use super::{Database, SqlStore};
use crate::domain::ports::{
    MasterKeyRenewal, MasterKeyStore, RenewalOutcome, RenewalRecords, SealedInheritance, Store,
    StoreError,
};
use crate::store::transitions::master_key;

#[async_trait]
impl<D: Database> MasterKeyStore for SqlStore<D> {
    async fn inheritance(&self) -> Result<Option<SealedInheritance>, StoreError> {
        run!(self.read, master_key::inheritance())
    }

    async fn renew_master_key(
        &self,
        renewal: &MasterKeyRenewal,
    ) -> Result<RenewalOutcome, StoreError> {
        // By the clock by which replicas say that they are there.
        let now = self.database_time().await?;
        let now = now.unwrap_or(renewal.records.renewed.at);
        let mut renewal = renewal.clone();
        let RenewalRecords {
            renewed,
            keys,
            cut_off,
        } = &mut renewal.records;
        for record in [renewed, keys, cut_off] {
            *record = self.proven(record);
        }
        run!(self.write_long, master_key::renew_master_key(&renewal, now))
    }
}
