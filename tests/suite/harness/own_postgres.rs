//! A PostgreSQL server of one test, which may be stopped, crashed and frozen.

use tokensmith_cluster::Postgres;

use super::{Database, skip};

/// How many connections the server takes.
pub(crate) const CONNECTIONS: usize = 50;

/// Starts a server; `None` where PostgreSQL is not installed.
pub(crate) async fn start() -> Option<Postgres> {
    if !Postgres::is_installed() {
        skip(
            "a PostgreSQL server of its own",
            "install PostgreSQL (Debian: apt-get install postgresql)",
        );
        return None;
    }
    let connections = format!("max_connections={CONNECTIONS}");
    let server = Postgres::start(&["fsync=off", &connections]).await;
    Some(server.unwrap())
}

/// An empty database on it. Its URL has the password that is given here; the server asks for none.
pub(crate) async fn database(server: &Postgres, password: &str) -> Database {
    let url = server.create_database("own").await.unwrap();
    let mut url = url::Url::parse(&url).unwrap();
    url.set_password(Some(password)).unwrap();
    Database::at(url.to_string())
}
