//! The databases. Every statement stands once, in [`sql`]; every transition once, in
//! [`transitions`]; a database adds only how it connects, reads and commits.

mod connection;
mod error;
mod gate;
mod location;
mod pool;
mod postgres;
mod presence;
mod rows;
mod session_reads;
mod sql;
mod sql_store;
mod sqlite;
mod together;
mod transitions;

use std::sync::Arc;

pub use gate::StoreLimits;
pub use location::{DatabaseLocation, InvalidDatabaseUrl};
/// Every portable statement with its name, for tests that prepare them.
pub use sql::ALL as STATEMENTS;

use crate::domain::ports::Store;
use crate::telemetry::metrics::StoreMetrics;
use presence::Company;

/// Why a database could not be opened: one line for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub String);

/// Connects, and brings the schema up to date under a lock, so that any number of replicas may
/// start together.
///
/// # Errors
/// One clear line when the place does not exist, cannot be written or cannot be reached.
pub async fn open(
    location: &DatabaseLocation,
    limits: StoreLimits,
    metrics: StoreMetrics,
) -> Result<Arc<dyn Store>, OpenError> {
    open_in(Company::Anybody, location, limits, metrics).await
}

/// As [`open`], for what must not happen while anybody else is at work. Of SQLite this process is then the
/// only one; of PostgreSQL the transitions concerned find out by themselves.
///
/// # Errors
/// As [`open`], and when somebody else is there.
pub async fn open_alone(
    location: &DatabaseLocation,
    limits: StoreLimits,
    metrics: StoreMetrics,
) -> Result<Arc<dyn Store>, OpenError> {
    open_in(Company::Nobody, location, limits, metrics).await
}

async fn open_in(
    company: Company,
    location: &DatabaseLocation,
    limits: StoreLimits,
    metrics: StoreMetrics,
) -> Result<Arc<dyn Store>, OpenError> {
    Ok(match location {
        DatabaseLocation::Sqlite(path) => {
            let database = sqlite::Sqlite::open(path, company, limits, metrics.clone()).await?;
            Arc::new(sql_store::SqlStore::new(database, limits, metrics))
        }
        DatabaseLocation::Postgres(options) => {
            let database = postgres::Postgres::open(options, limits).await?;
            Arc::new(sql_store::SqlStore::new(database, limits, metrics))
        }
    })
}
