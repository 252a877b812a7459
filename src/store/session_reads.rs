//! Sessions that are looked for at the same time are read together: the way to the database and back costs more
//! than a row (docs/decisions/0023).

use std::sync::Arc;
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
const UNDER_WAY: usize = 2;
/// How many may wait; no more are let through to the database at all.
const QUEUE: usize = 1_024;

/// Where readers of sessions meet.
pub(super) struct SessionReads<D> {
    database: Arc<D>,
    turns: Arc<Semaphore>,
    waiting: mpsc::Sender<Wanted>,
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
        let company = Company {
            database: Arc::clone(database),
            turns: Arc::clone(&turns),
            limit: limits.timeout,
        };
        tokio::spawn(company.read(wanted));
        Self {
            database: Arc::clone(database),
            turns,
            waiting,
        }
    }

    pub(super) async fn find(&self, id: SessionId) -> Result<Option<StoredSession>, StoreError> {
        if let Ok(_turn) = self.turns.try_acquire() {
            return self.find_alone(id).await;
        }
        let (found, answer) = oneshot::channel();
        let _sent = self.waiting.send(Wanted { id, found }).await;
        match answer.await {
            Ok(found) => Ok(found),
            // It could not be read in company: alone it is told why.
            Err(_) => self.find_alone(id).await,
        }
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
    database: Arc<D>,
    turns: Arc<Semaphore>,
    limit: Duration,
}

impl<D: Database> Company<D> {
    /// As long as anybody may come.
    async fn read(self, mut waiting: mpsc::Receiver<Wanted>) {
        while let Some(first) = waiting.recv().await {
            let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else {
                return;
            };
            // Whoever has come until now, and has not given up: they are told what is so after they have asked.
            let others = std::iter::from_fn(|| waiting.try_recv().ok());
            let together: Vec<Wanted> = std::iter::once(first)
                .chain(others)
                .filter(|one| !one.found.is_closed())
                .take(Sizes::MOST)
                .collect();
            let read = read_together(Arc::clone(&self.database), together);
            let limit = self.limit;
            // A connection that has died without a word does not keep those who come next.
            tokio::spawn(async move {
                let _turn = turn;
                let _gave_up = timeout(limit, read).await;
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
