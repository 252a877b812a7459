//! All clients in memory. One takes about a kilobyte (docs/decisions/0004).

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use chrono::DurationRound;
use chrono::TimeDelta;

use crate::domain::Timestamp;
use crate::domain::algorithm::Algorithm;
use crate::domain::client::Client;
use crate::domain::id::{ClientId, SecretId};
use crate::domain::ports::{ClientDirectory, ClientState, Store, StoreError, Version};

/// How many changed clients are read at a time.
const PAGE: u32 = 1_000;

/// The clients as this replica knows them.
#[derive(Default)]
pub struct ClientCache {
    clients: RwLock<HashMap<ClientId, Arc<Client>>>,
    seen: AtomicI64,
    /// When each secret was last used, to the minute, since that was last written down.
    used_secrets: Mutex<HashMap<SecretId, Timestamp>>,
}

impl ClientCache {
    /// The version up to which changes are known.
    pub(super) fn seen(&self) -> Version {
        Version(self.seen.load(Ordering::Acquire))
    }

    /// Reads the changes up to `current`, a version that was read before.
    pub(super) async fn read_changes(
        &self,
        store: &dyn Store,
        current: Version,
    ) -> Result<(), StoreError> {
        if current < self.seen() {
            // A backup was restored under this process: what is known is from another future.
            self.clients
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .clear();
            self.seen.store(0, Ordering::Release);
        }
        loop {
            let seen = self.seen();
            let (changes, complete_up_to) = store.clients_changed_since(seen, PAGE).await?;
            if changes.is_empty() {
                // Acts that changed nothing have taken numbers, too.
                self.seen.fetch_max(current.0, Ordering::AcqRel);
                return Ok(());
            }
            {
                let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
                for change in changes {
                    match change {
                        ClientState::Present(client) => {
                            clients.insert(client.id.clone(), Arc::from(client));
                        }
                        ClientState::Gone(id) => {
                            clients.remove(&id);
                        }
                    }
                }
            }
            self.seen.fetch_max(complete_up_to.0, Ordering::AcqRel);
        }
    }

    /// The algorithms that clients have chosen, and the default.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        Algorithm::ALL
            .into_iter()
            .filter(|algorithm| {
                *algorithm == Algorithm::default()
                    || clients
                        .values()
                        .any(|client| client.metadata.access_token_alg == *algorithm)
            })
            .collect()
    }

    /// Takes back uses that could not be written down.
    pub(super) fn restore_used_secrets(&self, unwritten: Vec<(SecretId, Timestamp)>) {
        let mut used = self
            .used_secrets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (secret, minute) in unwritten {
            let known = used.entry(secret).or_insert(minute);
            *known = minute.max(*known);
        }
    }

    /// Takes the secret uses that are not written down yet.
    pub(super) fn take_used_secrets(&self) -> Vec<(SecretId, Timestamp)> {
        let mut used = self
            .used_secrets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        used.drain().collect()
    }
}

impl ClientDirectory for ClientCache {
    fn find_client(&self, id: &ClientId) -> Option<Arc<Client>> {
        self.clients
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    fn note_secret_use(&self, secret: SecretId, now: Timestamp) {
        let minute = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
        self.used_secrets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(secret, minute);
    }
}
