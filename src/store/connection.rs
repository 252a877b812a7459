//! One connection to either database, reduced to what the transitions need.

use std::future::Future;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{PgConnection, Row, SqliteConnection};

use super::error::StatementError;

/// A value bound to a placeholder. All columns have one of three types.
#[derive(Clone, Copy, Debug)]
pub(super) enum Param<'a> {
    Integer(Option<i64>),
    Text(Option<&'a str>),
    Bytes(Option<&'a [u8]>),
}

impl From<i64> for Param<'_> {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Some(value))
    }
}

impl<'a> From<&'a [u8]> for Param<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(Some(value))
    }
}

impl From<Option<i64>> for Param<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::Integer(value)
    }
}

impl<'a> From<Option<&'a str>> for Param<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<Option<&'a [u8]>> for Param<'a> {
    fn from(value: Option<&'a [u8]>) -> Self {
        Self::Bytes(value)
    }
}

/// A connection inside a transaction (or, for a single read, outside).
pub(super) trait Connection: Send {
    type Row: Columns + Send;

    /// Runs a statement and answers how many rows it affected.
    fn execute(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> impl Future<Output = Result<u64, StatementError>> + Send;

    /// Runs a statement and answers its rows.
    fn fetch(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> impl Future<Output = Result<Vec<Self::Row>, StatementError>> + Send;
}

/// A row by column names.
pub(super) trait Columns {
    fn integer(&self, column: &str) -> Result<i64, StatementError>;
    fn optional_integer(&self, column: &str) -> Result<Option<i64>, StatementError>;
    fn text(&self, column: &str) -> Result<String, StatementError>;
    fn optional_text(&self, column: &str) -> Result<Option<String>, StatementError>;
    fn bytes(&self, column: &str) -> Result<Vec<u8>, StatementError>;
    fn optional_bytes(&self, column: &str) -> Result<Option<Vec<u8>>, StatementError>;
}

/// The two drivers have the same shape but no common type, hence the macro.
macro_rules! implement_for {
    ($connection:ty, $row:ty) => {
        impl Connection for $connection {
            type Row = $row;

            async fn execute(
                &mut self,
                sql: &'static str,
                params: &[Param<'_>],
            ) -> Result<u64, StatementError> {
                let query = params
                    .iter()
                    .fold(sqlx::query(sql), |query, param| match *param {
                        Param::Integer(value) => query.bind(value),
                        Param::Text(value) => query.bind(value),
                        Param::Bytes(value) => query.bind(value),
                    });
                Ok(query.execute(&mut *self).await?.rows_affected())
            }

            async fn fetch(
                &mut self,
                sql: &'static str,
                params: &[Param<'_>],
            ) -> Result<Vec<$row>, StatementError> {
                let query = params
                    .iter()
                    .fold(sqlx::query(sql), |query, param| match *param {
                        Param::Integer(value) => query.bind(value),
                        Param::Text(value) => query.bind(value),
                        Param::Bytes(value) => query.bind(value),
                    });
                Ok(query.fetch_all(&mut *self).await?)
            }
        }

        impl Columns for $row {
            fn integer(&self, column: &str) -> Result<i64, StatementError> {
                Ok(self.try_get(column)?)
            }

            fn optional_integer(&self, column: &str) -> Result<Option<i64>, StatementError> {
                Ok(self.try_get(column)?)
            }

            fn text(&self, column: &str) -> Result<String, StatementError> {
                Ok(self.try_get(column)?)
            }

            fn optional_text(&self, column: &str) -> Result<Option<String>, StatementError> {
                Ok(self.try_get(column)?)
            }

            fn bytes(&self, column: &str) -> Result<Vec<u8>, StatementError> {
                Ok(self.try_get(column)?)
            }

            fn optional_bytes(&self, column: &str) -> Result<Option<Vec<u8>>, StatementError> {
                Ok(self.try_get(column)?)
            }
        }
    };
}

implement_for!(SqliteConnection, SqliteRow);
implement_for!(PgConnection, PgRow);
