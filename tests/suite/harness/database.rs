//! An empty database for one test.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tokensmith::domain::ports::Store;
use tokensmith::store::{self, StoreLimits};
use tokensmith::telemetry::metrics::StoreMetrics;

use super::postgres;

/// A database of its own for each test, and a directory for keys.
pub(crate) struct Database {
    /// `sqlite:…` or `postgres://…`
    pub(crate) url: String,
    /// Keys and data; removed with the test.
    pub(crate) home: TempDir,
}

impl Database {
    /// An SQLite file that does not exist yet.
    pub(crate) fn sqlite() -> Self {
        let home = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/test.db", home.path().display());
        Self { url, home }
    }

    /// An empty PostgreSQL database; `None` where there is no PostgreSQL.
    pub(crate) async fn postgres() -> Option<Self> {
        let url = postgres::new_database().await?;
        Some(Self {
            url,
            home: tempfile::tempdir().unwrap(),
        })
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
