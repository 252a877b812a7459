//! Being told that a token was revoked: for connections that outlive the request that opened them.

use std::collections::HashMap;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

use super::state::{BitStatus, State};

/// A callback that waits for a token's revocation. Dropping it unregisters the callback.
#[derive(Debug)]
#[must_use = "dropping a registration unregisters its callback"]
pub struct Registration {
    registry: Weak<Registry>,
    id: u64,
}

/// A token's revocation, to be awaited.
#[derive(Debug)]
#[must_use = "a watch does nothing until it is awaited"]
pub struct RevocationWatch {
    signal: Arc<Signal>,
    /// Held for its drop.
    _registration: Registration,
}

/// What of a token decides whether it is revoked.
#[derive(Debug)]
pub(crate) struct Watched {
    /// List and index.
    pub(crate) bit: Option<(u32, u32)>,
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) kid: String,
    pub(crate) iat: i64,
}

pub(crate) type Callback = Box<dyn FnOnce() + Send>;

/// All callbacks that wait. Whoever takes one out calls it, so each is called once.
#[derive(Default)]
pub(crate) struct Registry(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    last_id: u64,
    by_id: HashMap<u64, (Watched, Callback)>,
    by_bit: HashMap<(u32, u32), Vec<u64>>,
}

#[derive(Debug, Default)]
struct Signal(Mutex<(bool, Option<Waker>)>);

impl RevocationWatch {
    pub(crate) fn new(register: impl FnOnce(Callback) -> Registration) -> Self {
        let signal = Arc::new(Signal::default());
        let to_set = Arc::clone(&signal);
        Self {
            signal,
            _registration: register(Box::new(move || to_set.set())),
        }
    }

    /// Waits until the token is revoked. Never ends when that does not happen: put it beside the
    /// connection's own work, and end the connection at the token's `exp` in any case.
    pub async fn revoked(self) {
        poll_fn(|context| {
            let mut state = self.signal.lock();
            if state.0 {
                return Poll::Ready(());
            }
            state.1 = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Signal {
    fn set(&self) {
        let waker = {
            let mut state = self.lock();
            state.0 = true;
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, (bool, Option<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    pub(crate) fn is_revoked(&self, state: &State) -> bool {
        let is_set = self
            .bit
            .is_some_and(|(list, idx)| state.status(list, idx) == BitStatus::Revoked);
        is_set
            || state
                .watermarks()
                .cut_off(&self.issuer, &self.client_id, &self.kid, self.iat)
    }
}

impl Registry {
    pub(crate) fn register(self: &Arc<Self>, watched: Watched, callback: Callback) -> Registration {
        let mut entries = self.lock();
        entries.last_id += 1;
        let id = entries.last_id;
        if let Some(bit) = watched.bit {
            entries.by_bit.entry(bit).or_default().push(id);
        }
        entries.by_id.insert(id, (watched, callback));
        Registration {
            registry: Arc::downgrade(self),
            id,
        }
    }

    /// Calls those that wait for one of these bits.
    pub(crate) fn bits_were_set(&self, list: u32, idx: &[u32]) {
        let callbacks: Vec<Callback> = {
            let mut entries = self.lock();
            if entries.by_bit.is_empty() {
                return;
            }
            let ids = idx
                .iter()
                .filter_map(|idx| entries.by_bit.get(&(list, *idx)));
            let ids: Vec<u64> = ids.flatten().copied().collect();
            ids.into_iter().filter_map(|id| entries.take(id)).collect()
        };
        call(callbacks);
    }

    /// Calls all whose token is revoked by now.
    pub(crate) fn state_has_changed(&self, state: &State) {
        let callbacks: Vec<Callback> = {
            let mut entries = self.lock();
            let revoked = entries.by_id.iter();
            let revoked = revoked.filter(|(_, (watched, _))| watched.is_revoked(state));
            let ids: Vec<u64> = revoked.map(|(id, _)| *id).collect();
            ids.into_iter().filter_map(|id| entries.take(id)).collect()
        };
        call(callbacks);
    }

    /// Calls this one if its token is revoked already.
    pub(crate) fn was_registered(&self, registration: &Registration, state: &State) {
        let callback = {
            let mut entries = self.lock();
            let is_revoked = entries
                .by_id
                .get(&registration.id)
                .is_some_and(|(watched, _)| watched.is_revoked(state));
            if is_revoked {
                entries.take(registration.id)
            } else {
                None
            }
        };
        call(callback);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn take(&mut self, id: u64) -> Option<Callback> {
        let (watched, callback) = self.by_id.remove(&id)?;
        if let Some(bit) = watched.bit
            && let Some(ids) = self.by_bit.get_mut(&bit)
        {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_bit.remove(&bit);
            }
        }
        Some(callback)
    }
}

impl Registration {
    /// For a verifier without revocation: its callback is never called.
    pub(crate) const fn inert() -> Self {
        Self {
            registry: Weak::new(),
            id: 0,
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.upgrade() {
            // Dropped after the lock is released: it may hold anything.
            let _callback = registry.lock().take(self.id);
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registry({} waiting)", self.lock().by_id.len())
    }
}

/// Outside the lock, because a callback may register another.
fn call(callbacks: impl IntoIterator<Item = Callback>) {
    for callback in callbacks {
        // A panic here would end the reader, and with it every other revocation.
        if catch_unwind(AssertUnwindSafe(callback)).is_err() {
            #[cfg(feature = "fetch")]
            tracing::error!("a callback for a revoked token panicked");
        }
    }
}
