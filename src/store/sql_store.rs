//! [`Store`] over either database: names the transition, counts it, and maps its errors.

/// Runs a transition under its own name. Its arguments are owned, because the writer of SQLite runs
/// it on another task.
macro_rules! run {
    ($store:ident.$how:ident, $module:ident::$name:ident($($argument:expr),*)) => {
        $store
            .$how(stringify!($name), move |connection| {
                Box::pin(async move { $module::$name(connection, $($argument),*).await })
            })
            .await
    };
}

mod browser;
mod fleet;
mod master_key;
mod people;
mod revocations;

use std::future::Future;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::connection::Connection;
use super::error::StatementError;
use super::gate::{Gate, StoreLimits, pass_long, pass_thorough};
use super::session_reads::SessionReads;
use super::transitions;
use crate::domain::Timestamp;
use crate::domain::audit::AuditRecord;
use crate::domain::client::Client;
use crate::domain::id::{ClientId, SecretId};
use crate::domain::key::SigningKey;
use crate::domain::ports::{
    ChainSealer, ClientChange, ClientState, KeyTransition, MasterKeyFingerprint, NewClient,
    PoolUse, Rotation, SecretRotation, SecretRotationOrder, Store, StoreError, Version, Versions,
};
use crate::domain::revocation::StatusIndex;
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

    /// Whether several servers may share it.
    const HAS_REPLICAS: bool;

    /// Runs the work in a transaction and commits it.
    fn write<T: Send + 'static>(
        &self,
        work: impl Work<Self::Connection, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// As [`Self::write`], for work that may take minutes.
    fn write_long<T: Send + 'static>(
        &self,
        work: impl Work<Self::Connection, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Runs work that is one statement, which needs no transaction around it.
    fn write_one<T: Send + 'static>(
        &self,
        work: impl Work<Self::Connection, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Moves a session's refresh token: the one write that is as frequent as requests are.
    fn rotate(&self, rotation: Rotation) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Runs work that changes nothing.
    fn read<T: Send + 'static>(
        &self,
        work: impl Work<Self::Connection, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// The clock of the database server, where it has its own.
    fn time(&self) -> impl Future<Output = Result<Option<Timestamp>, StoreError>> + Send;

    /// Wakes the other servers.
    fn wake_replicas(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Waits until another server has woken this one.
    fn woken(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    fn pool_use(&self) -> PoolUse;

    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// A [`Store`] over a [`Database`].
pub(super) struct SqlStore<D> {
    database: Arc<D>,
    session_reads: SessionReads<D>,
    reads: Gate,
    writes: Gate,
    metrics: StoreMetrics,
    sealer: OnceLock<Arc<dyn ChainSealer>>,
}

impl<D: Database> SqlStore<D> {
    pub(super) fn new(database: D, limits: StoreLimits, metrics: StoreMetrics) -> Self {
        let database = Arc::new(database);
        Self {
            session_reads: SessionReads::of(&database, limits),
            database,
            reads: Gate::new(limits.timeout),
            writes: Gate::new(limits.timeout),
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
        self.writes.pass(self.database.write(work)).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<bool, StoreError> {
        self.metrics.count("rotate_session");
        self.writes.pass(self.database.rotate(rotation)).await
    }

    async fn write_one<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Work<D::Connection, T>,
    ) -> Result<T, StoreError> {
        self.metrics.count(operation);
        self.writes.pass(self.database.write_one(work)).await
    }

    /// For work on all that a person has.
    async fn write_thorough<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Work<D::Connection, T>,
    ) -> Result<T, StoreError> {
        self.metrics.count(operation);
        pass_thorough(self.database.write_long(work)).await
    }

    /// For work on very many rows.
    async fn write_long<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Work<D::Connection, T>,
    ) -> Result<T, StoreError> {
        self.metrics.count(operation);
        pass_long(self.database.write_long(work)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Work<D::Connection, T>,
    ) -> Result<T, StoreError> {
        self.metrics.count(operation);
        self.reads.pass(self.database.read(work)).await
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
        run!(self.write, transitions::create_client(&new, &record))
    }

    async fn find_client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        let id = id.clone();
        run!(self.read, transitions::find_client(&id))
    }

    async fn list_clients(
        &self,
        after: Option<&ClientId>,
        limit: u32,
    ) -> Result<Vec<Client>, StoreError> {
        let after = after.cloned();
        run!(self.read, transitions::list_clients(after.as_ref(), limit))
    }

    async fn clients_changed_since(
        &self,
        seen: Version,
        limit: u32,
    ) -> Result<(Vec<ClientState>, Version), StoreError> {
        run!(self.read, transitions::clients_changed_since(seen, limit))
    }

    async fn disable_client(
        &self,
        id: &ClientId,
        record: &AuditRecord,
    ) -> Result<ClientChange, StoreError> {
        let (id, record) = (id.clone(), self.proven(record));
        run!(self.write, transitions::disable_client(&id, &record))
    }

    async fn enable_client(
        &self,
        id: &ClientId,
        fresh: &[StatusIndex],
        record: &AuditRecord,
    ) -> Result<ClientChange, StoreError> {
        let (id, fresh, record) = (id.clone(), fresh.to_vec(), self.proven(record));
        run!(self.write, transitions::enable_client(&id, &fresh, &record))
    }

    async fn rotate_client_secret(
        &self,
        id: &ClientId,
        order: &SecretRotationOrder,
        record: &AuditRecord,
    ) -> Result<SecretRotation, StoreError> {
        let (id, order, record) = (id.clone(), order.clone(), self.proven(record));
        run!(
            self.write,
            transitions::rotate_client_secret(&id, &order, &record)
        )
    }

    async fn delete_client(
        &self,
        id: &ClientId,
        record: &AuditRecord,
    ) -> Result<ClientChange, StoreError> {
        let (id, record) = (id.clone(), self.proven(record));
        run!(self.write, transitions::delete_client(&id, &record))
    }

    async fn record_secret_use(&self, uses: &[(SecretId, Timestamp)]) -> Result<(), StoreError> {
        let uses = uses.to_vec();
        run!(self.write, transitions::record_secret_use(&uses))
    }

    async fn signing_keys(&self) -> Result<(Vec<SigningKey>, Version), StoreError> {
        run!(self.read, transitions::signing_keys())
    }

    async fn change_signing_keys(
        &self,
        transition: &KeyTransition,
        seen: Version,
        record: &AuditRecord,
    ) -> Result<bool, StoreError> {
        let (transition, record) = (transition.clone(), self.proven(record));
        run!(
            self.write,
            transitions::change_signing_keys(&transition, seen, &record)
        )
    }

    async fn versions(&self) -> Result<Versions, StoreError> {
        run!(self.read, transitions::versions())
    }

    async fn master_key_fingerprint(&self) -> Result<Option<MasterKeyFingerprint>, StoreError> {
        run!(self.read, transitions::master_key_fingerprint())
    }

    async fn claim_for_master_key(
        &self,
        fingerprint: MasterKeyFingerprint,
    ) -> Result<MasterKeyFingerprint, StoreError> {
        run!(self.write, transitions::claim_for_master_key(fingerprint))
    }

    async fn database_time(&self) -> Result<Option<Timestamp>, StoreError> {
        self.reads.pass(self.database.time()).await
    }

    fn pool_use(&self) -> PoolUse {
        self.database.pool_use()
    }

    async fn close(&self) {
        self.database.close().await;
    }
}
