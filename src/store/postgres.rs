//! PostgreSQL: how users outgrow one machine. Any number of replicas share one database.

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Connection, PgConnection, Row};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::location::DatabaseLocation;
use super::pool::{Keep, Pool};
use super::sql;
use super::sql_store::{Database, Work};
use super::transitions::sessions::rotate_session;
use super::{OpenError, StoreLimits};
use crate::domain::Timestamp;
use crate::domain::ports::{PoolUse, Rotation, StoreError};

/// How long the first connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long nobody has to say anything before it is tested whether one would hear it.
const LISTENED_IN_VAIN: Duration = Duration::from_secs(30);

/// Where replicas wake each other. The words that are said there are empty: what there is to know is
/// in the tables, and who misses a word looks a moment later.
const CHANNEL: &str = "tokensmith_revocations";

pub(super) struct Postgres {
    pool: Pool<PgConnection>,
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
        Ok(Self {
            pool: Pool::of(options.clone(), limits)?,
            options,
            ear: Mutex::default(),
            limits,
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
            let mut ear = Ear(Some(PgListener::connect_with(&own).await?));
            ear.listener()?.listen(CHANNEL).await?;
            Ok(ear)
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
    fn listener(&mut self) -> Result<&mut PgListener, sqlx::Error> {
        self.0.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Waits for word, and makes sure from time to time that it could be heard.
    async fn hear(&mut self, limit: Duration) -> Result<(), sqlx::Error> {
        let listener = self.listener()?;
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

impl Keep for PgConnection {
    /// One that was used a moment ago is good.
    const TESTED_AFTER: Option<Duration> = Some(Duration::from_secs(1));

    async fn prepare(&mut self, limits: StoreLimits) -> Result<(), sqlx::Error> {
        sqlx::query(sql::POSTGRES_GIVE_UP_AFTER)
            .bind(limits.timeout.as_millis().to_string())
            .persistent(false)
            .execute(self)
            .await
            .map(drop)
    }
}

/// Commits what was done, or takes it back at once: the connection goes back to the pool as it is, and would
/// hold its locks until somebody uses it again.
async fn in_transaction<T>(
    connection: &mut PgConnection,
    work: impl Work<PgConnection, T>,
    first: Option<&'static str>,
) -> Result<T, StoreError> {
    let mut transaction = connection.begin().await?;
    let done = async {
        if let Some(statement) = first {
            sqlx::query(statement).execute(&mut *transaction).await?;
        }
        work(&mut transaction).await
    };
    match done.await {
        Ok(value) => {
            transaction.commit().await?;
            Ok(value)
        }
        Err(error) => {
            transaction.rollback().await?;
            Err(error.into())
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
        let transaction =
            async |connection: &mut PgConnection| in_transaction(connection, work, None).await;
        self.pool.borrow().await?.run(transaction).await
    }

    async fn write_long<T: Send + 'static>(
        &self,
        work: impl Work<PgConnection, T>,
    ) -> Result<T, StoreError> {
        let first = Some(sql::POSTGRES_TAKE_TIME);
        let transaction =
            async |connection: &mut PgConnection| in_transaction(connection, work, first).await;
        self.pool.borrow().await?.run(transaction).await
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
        self.pool.borrow().await?.run(as_it_is).await
    }

    async fn time(&self) -> Result<Option<Timestamp>, StoreError> {
        let ask = async |connection: &mut PgConnection| {
            let row = sqlx::query(sql::POSTGRES_TIME)
                .fetch_one(connection)
                .await?;
            Ok(Timestamp::from_timestamp_millis(row.try_get(0)?))
        };
        self.pool.borrow().await?.run(ask).await
    }

    async fn wake_replicas(&self) -> Result<(), StoreError> {
        let wake = async |connection: &mut PgConnection| {
            sqlx::query(sql::POSTGRES_NOTIFY)
                .execute(connection)
                .await?;
            Ok(())
        };
        self.pool.borrow().await?.run(wake).await
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
        self.pool.in_use()
    }

    async fn close(&self) {
        // Whoever listens holds the connection; it goes with the process.
        *self.ear.lock().await = None;
        self.pool.close().await;
    }
}
