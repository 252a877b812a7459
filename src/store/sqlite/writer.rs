//! The writer: one task that commits waiting transitions together.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::checkpoints::Checkpoints;
use super::rotations::{WaitingRotation, rotate_together};
use crate::domain::ports::StoreError;
use crate::store::error::StatementError;
use crate::store::sql;
use crate::telemetry::metrics::StoreMetrics;

/// How many transitions one commit takes along.
const BATCH: usize = 64;

/// One waiting transition.
pub(super) struct Job {
    pub(super) run: Run,
    /// Then SQLite itself undoes it when it fails, and it needs no savepoint.
    pub(super) is_one_statement: bool,
}

/// The transition runs inside the writer's transaction and leaves behind what to tell its caller
/// once that is committed.
pub(super) type Run =
    Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Finished> + Send>;

/// What the writer is asked for.
pub(super) enum Request {
    Write(Job),
    Rotate(WaitingRotation),
    /// Close the connection, which moves the log into the database file, and answer.
    Close(oneshot::Sender<()>),
}

pub(super) struct Finished {
    /// Whether its changes are to be committed.
    pub(super) keep: bool,
    pub(super) reply: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

impl Finished {
    /// Of a transition that nobody waits for any more.
    pub(super) fn nothing() -> Self {
        Self {
            keep: true,
            reply: Box::new(|_committed| ()),
        }
    }
}

/// The writer: takes whatever waits, runs it in one transaction, commits, and only then answers.
pub(super) async fn write_jobs(
    mut connection: SqliteConnection,
    mut checkpoints: Checkpoints,
    mut requests: mpsc::Receiver<Request>,
    metrics: StoreMetrics,
) {
    let mut waiting: Vec<Request> = Vec::with_capacity(BATCH);
    let mut patience = Patience::default();
    while requests.recv_many(&mut waiting, BATCH).await > 0 {
        patience.wait_for_company(&mut requests, &mut waiting).await;
        let mut batch = Batch::default();
        let mut close = None;
        for request in waiting.drain(..) {
            match request {
                Request::Write(job) => batch.jobs.push(job),
                Request::Rotate(rotation) => batch.rotations.push(rotation),
                Request::Close(closed) => close = Some(closed),
            }
        }
        let transitions = batch.jobs.len() + batch.rotations.len();
        // When it fails, the waiting callers learn that nothing happened, because their jobs are dropped.
        if let Err(error) = commit_together(&mut connection, batch, &metrics).await {
            tracing::warn!(error = %error, "the database writer could not begin or commit");
            // Fails when there is no transaction to undo.
            let _undone = run(&mut connection, sql::SQLITE_ROLLBACK).await;
        }
        checkpoints.after(transitions, &mut connection).await;
        if let Some(closed) = close {
            checkpoints.stop().await;
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "the database was not closed cleanly");
            }
            let _gone = closed.send(());
            return;
        }
    }
}

/// Decides whether a commit waits a moment for others.
///
/// A commit costs the same for one transition as for sixty. Under load, others are on their way
/// while one is written, and a millisecond of waiting takes them along; a caller that is alone
/// would wait for nobody. So the writer learns: when waiting brought company it waits again, and
/// when it did not, it does without for a while.
#[derive(Default)]
struct Patience {
    /// So many commits are made without waiting.
    impatient_for: u32,
}

impl Patience {
    /// How long others are waited for.
    const WAIT: Duration = Duration::from_millis(1);
    /// So much company makes waiting worth it.
    const WORTH_IT: usize = 4;
    /// How many commits go without waiting after it was not worth it.
    const RETRY_AFTER: u32 = 64;

    async fn wait_for_company(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        waiting: &mut Vec<Request>,
    ) {
        if self.impatient_for > 0 && waiting.len() < Self::WORTH_IT {
            self.impatient_for -= 1;
            return;
        }
        if waiting.len() < BATCH {
            // Asleep: to be woken by each that comes would cost more than what they are taken along for.
            tokio::time::sleep(Self::WAIT).await;
            while waiting.len() < BATCH {
                let Ok(request) = requests.try_recv() else {
                    break;
                };
                waiting.push(request);
            }
        }
        self.impatient_for = if waiting.len() >= Self::WORTH_IT {
            0
        } else {
            Self::RETRY_AFTER
        };
    }
}

/// What one commit makes durable.
#[derive(Default)]
struct Batch {
    jobs: Vec<Job>,
    rotations: Vec<WaitingRotation>,
}

async fn commit_together(
    connection: &mut SqliteConnection,
    batch: Batch,
    metrics: &StoreMetrics,
) -> Result<(), sqlx::Error> {
    let has_company = match batch.jobs.len() + batch.rotations.len() {
        0 => return Ok(()),
        transitions => transitions > 1,
    };
    run(connection, sql::SQLITE_BEGIN).await?;
    let rotated = rotate_together(connection, batch.rotations).await;
    // Single statements fail only when the disk is full or worse.
    let rotated = rotated.map_err(|error| match error {
        StatementError::Database(error) => error,
        StatementError::Unreadable(column) => sqlx::Error::ColumnNotFound(column.to_owned()),
    })?;
    let (finished, end) = run_jobs(connection, batch.jobs, has_company).await?;
    let committed = run(connection, end).await;
    let kept = finished.iter().filter(|outcome| outcome.keep).count() + rotated.len();
    match &committed {
        Ok(()) if kept > 0 => metrics.committed(kept as u64),
        Ok(()) => {}
        Err(_) => {
            // Fails when the error has already rolled back; then there is nothing left to do.
            let _already = run(connection, sql::SQLITE_ROLLBACK).await;
        }
    }
    let committed = || match &committed {
        Ok(()) => Ok(()),
        Err(error) => Err(StoreError::Unavailable(error.to_string())),
    };
    for outcome in finished {
        (outcome.reply)(committed());
    }
    for rotation in rotated {
        rotation.reply(committed());
    }
    Ok(())
}

/// Answers what became of the transitions, and how theirs is to end.
async fn run_jobs(
    connection: &mut SqliteConnection,
    jobs: Vec<Job>,
    has_company: bool,
) -> Result<(Vec<Finished>, &'static str), sqlx::Error> {
    // With company, each gets a savepoint, so that one that fails takes no other along; alone, it
    // is the whole transaction.
    let mut finished = Vec::with_capacity(jobs.len());
    let mut end = sql::SQLITE_COMMIT;
    for job in jobs {
        let has_savepoint = has_company && !job.is_one_statement;
        if has_savepoint {
            run(connection, sql::SQLITE_SAVEPOINT).await?;
        }
        let outcome = (job.run)(connection).await;
        match (outcome.keep, has_savepoint) {
            (true, true) => run(connection, sql::SQLITE_RELEASE_SAVEPOINT).await?,
            (false, true) => {
                run(connection, sql::SQLITE_ROLLBACK_TO_SAVEPOINT).await?;
                run(connection, sql::SQLITE_RELEASE_SAVEPOINT).await?;
            }
            (false, false) if !has_company => end = sql::SQLITE_ROLLBACK,
            (false, false) => {
                // A single statement fails only when the disk is full or worse, and then SQLite may
                // have given up the whole transaction: nobody may go on in it.
                return Err(sqlx::Error::WorkerCrashed);
            }
            (true, false) => {}
        }
        finished.push(outcome);
    }
    Ok((finished, end))
}

async fn run(
    connection: &mut SqliteConnection,
    statement: &'static str,
) -> Result<(), sqlx::Error> {
    sqlx::query(statement).execute(connection).await.map(|_| ())
}
