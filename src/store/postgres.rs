//! PostgreSQL: how users outgrow one machine. Any number of replicas share one database.

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection, Postgres as Driver, Row};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::location::DatabaseLocation;
use super::sql;
use super::sql_store::{Database, Work};
use super::transitions::sessions::rotate_session;
use super::{OpenError, StoreLimits};
use crate::domain::Timestamp;
use crate::domain::ports::{PoolUse, Rotation, StoreError};

/// How long the first connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that has been idle for so long is tested before it is used.
const TESTED_AFTER: Duration = Duration::from_secs(1);

/// How long nobody has to say anything before it is tested whether one would hear it.
const LISTENED_IN_VAIN: Duration = Duration::from_secs(30);

/// Where replicas wake each other. The words that are said there are empty: what there is to know is
/// in the tables, and who misses a word looks a moment later.
const CHANNEL: &str = "tokensmith_revocations";

pub(super) struct Postgres {
    pool: PgPool,
    options: PgConnectOptions,
    ear: Mutex<Option<Ear>>,
    limits: StoreLimits,
}

impl Postgres {
    pub(super) async fn open(
        options: &PgConnectOptions,
        limits: StoreLimits,
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
        let mut first = match timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options)).await {
            Ok(connected) => connected.map_err(|error| failed(&error))?,
            Err(_) => return Err(failed(&"no answer within five seconds")),
        };
        // The migrator takes an advisory lock: of replicas that start together one migrates and
        // the others wait, as long as it takes. During a rolling upgrade an older binary meets newer
        // migrations.
        let mut migrations: Migrator = sqlx::migrate!("migrations/postgres");
        migrations
            .set_ignore_missing(true)
            .run(&mut first)
            .await
            .map_err(|error| OpenError(format!("cannot migrate {location}: {error}")))?;
        drop(first.close().await);
        let test_timeout = limits.timeout / 2;
        let give_up_after = limits.timeout.as_millis().to_string();
        let pool = PgPoolOptions::new()
            .max_connections(limits.connections)
            .acquire_timeout(limits.timeout)
            .after_connect(move |connection, _| {
                let give_up_after = give_up_after.clone();
                Box::pin(async move {
                    sqlx::query(sql::POSTGRES_GIVE_UP_AFTER)
                        .bind(give_up_after)
                        .persistent(false)
                        .execute(connection)
                        .await?;
                    Ok(())
                })
            })
            // The pool would test a connection both when it comes back and when it goes out: two
            // round trips beside the one that is wanted. One that was used a moment ago is good.
            .test_before_acquire(false)
            .before_acquire(move |connection, usage| {
                Box::pin(async move {
                    if usage.idle_for >= TESTED_AFTER {
                        // So short that there is time for a new connection: a network that was away
                        // leaves some that nobody will ever answer on.
                        timeout(test_timeout, connection.ping())
                            .await
                            .map_err(|_| sqlx::Error::PoolTimedOut)??;
                    }
                    Ok(true)
                })
            })
            .connect_with(options.clone())
            .await
            .map_err(|error| OpenError(format!("cannot connect to {location}: {error}")))?;
        Ok(Self {
            pool,
            options,
            ear: Mutex::default(),
            limits,
        })
    }

    async fn borrow(&self) -> Result<Loan, StoreError> {
        Ok(Loan {
            connection: Some(self.pool.acquire().await?),
            is_at_rest: false,
            return_timeout: self.limits.timeout,
        })
    }

    async fn listen(&self) -> Result<Ear, sqlx::Error> {
        // A pool for each listener: where the network is gone, the old one goes on trying to take leave.
        let own = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(self.options.clone());
        let begin = async {
            let mut listener = PgListener::connect_with(&own).await?;
            listener.listen(CHANNEL).await?;
            Ok(Ear(Some(listener)))
        };
        timeout(self.limits.timeout, begin)
            .await
            .unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}

/// What hears the other replicas.
///
/// Its driver takes leave in a task, and panics where there is no runtime for it: in a process that ends, the
/// last to hold the store may be such a place. From there the connection goes with the process.
struct Ear(
    /// There until it is dropped.
    Option<PgListener>,
);

impl Ear {
    /// Waits for word, and makes sure from time to time that it could be heard.
    async fn hear(&mut self, limit: Duration) -> Result<(), sqlx::Error> {
        let listener = self.0.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        loop {
            if let Ok(heard) = timeout(LISTENED_IN_VAIN, listener.recv()).await {
                return heard.map(|_| ());
            }
            let test = sqlx::query(sql::POSTGRES_TIME).execute(&mut *listener);
            timeout(limit, test)
                .await
                .unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        if Handle::try_current().is_err() {
            std::mem::forget(self.0.take());
        }
    }
}

/// A connection on loan from the pool.
///
/// It goes back when what was done with it has come to an end. In the middle of something – whoever waited
/// has given up, or the connection broke – it is closed instead: the driver may have left a transaction
/// open, in which the next statement, meant to commit by itself, would not be committed.
struct Loan {
    /// There until it is dropped.
    connection: Option<PoolConnection<Driver>>,
    is_at_rest: bool,
    return_timeout: Duration,
}

impl Loan {
    /// Does something with the connection.
    async fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(connection) = &mut self.connection else {
            return Err(sqlx::Error::PoolClosed.into());
        };
        let outcome = work(connection).await;
        self.is_at_rest = !matches!(outcome, Err(StoreError::Unavailable(_)));
        outcome
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        match Handle::try_current() {
            Ok(runtime) if self.is_at_rest => {
                // What the pool does itself with a connection that is dropped (sqlx hides the function, so a
                // new version may take it away), but within a limit: the pool tests the connection, and one
                // that nobody answers on would keep its place.
                let return_timeout = self.return_timeout;
                runtime.spawn(async move {
                    let _closed = timeout(return_timeout, connection.return_to_pool()).await;
                });
            }
            Ok(_) | Err(_) => drop(connection.detach()),
        }
    }
}

impl Database for Postgres {
    type Connection = PgConnection;

    const HAS_REPLICAS: bool = true;

    async fn write<T: Send + 'static>(
        &self,
        work: impl Work<PgConnection, T>,
    ) -> Result<T, StoreError> {
        let in_transaction = async |connection: &mut PgConnection| {
            let mut transaction = connection.begin().await?;
            let value = work(&mut transaction).await?;
            transaction.commit().await?;
            Ok(value)
        };
        self.borrow().await?.run(in_transaction).await
    }

    async fn write_long<T: Send + 'static>(
        &self,
        work: impl Work<PgConnection, T>,
    ) -> Result<T, StoreError> {
        let in_transaction = async |connection: &mut PgConnection| {
            let mut transaction = connection.begin().await?;
            sqlx::query(sql::POSTGRES_TAKE_TIME)
                .execute(&mut *transaction)
                .await?;
            let value = work(&mut transaction).await?;
            transaction.commit().await?;
            Ok(value)
        };
        self.borrow().await?.run(in_transaction).await
    }

    async fn write_one<T: Send + 'static>(
        &self,
        work: impl Work<PgConnection, T>,
    ) -> Result<T, StoreError> {
        // Outside a transaction a statement commits by itself: one round trip instead of three.
        self.read(work).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<bool, StoreError> {
        self.write_one(move |connection| {
            Box::pin(async move { rotate_session(connection, &rotation).await })
        })
        .await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl Work<PgConnection, T>,
    ) -> Result<T, StoreError> {
        let as_it_is = async |connection: &mut PgConnection| Ok(work(connection).await?);
        self.borrow().await?.run(as_it_is).await
    }

    async fn time(&self) -> Result<Option<Timestamp>, StoreError> {
        let ask = async |connection: &mut PgConnection| {
            let row = sqlx::query(sql::POSTGRES_TIME)
                .fetch_one(connection)
                .await?;
            Ok(Timestamp::from_timestamp_millis(row.try_get(0)?))
        };
        self.borrow().await?.run(ask).await
    }

    async fn wake_replicas(&self) -> Result<(), StoreError> {
        let wake = async |connection: &mut PgConnection| {
            sqlx::query(sql::POSTGRES_NOTIFY)
                .execute(connection)
                .await?;
            Ok(())
        };
        self.borrow().await?.run(wake).await
    }

    async fn woken(&self) -> Result<(), StoreError> {
        let mut ear = self.ear.lock().await;
        let listening = match ear.as_mut() {
            Some(listening) => listening,
            None => ear.insert(self.listen().await?),
        };
        let heard = listening.hear(self.limits.timeout).await;
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
            most: self.limits.connections,
        }
    }

    async fn close(&self) {
        // Whoever listens holds the connection; it goes with the process.
        *self.ear.lock().await = None;
        self.pool.close().await;
    }
}
