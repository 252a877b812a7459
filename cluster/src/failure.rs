//! Why there is no fleet.

use std::io;
use std::time::Duration;

/// What did not work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Where PostgreSQL is needed and not installed.
    #[error("PostgreSQL is not installed (Debian: apt-get install postgresql)")]
    NoPostgres,
    /// The system refused something.
    #[error("{0}: {1}")]
    System(String, #[source] io::Error),
    /// A program that was run says that it failed.
    #[error("{program} failed: {said}")]
    Program {
        /// With its arguments.
        program: String,
        /// Its last words.
        said: String,
    },
    /// Something did not come to pass in time.
    #[error("waited {limit:?} in vain until {what}")]
    Late {
        /// What was waited for, and what is known about it.
        what: String,
        /// For how long.
        limit: Duration,
    },
    /// The database refused something.
    #[error("{0}: {1}")]
    Database(String, #[source] sqlx::Error),
    /// The service could not be asked, or its answer was not the one that a client needs to go on.
    #[error("{0}")]
    Service(String),
}

impl Failure {
    /// For `map_err`: what was being done.
    pub(crate) fn doing<S: Into<String>>(what: S) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::System(what.into(), error)
    }
}
