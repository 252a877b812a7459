//! Why there are no figures: one line for whoever typed the command.

use std::fmt;

/// One line that names what was tried and what went wrong.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// What may fail.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names what was being done when something failed.
pub(crate) trait Doing<T> {
    /// The same result; a failure says that it came while doing `what`.
    fn doing(self, what: &str) -> Outcome<T>;
}

impl<T, E: fmt::Display> Doing<T> for Result<T, E> {
    fn doing(self, what: &str) -> Outcome<T> {
        self.map_err(|error| Failure(format!("{what}: {error}")))
    }
}
