//! The databases. Every statement stands once, in [`sql`]; every transition once, in
//! [`transitions`]; a database adds only how it connects, reads and commits.

mod connection;
mod error;
mod location;
mod postgres;
mod rows;
mod sql;
mod sql_store;
mod sqlite;
mod transitions;

use std::sync::Arc;

pub use location::{DatabaseLocation, InvalidDatabaseUrl};
/// Every portable statement with its name, for tests that prepare them.
pub use sql::ALL as STATEMENTS;

use crate::domain::ports::Store;
use crate::telemetry::metrics::StoreMetrics;

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
    most_connections: u32,
    metrics: StoreMetrics,
) -> Result<Arc<dyn Store>, OpenError> {
    Ok(match location {
        DatabaseLocation::Sqlite(path) => {
            let database = sqlite::Sqlite::open(path, most_connections, metrics.clone()).await?;
            Arc::new(sql_store::SqlStore::new(database, metrics))
        }
        DatabaseLocation::Postgres(options) => {
            let database = postgres::Postgres::open(options, most_connections).await?;
            Arc::new(sql_store::SqlStore::new(database, metrics))
        }
    })
}
