//! What one replica keeps in memory, and how it stays true: all clients, the parsed signing keys,
//! the published JWKS. Requests are answered from here without a database operation.

mod clients;
mod keys;
mod upkeep;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Mutex;

pub use clients::ClientCache;
pub use keys::{JwksDocument, KeyRing};

use crate::admin::AdminError;
use crate::admin::keys::KeyAdministration;
use crate::domain::Timestamp;
use crate::domain::algorithm::Algorithm;
use crate::domain::ports::{Clock, Store};
use crate::telemetry::metrics::Metrics;

/// The memory of one replica and the task that keeps it true.
#[derive(Clone)]
pub struct Replica {
    /// All clients.
    pub clients: Arc<ClientCache>,
    /// All keys.
    pub keys: Arc<KeyRing>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    administration: KeyAdministration,
    metrics: Metrics,
    /// When the database last answered, in milliseconds since the epoch.
    answered_at: Arc<AtomicI64>,
    /// Held while changes are read: of two readings at once the older one could win.
    refreshing: Arc<Mutex<()>>,
}

impl Replica {
    /// Makes the first key where there is none, and reads everything once.
    ///
    /// # Errors
    /// When the database does not answer or a key cannot be opened.
    pub async fn start(
        clients: Arc<ClientCache>,
        keys: Arc<KeyRing>,
        administration: KeyAdministration,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Result<Self, AdminError> {
        let replica = Self {
            clients,
            keys,
            store: Arc::clone(&administration.store),
            clock,
            administration,
            metrics,
            answered_at: Arc::default(),
            refreshing: Arc::default(),
        };
        replica
            .administration
            .ensure_signer(Algorithm::default())
            .await?;
        replica.refresh().await?;
        Ok(replica)
    }

    /// Reads what has changed since it was last read. Called after every change made here, so that
    /// the caller sees it at once.
    ///
    /// # Errors
    /// When the database does not answer or a key cannot be opened.
    pub async fn refresh(&self) -> Result<(), AdminError> {
        let _alone = self.refreshing.lock().await;
        let versions = self.store.versions().await?;
        let now = self.clock.now();
        self.answered_at
            .store(now.timestamp_millis(), Ordering::Relaxed);
        // Keys first: the key of an algorithm is made before the first client that needs it.
        if versions.keys > self.keys.seen() {
            let (keys, version) = self.store.signing_keys().await?;
            self.keys.replace(keys, version, now)?;
        }
        if versions.clients > self.clients.seen() {
            self.clients.read_changes(&*self.store).await?;
        }
        Ok(())
    }

    /// Brings the metrics about keys and connections up to date, before they are read.
    pub fn measure(&self) {
        self.keys.measure(&self.metrics.keys, self.clock.now());
        let pool = self.store.pool_use();
        self.metrics.store.set_pool(pool.open, pool.idle, pool.most);
    }

    /// Whether the database has answered within the last two seconds.
    #[must_use]
    pub fn database_answers(&self, now: Timestamp) -> bool {
        let answered_at = self.answered_at.load(Ordering::Relaxed);
        now.timestamp_millis() - answered_at < 2_000
    }
}
