//! PostgreSQL: how users outgrow one machine. Any number of replicas share one database.

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection, Row};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::OpenError;
use super::location::DatabaseLocation;
use super::sql_store::{Database, Work};
use crate::domain::Timestamp;
use crate::domain::ports::{PoolUse, StoreError};

/// How long a request waits for a connection before it is told to come back later.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that has been idle for so long is tested before it is used.
const TESTED_AFTER: Duration = Duration::from_secs(1);

/// Where replicas wake each other. The words that are said there are empty: what there is to know is
/// in the tables, and who misses a word looks a moment later.
const CHANNEL: &str = "tokensmith_revocations";

pub(super) struct Postgres {
    pool: PgPool,
    /// One connection, beside those that do the work.
    listening: PgPool,
    ear: Mutex<Option<PgListener>>,
    most_connections: u32,
}

impl Postgres {
    pub(super) async fn open(
        options: &PgConnectOptions,
        most_connections: u32,
    ) -> Result<Self, OpenError> {
        let location = DatabaseLocation::Postgres(Box::new(options.clone()));
        let options = match options.get_application_name() {
            Some(_) => options.clone(),
            None => options.clone().application_name("tokensmith"),
        };
        // Once without the pool, which would only say that it has waited.
        let failed = |error: &dyn std::fmt::Display| {
            OpenError(format!("cannot connect to {location}: {error}"))
        };
        match timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(&options)).await {
            Ok(Ok(connection)) => drop(connection.close().await),
            Ok(Err(error)) => return Err(failed(&error)),
            Err(_) => return Err(failed(&"no answer within five seconds")),
        }
        let listening = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.clone());
        let pool = PgPoolOptions::new()
            .max_connections(most_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // The pool would test a connection both when it comes back and when it goes out: two
            // round trips beside the one that is wanted. One that was used a moment ago is good.
            .test_before_acquire(false)
            .before_acquire(|connection, usage| {
                Box::pin(async move {
                    if usage.idle_for >= TESTED_AFTER {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(options)
            .await
            .map_err(|error| OpenError(format!("cannot connect to {location}: {error}")))?;
        // The migrator takes an advisory lock: of replicas that start together one migrates and
        // the others wait. During a rolling upgrade an older binary meets newer migrations.
        let mut migrations: Migrator = sqlx::migrate!("migrations/postgres");
        migrations
            .set_ignore_missing(true)
            .run(&pool)
            .await
            .map_err(|error| OpenError(format!("cannot migrate {location}: {error}")))?;
        Ok(Self {
            pool,
            listening,
            ear: Mutex::default(),
            most_connections,
        })
    }
}

impl Database for Postgres {
    type Connection = PgConnection;

    const HAS_REPLICAS: bool = true;

    async fn write<T: Send + 'static>(
        &self,
        work: impl Work<PgConnection, T>,
    ) -> Result<T, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let value = work(&mut transaction).await?;
        transaction.commit().await?;
        Ok(value)
    }

    async fn write_one<T: Send + 'static>(
        &self,
        work: impl Work<PgConnection, T>,
    ) -> Result<T, StoreError> {
        // Outside a transaction a statement commits by itself: one round trip instead of three.
        self.read(work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl Work<PgConnection, T>,
    ) -> Result<T, StoreError> {
        let mut connection = self.pool.acquire().await?;
        Ok(work(&mut connection).await?)
    }

    async fn time(&self) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query(super::sql::POSTGRES_TIME)
            .fetch_one(&self.pool)
            .await?;
        Ok(Timestamp::from_timestamp_millis(row.try_get(0)?))
    }

    async fn wake_replicas(&self) -> Result<(), StoreError> {
        sqlx::query(super::sql::POSTGRES_NOTIFY)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn woken(&self) -> Result<(), StoreError> {
        let mut ear = self.ear.lock().await;
        let listener = if let Some(listener) = ear.as_mut() {
            listener
        } else {
            let mut listener = PgListener::connect_with(&self.listening).await?;
            listener.listen(CHANNEL).await?;
            ear.insert(listener)
        };
        let heard = listener.recv().await;
        if heard.is_err() {
            *ear = None;
        }
        heard?;
        Ok(())
    }

    fn pool_use(&self) -> PoolUse {
        PoolUse {
            open: self.pool.size(),
            idle: u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX),
            most: self.most_connections,
        }
    }

    async fn close(&self) {
        // Whoever listens holds the connection; it goes with the process.
        *self.ear.lock().await = None;
        self.pool.close().await;
    }
}
