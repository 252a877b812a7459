//! Moves the write-ahead log into the database file while the writer goes on.
//!
//! SQLite does that inside a commit, whenever the log has grown by a thousand pages: with millions of sessions
//! these are a thousand places of the file, and whoever waits for the writer waits for all of them
//! (docs/decisions/0025). A connection of its own does it beside the writer. The log begins anew only when nothing in
//! it is missing from the file, and meanwhile the writer has added some pages: so it ends what the other has
//! begun, and with that the file is made durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{Connection, SqliteConnection};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::store::sql;

/// After so many transitions, most of which change one page.
const AFTER: usize = 1_000;

/// The log, as the writer sees it.
pub(super) struct Checkpoints {
    /// Transitions since the last one was asked for.
    committed: usize,
    /// The other was asked, and what it did is not ended yet. Two at a time would find each other in the way, and
    /// the log would never begin anew.
    is_under_way: bool,
    asked: mpsc::Sender<()>,
    /// The other is done, or could do nothing.
    has_ended: Arc<AtomicBool>,
    other: JoinHandle<()>,
}

impl Checkpoints {
    /// Takes a connection that nobody else uses.
    pub(super) fn by(connection: SqliteConnection) -> Self {
        let (asked, requests) = mpsc::channel(1);
        let has_ended = Arc::new(AtomicBool::new(false));
        let other = tokio::spawn(move_when_asked(
            connection,
            requests,
            Arc::clone(&has_ended),
        ));
        Self {
            committed: 0,
            is_under_way: false,
            asked,
            has_ended,
            other,
        }
    }

    /// Called between two transactions of the writer.
    pub(super) async fn after(&mut self, transitions: usize, writer: &mut SqliteConnection) {
        self.committed += transitions;
        if self.has_ended.swap(false, Ordering::AcqRel) {
            checkpoint(writer).await;
            self.is_under_way = false;
        }
        if self.committed >= AFTER && !self.is_under_way && self.asked.try_send(()).is_ok() {
            self.is_under_way = true;
            self.committed = 0;
        }
    }

    /// Leaves the database to the writer.
    pub(super) async fn stop(self) {
        drop(self.asked);
        // It fails when it has panicked; then there is nothing to wait for.
        let _ended = self.other.await;
    }
}

async fn move_when_asked(
    mut connection: SqliteConnection,
    mut requests: mpsc::Receiver<()>,
    has_ended: Arc<AtomicBool>,
) {
    while requests.recv().await.is_some() {
        checkpoint(&mut connection).await;
        has_ended.store(true, Ordering::Release);
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "a connection to the database was not closed cleanly");
    }
}

/// Moves as much as can be moved without making anybody wait.
async fn checkpoint(connection: &mut SqliteConnection) {
    let done = sqlx::query(sql::SQLITE_CHECKPOINT)
        .execute(connection)
        .await;
    if let Err(error) = done {
        // Nothing is lost: it is all in the log, and the writer tries again when that has grown.
        tracing::warn!(%error, "the log of the database could not be moved into its file");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sqlx::ConnectOptions;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

    use super::*;

    const PAGE: u64 = 4_096;

    async fn connect(path: &Path) -> SqliteConnection {
        SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Off)
            .pragma("wal_autocheckpoint", "0")
            .connect()
            .await
            .unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_log_stays_short_under_a_writer_that_does_not_pause() {
        const PAGES: u64 = 8 * AFTER as u64;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data.db");
        let size = |name: &str| {
            std::fs::metadata(directory.path().join(name))
                .unwrap()
                .len()
        };
        let mut writer = connect(&path).await;
        let mut checkpoints = Checkpoints::by(connect(&path).await);
        run(&mut writer, "CREATE TABLE t (page BLOB)").await;
        for _ in 0..PAGES {
            run(&mut writer, "INSERT INTO t VALUES (zeroblob(4000))").await;
            checkpoints.after(1, &mut writer).await;
        }
        // Each transaction changes three pages: so it began anew, and more than once.
        let log = size("data.db-wal") / PAGE;
        assert!(log < 2 * PAGES, "{log} pages, and {PAGES} transactions");
        checkpoints.stop().await;
        writer.close().await.unwrap();
        assert!(size("data.db") > PAGES * PAGE);
        assert!(
            !directory.path().join("data.db-wal").exists(),
            "all is in the file"
        );
    }

    async fn run(connection: &mut SqliteConnection, statement: &'static str) {
        sqlx::query(statement).execute(connection).await.unwrap();
    }
}
