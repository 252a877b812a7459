//! SQLite as a production store on one machine: write-ahead log, `synchronous = FULL`, one writer
//! that commits waiting transitions together, and a pool of readers.

mod checkpoints;
mod rotations;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use self::checkpoints::Checkpoints;
use self::rotations::WaitingRotation;
use self::writer::{Finished, Job, Request, Run, write_jobs};
use super::pool::{Keep, Pool};
use super::presence::{Company, Presence};
use super::sql_store::{Database, Work};
use super::{OpenError, StoreLimits};
use crate::domain::Timestamp;
use crate::domain::ports::{PoolUse, Rotation, StoreError};
use crate::telemetry::metrics::StoreMetrics;

/// How long a statement waits for another process (the command line beside a running server).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages that the writer keeps, in negative KiB: the upper levels of the trees, and what is written again and
/// again. Taken as they are used. Beyond that the cache of the operating system does as well: of ten million
/// sessions that come back by chance, no cache that fits into a process holds the next one.
const WRITER_CACHE: &str = "-16384";
/// The same for each reader; there are ten.
const READER_CACHE: &str = "-2048";
/// Pages in the log with which the writer no longer waits for others to move it.
const WRITER_CHECKPOINT: &str = "8000";
/// How many transitions may wait for the writer.
const QUEUE: usize = 1024;
pub(super) struct Sqlite {
    readers: Pool<SqliteConnection>,
    writer: mpsc::Sender<Request>,
    _presence: Presence,
}

impl Sqlite {
    pub(super) async fn open(
        path: &Path,
        company: Company,
        limits: StoreLimits,
        metrics: StoreMetrics,
    ) -> Result<Self, OpenError> {
        check_place(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let failed = |error: sqlx::Error| {
            OpenError(format!(
                "cannot open the database {}: {error}",
                path.display()
            ))
        };
        create_private_file(path).map_err(|error| {
            OpenError(format!(
                "cannot open the database {}: {error}",
                path.display()
            ))
        })?;
        let presence = Presence::at(path, company)?;
        migrate(path, &options).await?;
        let moving = SqliteConnection::connect_with(&options).await;
        let checkpoints = Checkpoints::by(moving.map_err(failed)?);
        let writing = options
            .clone()
            .pragma("cache_size", WRITER_CACHE)
            .pragma("wal_autocheckpoint", WRITER_CHECKPOINT);
        let connection = SqliteConnection::connect_with(&writing)
            .await
            .map_err(failed)?;
        let reading = options
            .pragma("query_only", "ON")
            .pragma("cache_size", READER_CACHE);
        let readers = Pool::of(reading, limits)?;
        let (writer, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(write_jobs(connection, checkpoints, jobs, metrics));
        Ok(Self {
            readers,
            writer,
            _presence: presence,
        })
    }

    async fn ask_writer(&self, request: Request) -> Result<(), StoreError> {
        let sent = self.writer.send(request).await;
        sent.map_err(|_| writer_stopped())
    }

    /// Hands a transition to the writer and waits until it is committed.
    async fn submit<T: Send + 'static>(
        &self,
        work: impl Work<SqliteConnection, T>,
        is_one_statement: bool,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let run: Run = Box::new(move |connection| {
            Box::pin(async move {
                // Whoever has given up has said so to somebody, who may try again meanwhile.
                if sender.is_closed() {
                    return Finished::nothing();
                }
                let outcome = work(connection).await;
                Finished {
                    keep: outcome.is_ok(),
                    reply: Box::new(move |committed| {
                        let outcome = outcome.map_err(StoreError::from);
                        // A caller that went away does not undo what is committed.
                        let _gone =
                            sender.send(outcome.and_then(|value| committed.map(|()| value)));
                    }),
                }
            })
        });
        let job = Job {
            run,
            is_one_statement,
        };
        self.ask_writer(Request::Write(job)).await?;
        receiver.await.map_err(|_| writer_stopped())?
    }
}

fn writer_stopped() -> StoreError {
    StoreError::Unavailable("the database writer could not begin".to_owned())
}

impl Keep for SqliteConnection {
    /// It is in this process.
    const TESTED_AFTER: Option<Duration> = None;

    async fn prepare(&mut self, _limits: StoreLimits) -> Result<(), sqlx::Error> {
        Ok(())
    }
}

impl Database for Sqlite {
    type Connection = SqliteConnection;

    const HAS_REPLICAS: bool = false;

    async fn write<T: Send + 'static>(
        &self,
        work: impl Work<SqliteConnection, T>,
    ) -> Result<T, StoreError> {
        self.submit(work, false).await
    }

    async fn write_long<T: Send + 'static>(
        &self,
        work: impl Work<SqliteConnection, T>,
    ) -> Result<T, StoreError> {
        self.submit(work, false).await
    }

    async fn write_one<T: Send + 'static>(
        &self,
        work: impl Work<SqliteConnection, T>,
    ) -> Result<T, StoreError> {
        self.submit(work, true).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<bool, StoreError> {
        let (reply, receiver) = oneshot::channel();
        let waiting = WaitingRotation { rotation, reply };
        self.ask_writer(Request::Rotate(waiting)).await?;
        receiver.await.map_err(|_| writer_stopped())?
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl Work<SqliteConnection, T>,
    ) -> Result<T, StoreError> {
        let read = async |connection: &mut SqliteConnection| Ok(work(connection).await?);
        self.readers.borrow().await?.run(read).await
    }

    async fn time(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    async fn wake_replicas(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn woken(&self) -> Result<(), StoreError> {
        std::future::pending().await
    }

    fn pool_use(&self) -> PoolUse {
        self.readers.in_use()
    }

    async fn close(&self) {
        self.readers.close().await;
        let (closed, is_closed) = oneshot::channel();
        if self.writer.send(Request::Close(closed)).await.is_ok() {
            let _closed = is_closed.await;
        }
    }
}

/// Says in one line what is wrong with the place, before SQLite says it in its own words.
fn check_place(path: &Path) -> Result<(), OpenError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        let directory = directory.display();
        return Err(OpenError(format!(
            "the directory {directory} of the database does not exist; run: mkdir -p {directory}"
        )));
    }
    if path.is_dir() {
        return Err(OpenError(format!(
            "{} is a directory, not a database",
            path.display()
        )));
    }
    let read_only = std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().readonly());
    if read_only {
        return Err(OpenError(format!(
            "the database {path} is read-only; run: chmod u+w {path}",
            path = path.display()
        )));
    }
    Ok(())
}

/// Migrates under a lock on a file beside the database, which processes that start together share.
async fn migrate(path: &Path, options: &SqliteConnectOptions) -> Result<(), OpenError> {
    let failed = |error: &dyn std::fmt::Display| {
        OpenError(format!(
            "cannot migrate the database {}: {error}",
            path.display()
        ))
    };
    let _lock = lock(path.to_owned())
        .await
        .map_err(|error| failed(&error))?;
    let mut connection = SqliteConnection::connect_with(options)
        .await
        .map_err(|error| failed(&error))?;
    let mut migrations: Migrator = sqlx::migrate!("migrations/sqlite");
    migrations
        // During an upgrade, or back, a binary meets migrations that it does not know.
        .set_ignore_missing(true)
        .run(&mut connection)
        .await
        .map_err(|error| failed(&error))?;
    connection.close().await.map_err(|error| failed(&error))
}

/// Opens or makes a file that only its owner can read; SQLite gives its companions the same mode.
pub(super) fn create_private_file(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A file beside the database, the same one through whichever link that was named.
pub(super) fn beside(database: &Path, suffix: &str) -> std::io::Result<PathBuf> {
    let mut name = database.canonicalize()?.into_os_string();
    name.push(suffix);
    Ok(name.into())
}

/// Held until the file is dropped.
async fn lock(database: PathBuf) -> std::io::Result<std::fs::File> {
    let lock = tokio::task::spawn_blocking(move || {
        let file = create_private_file(&beside(&database, ".lock")?)?;
        file.lock()?;
        Ok(file)
    });
    lock.await.map_err(std::io::Error::other)?
}
