//! What one replica keeps in memory, and how it stays true: all clients, the parsed signing keys,
//! the published JWKS, sessions that were used lately. Requests are answered from here without a database operation.

mod clients;
mod keys;
mod revocations;
mod sessions;
mod upkeep;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;
use tokio::time::timeout;

pub use clients::ClientCache;
pub use keys::{JwksDocument, KeyRing};
pub use revocations::RevocationLog;
pub use sessions::SessionCache;

use crate::accounts::trail::Trail;
use crate::admin::AdminError;
use crate::admin::keys::KeyAdministration;
use crate::domain::algorithm::Algorithm;
use crate::domain::ports::{Clock, Store, StoreError};
use crate::telemetry::metrics::Metrics;

/// How long one reading of the changes may take.
const DATABASE_PATIENCE: Duration = Duration::from_secs(5);

/// The memory of one replica and the task that keeps it true.
#[derive(Clone)]
pub struct Replica {
    /// All clients.
    pub clients: Arc<ClientCache>,
    /// All keys.
    pub keys: Arc<KeyRing>,
    /// Sessions that were used lately.
    pub sessions: Arc<SessionCache>,
    /// What was revoked.
    pub revocations: Arc<RevocationLog>,
    trail: Trail,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    administration: KeyAdministration,
    metrics: Metrics,
    /// When everything was last read; on the monotonic clock.
    complete_at: Arc<ArcSwapOption<Instant>>,
    /// Held while changes are read: of two readings at once the older one could win.
    refreshing: Arc<Mutex<()>>,
}

impl Replica {
    /// Makes the first key where there is none, and reads everything once.
    ///
    /// # Errors
    /// When the database does not answer or a key cannot be opened.
    pub async fn start(
        (keys, revocations): (Arc<KeyRing>, Arc<RevocationLog>),
        administration: KeyAdministration,
        trail: Trail,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Result<Self, AdminError> {
        let replica = Self {
            clients: Arc::default(),
            keys,
            sessions: Arc::default(),
            revocations,
            trail,
            store: Arc::clone(&administration.store),
            clock,
            administration,
            metrics,
            complete_at: Arc::default(),
            refreshing: Arc::default(),
        };
        replica
            .administration
            .ensure_signer(Algorithm::default())
            .await?;
        replica.refresh().await?;
        replica.revocations.start().await?;
        // So that the first reader finds one.
        replica.revocations.beat().await;
        Ok(replica)
    }

    /// Reads what has changed since it was last read, and publishes the keys of this instant.
    ///
    /// # Errors
    /// When the database does not answer within [`DATABASE_PATIENCE`]. Clients and keys are read
    /// independently: trouble with the one does not keep the other from being learnt.
    pub async fn refresh(&self) -> Result<(), AdminError> {
        // Alone: of two readings at once the older one could win.
        let _alone = self.refreshing.lock().await;
        let outcome = timeout(DATABASE_PATIENCE, self.read_changes()).await;
        self.keys.publish(self.clock.now());
        outcome.unwrap_or_else(|_| {
            let reason = "no answer within five seconds".to_owned();
            Err(AdminError::Store(StoreError::Unavailable(reason)))
        })?;
        self.complete_at.store(Some(Arc::new(Instant::now())));
        Ok(())
    }

    async fn read_changes(&self) -> Result<(), AdminError> {
        let versions = self.store.versions().await?;
        // Keys first: the key of an algorithm is made before the first client that needs it.
        let keys = if versions.keys == self.keys.seen() {
            Ok(())
        } else {
            self.store
                .signing_keys()
                .await
                .map(|(keys, version)| self.keys.replace(keys, version))
        };
        if versions.clients != self.clients.seen() {
            self.clients
                .read_changes(&*self.store, versions.clients)
                .await?;
        }
        Ok(keys?)
    }

    /// Reads what has just been changed here, so that the caller sees it at once. The change is
    /// committed; if it cannot be read now, it will be a moment later.
    pub async fn catch_up(&self) {
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "a change is committed but cannot be read back yet");
        }
    }

    /// Brings the metrics about keys and connections up to date, before they are read.
    pub fn measure(&self) {
        self.keys.measure(&self.metrics.keys, self.clock.now());
        let pool = self.store.pool_use();
        self.metrics.store.set_pool(pool.open, pool.idle, pool.most);
    }

    /// Whether everything in the database was last known within the last two seconds.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.complete_at
            .load()
            .as_deref()
            .is_some_and(|complete_at| complete_at.elapsed() < Duration::from_secs(2))
    }
}
