//! What went wrong with a statement, and what the domain is told.

use crate::domain::ports::StoreError;

/// An error inside a transition; it rolls the transition back.
#[derive(Debug)]
pub(super) enum StatementError {
    Database(sqlx::Error),
    /// The named column does not hold what this program writes.
    Unreadable(&'static str),
}

impl From<sqlx::Error> for StatementError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StatementError> for StoreError {
    fn from(error: StatementError) -> Self {
        match error {
            StatementError::Unreadable(column) => Self::Corrupt(column.to_owned()),
            StatementError::Database(error) => classify(&error),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        classify(&error)
    }
}

/// Sorts the errors of both drivers by what the caller can do about them.
fn classify(error: &sqlx::Error) -> StoreError {
    let text = error.to_string();
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        // The connection has got out of step, and is given up.
        | sqlx::Error::BeginFailed
        | sqlx::Error::Protocol(_) => StoreError::Unavailable(text),
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::Decode(_) => StoreError::Corrupt(text),
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            if is_passing(&code) {
                StoreError::Unavailable(text)
            } else {
                StoreError::Failed(text)
            }
        }
        _ => StoreError::Failed(text),
    }
}

/// Whether the same statement may succeed later.
fn is_passing(code: &str) -> bool {
    // PostgreSQL, appendix A: connection exceptions, transaction rollback, insufficient
    // resources, operator intervention, system error; a server that is a read-only standby, a
    // database that is away or takes no connections just now; a transaction that waited for this
    // program too long, and a lock that could not be had.
    const POSTGRES_CODES: [&str; 6] = ["25006", "25P03", "25P04", "3D000", "55000", "55P03"];
    const POSTGRES_CLASSES: [&str; 5] = ["08", "40", "53", "57", "58"];
    // SQLite: BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN; the low byte is the primary
    // code.
    const SQLITE_CODES: [u32; 7] = [5, 6, 7, 8, 10, 13, 14];
    if code.len() == 5 {
        return POSTGRES_CLASSES.iter().any(|class| code.starts_with(class))
            || POSTGRES_CODES.contains(&code);
    }
    code.parse::<u32>()
        .is_ok_and(|code| SQLITE_CODES.contains(&(code & 0xff)))
}

#[cfg(test)]
mod tests {
    use super::is_passing;

    #[test]
    fn an_error_that_may_pass_is_told_from_a_defect() {
        for passing in [
            // PostgreSQL: connection lost, serialization, disk full, too many connections, statement
            // timeout, shutdown, starting up, idle in a transaction, read-only, no lock.
            "08006", "40001", "53100", "53300", "57014", "57P01", "57P03", "25P03", "25006",
            "55000",
            "55P03", // SQLite: BUSY, BUSY_SNAPSHOT, FULL, IOERR, IOERR_WRITE, IOERR_SHMSIZE.
            "5", "517", "13", "10", "778", "4874",
        ] {
            assert!(is_passing(passing), "{passing}");
        }
        for defect in ["42601", "23505", "1", "19", "1555", ""] {
            assert!(!is_passing(defect), "{defect}");
        }
    }
}
