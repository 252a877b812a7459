//! An empty database for one test.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tokensmith::domain::ports::Store;
use tokensmith::store::{self, StoreLimits};
use tokensmith::telemetry::metrics::StoreMetrics;

use super::postgres;
use super::secrets::{Place, Secrets, dump};

/// A database of its own for each test, and a directory for keys.
pub(crate) struct Database {
    /// `sqlite:…` or `postgres://…`
    pub(crate) url: String,
    /// Keys and data; removed with the test.
    pub(crate) home: Arc<Home>,
    /// What has gone through the processes on this database.
    pub(crate) secrets: Secrets,
}

/// The directory of a database, kept by it and by every process on it. When the last of them is gone,
/// the database is searched for secrets.
pub(crate) struct Home {
    directory: TempDir,
    url: String,
    secrets: Secrets,
}

impl Database {
    /// An SQLite file that does not exist yet.
    pub(crate) fn sqlite() -> Self {
        let home = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/test.db", home.path().display());
        Self::in_home(url, home)
    }

    /// An empty PostgreSQL database; `None` where there is no PostgreSQL.
    pub(crate) async fn postgres() -> Option<Self> {
        let url = postgres::new_database().await?;
        Some(Self::at(url))
    }

    /// A database that a test has made.
    pub(crate) fn at(url: String) -> Self {
        Self::in_home(url, tempfile::tempdir().unwrap())
    }

    fn in_home(url: String, directory: TempDir) -> Self {
        let secrets = Secrets::default();
        let home = Home {
            directory,
            url: url.clone(),
            secrets: secrets.clone(),
        };
        Self {
            url,
            home: Arc::new(home),
            secrets,
        }
    }

    /// The store on this database, in this process.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        let limits = StoreLimits {
            connections: 5,
            timeout: Duration::from_secs(5),
        };
        store::open(&self.url.parse().unwrap(), limits, StoreMetrics::default())
            .await
            .unwrap()
    }

    /// Runs a statement past the service, as somebody with access to the database could.
    pub(crate) async fn execute(&self, statement: &'static str) {
        if self.url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            connection.execute(statement).await.unwrap();
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            connection.execute(statement).await.unwrap();
        }
    }

    /// The variables that point a process at this database.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("TOKENSMITH_DATABASE_URL", self.url.clone()),
            (
                "TOKENSMITH_KEYS_DIR",
                self.home.path().join("keys").display().to_string(),
            ),
            (
                "TOKENSMITH_DATA_DIR",
                self.home.path().join("data").display().to_string(),
            ),
        ]
    }
}

impl Home {
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Without a secret it is a test of the store, which no process has used.
        if std::thread::panicking() || self.secrets.is_empty() {
            return;
        }
        if let Ok(key) = std::fs::read_to_string(self.path().join("keys/master.key")) {
            self.secrets.note("the master key", key.trim());
        }
        if let Some(dump) = dump(&self.url) {
            self.secrets.assert_none_in(Place::Database, &dump);
        }
    }
}
