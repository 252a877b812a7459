//! Connections that are kept. sqlx has a pool of its own, but one that asks for a sign of life whenever a
//! connection comes back, and with SQLite whenever one is taken: trips that cost more than most statements
//! (docs/decisions/0021).

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use deadpool::Runtime;
use deadpool::managed::{
    Manager, Metrics, Object, PoolConfig, PoolError, QueueMode, RecycleError, RecycleResult,
    Timeouts, WeakPool,
};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::{OpenError, StoreLimits};
use crate::domain::ports::{PoolUse, StoreError};

/// A connection is replaced at this age: behind a name, there may be another server by then.
const LIFETIME: Duration = Duration::from_mins(30);
/// A connection that nobody has needed for so long is closed.
const IDLE_LIFETIME: Duration = Duration::from_mins(10);
/// How often it is looked whether there are such connections.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// How long until a server that takes no connections yet is asked again.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// How long taking leave may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A kind of connection that can be kept.
pub(super) trait Keep: Connection + Send + 'static {
    /// One that has been idle for so long is tested before it is used, where it can break by itself.
    const TESTED_AFTER: Option<Duration>;

    /// What is done with a new one.
    fn prepare(
        &mut self,
        limits: StoreLimits,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// One that is kept.
pub(super) struct Kept<C> {
    connection: C,
    /// When it came back.
    used: Instant,
}

/// Makes connections, and says which can be used again.
pub(super) struct Connections<C: Connection> {
    options: C::Options,
    limits: StoreLimits,
    attempts: Arc<Semaphore>,
    doubts: Mutex<Doubts>,
}

/// What one broken connection says about the others.
#[derive(Clone, Copy, Default)]
struct Doubts {
    /// A statement failed: what was idle then is tested.
    failed: Option<Instant>,
    /// A test failed: what was idle then is gone as well, and to test each would take too long.
    broken: Option<Instant>,
}

impl<C: Keep> Connections<C> {
    fn doubts(&self) -> MutexGuard<'_, Doubts> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(options: C::Options, limits: StoreLimits) -> Result<C, sqlx::Error> {
        let connect = async {
            loop {
                match options.connect().await {
                    Err(error) if is_starting(&error) => sleep(TRY_AGAIN_AFTER).await,
                    connected => {
                        let mut connection: C = connected?;
                        connection.prepare(limits).await?;
                        return Ok(connection);
                    }
                }
            }
        };
        let connected = timeout(limits.timeout, connect).await;
        connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}

/// Whether the server may take connections in a moment: it is not there, it starts, or it has too many.
fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        sqlx::Error::Database(error) => {
            matches!(error.code().as_deref(), Some("57P03" | "53300"))
        }
        _ => false,
    }
}

impl<C: Keep> Manager for Connections<C> {
    type Type = Kept<C>;
    type Error = sqlx::Error;

    /// Whoever waits for it may give up, but the server has the attempt before it until that has ended: so it
    /// keeps its place among the attempts, and a crowd that comes and goes does not use up the server's.
    async fn create(&self) -> Result<Kept<C>, sqlx::Error> {
        let attempts = Arc::clone(&self.attempts).acquire_owned().await;
        let attempt = attempts.map_err(|_| sqlx::Error::PoolClosed)?;
        let connect = Self::connect(self.options.clone(), self.limits);
        let ended = tokio::spawn(async move {
            let _attempt = attempt;
            connect.await
        });
        let connection = ended.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))?;
        Ok(Kept {
            connection,
            used: Instant::now(),
        })
    }

    async fn recycle(&self, kept: &mut Kept<C>, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.age() >= LIFETIME {
            return Err(RecycleError::message("it is old"));
        }
        let Some(idle) = C::TESTED_AFTER else {
            return Ok(());
        };
        let Doubts { failed, broken } = *self.doubts();
        if broken.is_some_and(|at| kept.used <= at) {
            return Err(RecycleError::message("another one was broken"));
        }
        if kept.used.elapsed() < idle && failed.is_none_or(|at| kept.used > at) {
            return Ok(());
        }
        // So short that there is time for a new connection: a network that was away leaves some that
        // nobody will ever answer on.
        let tested = timeout(self.limits.timeout / 2, kept.connection.ping()).await;
        let tested = tested.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        if tested.is_err() {
            self.doubts().broken = Some(Instant::now());
        }
        Ok(tested?)
    }
}

/// The connections of a store.
pub(super) struct Pool<C: Keep> {
    kept: deadpool::managed::Pool<Connections<C>>,
    most: u32,
}

impl<C: Keep> Pool<C> {
    /// Without any connection yet.
    pub(super) fn of(options: C::Options, limits: StoreLimits) -> Result<Self, OpenError> {
        let most = usize::try_from(limits.connections).unwrap_or(Semaphore::MAX_PERMITS);
        let connections = Connections {
            options,
            limits,
            attempts: Arc::new(Semaphore::new(most)),
            doubts: Mutex::default(),
        };
        let config = PoolConfig {
            max_size: most,
            timeouts: Timeouts {
                wait: Some(limits.timeout),
                // These have limits of their own.
                create: None,
                recycle: None,
            },
            // Under little load a few do all the work, and the others can be closed.
            queue_mode: QueueMode::Lifo,
        };
        let kept = deadpool::managed::Pool::builder(connections)
            .config(config)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| OpenError(error.to_string()))?;
        tokio::spawn(close_idle(kept.weak()));
        Ok(Self {
            kept,
            most: limits.connections,
        })
    }

    /// Lends a connection.
    pub(super) async fn borrow(&self) -> Result<Loan<C>, StoreError> {
        let connection = self.kept.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Closed => sqlx::Error::PoolClosed.into(),
            PoolError::Timeout(_) => sqlx::Error::PoolTimedOut.into(),
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                StoreError::Failed(error.to_string())
            }
        })?;
        Ok(Loan {
            connection: Some(connection),
            is_at_rest: false,
        })
    }

    pub(super) fn in_use(&self) -> PoolUse {
        let status = self.kept.status();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        PoolUse {
            open: count(status.size),
            idle: count(status.available),
            most: self.most,
        }
    }

    /// Takes leave. What is lent is closed when it comes back.
    pub(super) async fn close(&self) {
        let idle = self.kept.retain(|_, _| false).removed;
        self.kept.close();
        take_leave(idle).await;
    }
}

/// A connection on loan from the pool.
///
/// It goes back when what was done with it has come to an end. In the middle of something – whoever waited
/// has given up, or the connection broke – it is closed instead: the driver may have left a transaction
/// open, in which the next statement, meant to commit by itself, would not be committed.
pub(super) struct Loan<C: Keep> {
    /// There until it is dropped.
    connection: Option<Object<Connections<C>>>,
    is_at_rest: bool,
}

impl<C: Keep> Loan<C> {
    /// Does something with the connection.
    pub(super) async fn run<T>(
        mut self,
        work: impl AsyncFnOnce(&mut C) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(kept) = &mut self.connection else {
            return Err(sqlx::Error::PoolClosed.into());
        };
        let outcome = work(&mut kept.connection).await;
        let is_broken = matches!(outcome, Err(StoreError::Unavailable(_)));
        if is_broken && let Some(pool) = Object::pool(kept) {
            pool.manager().doubts().failed = Some(Instant::now());
        }
        kept.used = Instant::now();
        self.is_at_rest = !is_broken;
        outcome
    }
}

impl<C: Keep> Drop for Loan<C> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && !self.is_at_rest
        {
            drop(Object::take(connection));
        }
    }
}

/// Closes connections that nobody needs, as long as the pool is there.
async fn close_idle<C: Keep>(pool: WeakPool<Connections<C>>) {
    loop {
        sleep(LOOK_EVERY).await;
        let Some(pool) = pool.upgrade() else {
            return;
        };
        let is_needed = |kept: &Kept<C>, metrics: Metrics| {
            kept.used.elapsed() < IDLE_LIFETIME && metrics.age() < LIFETIME
        };
        take_leave(pool.retain(is_needed).removed).await;
    }
}

async fn take_leave<C: Keep>(idle: Vec<Kept<C>>) {
    for kept in idle {
        let _closed = timeout(CLOSE_TIMEOUT, kept.connection.close()).await;
    }
}
