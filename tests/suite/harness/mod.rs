//! Starts real processes: the service, PostgreSQL, other people's clients.

pub(crate) mod app;
pub(crate) mod authorize;
pub(crate) mod browser;
pub(crate) mod cable;
pub(crate) mod client_site;
pub(crate) mod command;
pub(crate) mod contract;
pub(crate) mod database;
pub(crate) mod html;
pub(crate) mod login;
pub(crate) mod own_postgres;
pub(crate) mod person;
pub(crate) mod postgres;
pub(crate) mod revocation;
pub(crate) mod secrets;
pub(crate) mod wait;
pub(crate) mod webdriver;
pub(crate) mod wire;

pub(crate) use app::{Reply, TestApp};
pub(crate) use command::tokensmith;
pub(crate) use database::Database;

/// Mounts a test on both databases. The test gets a [`Database`] of its own.
macro_rules! on_every_database {
    ($(#[$meta:meta])* async fn $name:ident($database:ident) $body:block) => {
        $(#[$meta])*
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                scenario($crate::harness::Database::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(database) = $crate::harness::Database::postgres().await {
                    scenario(database).await;
                }
            }

            async fn scenario($database: $crate::harness::Database) $body
        }
    };
}
pub(crate) use on_every_database;

/// A tool that a test needs is missing: on a developer's machine the test is skipped with a line
/// that says how to enable it; in CI that is a failure.
pub(crate) fn skip(what: &str, how_to_enable: &str) {
    use std::collections::BTreeSet;
    use std::io::Write;
    use std::sync::Mutex;
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    assert!(!in_ci(), "{what} must be there in CI: {how_to_enable}");
    let line = format!("SKIPPED: tests that need {what}; to enable them, {how_to_enable}\n");
    if SAID.lock().unwrap().insert(line.clone()) {
        // Not eprintln: the test runner would swallow it.
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "tests ask where they run")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn in_ci() -> bool {
    variable("CI").is_some_and(|value| value == "true" || value == "1")
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests compare with the real time"
)]
pub(crate) fn now() -> i64 {
    chrono::Utc::now().timestamp()
}
