//! Sessions that are looked for at the same time are read together: the way to the database and back costs more
//! than a row (docs/decisions/0023).

use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::gate::StoreLimits;
use super::sql_store::Database;
use super::together::Sizes;
use super::transitions::sessions::{find_session, find_sessions};
use crate::domain::id::SessionId;
use crate::domain::ports::{StoreError, StoredSession};

/// How many statements may be under way. Who comes first goes alone, and who comes while so many are gone
/// goes together.
const UNDER_WAY: usize = 4;
/// How many may wait; no more are let through to the database at all.
const QUEUE: usize = 1_024;

/// Where readers of sessions meet.
pub(super) struct SessionReads<D> {
    database: Arc<D>,
    turns: Arc<Semaphore>,
    waiting: mpsc::Sender<Wanted>,
    patience: Duration,
}

/// A session that somebody waits for.
struct Wanted {
    id: SessionId,
    found: oneshot::Sender<Option<StoredSession>>,
}

impl<D: Database> SessionReads<D> {
    pub(super) fn of(database: &Arc<D>, limits: StoreLimits) -> Self {
        let turns = Arc::new(Semaphore::new(UNDER_WAY));
        let (waiting, wanted) = mpsc::channel(QUEUE);
        // Half of the time that everybody has: then there is some left to ask alone.
        let patience = limits.timeout / 2;
        let company = Company {
            database: Arc::downgrade(database),
            turns: Arc::clone(&turns),
            patience,
        };
        tokio::spawn(company.read(wanted));
        Self {
            database: Arc::clone(database),
            turns,
            waiting,
            patience,
        }
    }

    pub(super) async fn find(&self, id: SessionId) -> Result<Option<StoredSession>, StoreError> {
        if let Ok(turn) = self.turns.try_acquire() {
            let mut read = pin!(self.find_alone(id));
            if let Ok(found) = timeout(self.patience, read.as_mut()).await {
                return found;
            }
            // A connection that has died without a word does not keep those who come next.
            drop(turn);
            return read.await;
        }
        let (found, answer) = oneshot::channel();
        if self.waiting.send(Wanted { id, found }).await.is_ok()
            && let Ok(found) = answer.await
        {
            return Ok(found);
        }
        // It could not be read in company: alone it is told why.
        self.find_alone(id).await
    }

    async fn find_alone(&self, id: SessionId) -> Result<Option<StoredSession>, StoreError> {
        let read = self
            .database
            .read(move |connection| Box::pin(async move { find_session(connection, id).await }));
        read.await
    }
}

/// Reads what waits.
struct Company<D> {
    /// The store ends when whoever uses it is done, and not when this is.
    database: Weak<D>,
    turns: Arc<Semaphore>,
    patience: Duration,
}

impl<D: Database> Company<D> {
    /// As long as anybody may come.
    async fn read(self, mut waiting: mpsc::Receiver<Wanted>) {
        while let Some(first) = waiting.recv().await {
            let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else {
                return;
            };
            let Some(database) = self.database.upgrade() else {
                return;
            };
            // Whoever has come until now, and has not given up: they are told what is so after they have asked.
            let others = std::iter::from_fn(|| waiting.try_recv().ok());
            let together: Vec<Wanted> = std::iter::once(first)
                .chain(others)
                .filter(|one| !one.found.is_closed())
                .take(Sizes::MOST)
                .collect();
            let patience = self.patience;
            tokio::spawn(async move {
                let _turn = turn;
                let _gave_up = timeout(patience, read_together(database, together)).await;
            });
        }
    }
}

/// Who gets no answer here asks alone.
async fn read_together<D: Database>(database: Arc<D>, together: Vec<Wanted>) {
    let mut ids: Vec<_> = together.iter().map(|one| one.id).collect();
    if ids.is_empty() {
        return;
    }
    ids.sort_unstable();
    ids.dedup();
    let read = database
        .read(move |connection| Box::pin(async move { find_sessions(connection, &ids).await }));
    if let Ok(found) = read.await {
        for Wanted { id, found: reply } in together {
            // It may have gone away meanwhile.
            let _gone = reply.send(found.get(&id).cloned());
        }
    }
}
