//! [`Store`] over either database: names the transition, counts it, and maps its errors.

mod people;

use std::future::Future;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::connection::Connection;
use super::error::StatementError;
use super::transitions;
use crate::domain::Timestamp;
use crate::domain::audit::AuditRecord;
use crate::domain::client::Client;
use crate::domain::id::{ClientId, SecretId};
use crate::domain::key::SigningKey;
use crate::domain::ports::{
    ChainSealer, ClientChange, ClientState, KeyTransition, MasterKeyFingerprint, NewClient,
    PoolUse, SecretRotation, SecretRotationOrder, Store, StoreError, Version, Versions,
};
use crate::telemetry::metrics::StoreMetrics;

/// The work of one transition on a connection.
pub(super) trait Work<C, T>:
    for<'c> FnOnce(&'c mut C) -> BoxFuture<'c, Result<T, StatementError>> + Send + 'static
{
}

impl<C, T, F> Work<C, T> for F where
    F: for<'c> FnOnce(&'c mut C) -> BoxFuture<'c, Result<T, StatementError>> + Send + 'static
{
}

/// What a database adds to the transitions.
pub(super) trait Database: Send + Sync + 'static {
    type Connection: Connection + 'static;

    /// Runs the work in a transaction and commits it.
    fn write<T: Send + 'static>(
        &self,
        work: impl Work<Self::Connection, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Runs work that is one statement, which needs no transaction around it.
    fn write_one<T: Send + 'static>(
        &self,
        work: impl Work<Self::Connection, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Runs work that changes nothing.
    fn read<T: Send + 'static>(
        &self,
        work: impl Work<Self::Connection, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// The clock of the database server, where it has its own.
    fn time(&self) -> impl Future<Output = Result<Option<Timestamp>, StoreError>> + Send;

    fn pool_use(&self) -> PoolUse;

    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// A [`Store`] over a [`Database`].
pub(super) struct SqlStore<D> {
    database: D,
    metrics: StoreMetrics,
    sealer: OnceLock<Arc<dyn ChainSealer>>,
}

impl<D: Database> SqlStore<D> {
    pub(super) fn new(database: D, metrics: StoreMetrics) -> Self {
        Self {
            database,
            metrics,
            sealer: OnceLock::new(),
        }
    }

    /// A record with its proof.
    fn proven(&self, record: &AuditRecord) -> AuditRecord {
        let mac = self.sealer.get().map(|sealer| sealer.mac(record));
        AuditRecord {
            mac,
            ..record.clone()
        }
    }

    async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Work<D::Connection, T>,
    ) -> Result<T, StoreError> {
        self.metrics.count(operation);
        self.database.write(work).await
    }

    async fn write_one<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Work<D::Connection, T>,
    ) -> Result<T, StoreError> {
        self.metrics.count(operation);
        self.database.write_one(work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Work<D::Connection, T>,
    ) -> Result<T, StoreError> {
        self.metrics.count(operation);
        self.database.read(work).await
    }
}

#[async_trait]
impl<D: Database> Store for SqlStore<D> {
    async fn create_client(
        &self,
        new: &NewClient,
        record: &AuditRecord,
    ) -> Result<ClientChange, StoreError> {
        let (new, record) = (new.clone(), self.proven(record));
        self.write("create_client", move |connection| {
            Box::pin(async move { transitions::create_client(connection, &new, &record).await })
        })
        .await
    }

    async fn find_client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        let id = id.clone();
        self.read("find_client", move |connection| {
            Box::pin(async move { transitions::find_client(connection, &id).await })
        })
        .await
    }

    async fn list_clients(
        &self,
        after: Option<&ClientId>,
        limit: u32,
    ) -> Result<Vec<Client>, StoreError> {
        let after = after.cloned();
        self.read("list_clients", move |connection| {
            Box::pin(
                async move { transitions::list_clients(connection, after.as_ref(), limit).await },
            )
        })
        .await
    }

    async fn clients_changed_since(
        &self,
        seen: Version,
        limit: u32,
    ) -> Result<(Vec<ClientState>, Version), StoreError> {
        self.read("clients_changed_since", move |connection| {
            Box::pin(transitions::clients_changed_since(connection, seen, limit))
        })
        .await
    }

    async fn set_client_enabled(
        &self,
        id: &ClientId,
        enabled: bool,
        record: &AuditRecord,
    ) -> Result<ClientChange, StoreError> {
        let (id, record) = (id.clone(), self.proven(record));
        self.write("set_client_enabled", move |connection| {
            Box::pin(async move {
                transitions::set_client_enabled(connection, &id, enabled, &record).await
            })
        })
        .await
    }

    async fn rotate_client_secret(
        &self,
        id: &ClientId,
        order: &SecretRotationOrder,
        record: &AuditRecord,
    ) -> Result<SecretRotation, StoreError> {
        let (id, order, record) = (id.clone(), order.clone(), self.proven(record));
        self.write("rotate_client_secret", move |connection| {
            Box::pin(async move {
                transitions::rotate_client_secret(connection, &id, &order, &record).await
            })
        })
        .await
    }

    async fn delete_client(
        &self,
        id: &ClientId,
        record: &AuditRecord,
    ) -> Result<ClientChange, StoreError> {
        let (id, record) = (id.clone(), self.proven(record));
        self.write("delete_client", move |connection| {
            Box::pin(async move { transitions::delete_client(connection, &id, &record).await })
        })
        .await
    }

    async fn record_secret_use(&self, uses: &[(SecretId, Timestamp)]) -> Result<(), StoreError> {
        let uses = uses.to_vec();
        self.write("record_secret_use", move |connection| {
            Box::pin(async move { transitions::record_secret_use(connection, &uses).await })
        })
        .await
    }

    async fn signing_keys(&self) -> Result<(Vec<SigningKey>, Version), StoreError> {
        self.read("signing_keys", |connection| {
            Box::pin(transitions::signing_keys(connection))
        })
        .await
    }

    async fn change_signing_keys(
        &self,
        transition: &KeyTransition,
        seen: Version,
        record: &AuditRecord,
    ) -> Result<bool, StoreError> {
        let (transition, record) = (transition.clone(), self.proven(record));
        self.write("change_signing_keys", move |connection| {
            Box::pin(async move {
                transitions::change_signing_keys(connection, &transition, seen, &record).await
            })
        })
        .await
    }

    async fn versions(&self) -> Result<Versions, StoreError> {
        self.read("versions", |connection| {
            Box::pin(transitions::versions(connection))
        })
        .await
    }

    async fn master_key_fingerprint(&self) -> Result<Option<MasterKeyFingerprint>, StoreError> {
        self.read("master_key_fingerprint", |connection| {
            Box::pin(transitions::master_key_fingerprint(connection))
        })
        .await
    }

    async fn claim_for_master_key(
        &self,
        fingerprint: MasterKeyFingerprint,
    ) -> Result<MasterKeyFingerprint, StoreError> {
        self.write("claim_for_master_key", move |connection| {
            Box::pin(transitions::claim_for_master_key(connection, fingerprint))
        })
        .await
    }

    async fn database_time(&self) -> Result<Option<Timestamp>, StoreError> {
        self.database.time().await
    }

    fn pool_use(&self) -> PoolUse {
        self.database.pool_use()
    }

    async fn close(&self) {
        self.database.close().await;
    }
}
