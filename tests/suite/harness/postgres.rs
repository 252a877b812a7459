//! A PostgreSQL server for the tests of this process: an existing one, or one started from the
//! installed programs in a temporary directory.

use sqlx::{Connection, Executor, PgConnection};
use tokensmith_cluster::Postgres;
use tokio::sync::OnceCell;

use super::{skip, variable, wait};

const HOW_TO_ENABLE: &str = "install PostgreSQL (Debian: apt-get install postgresql) or set \
    TOKENSMITH_TEST_POSTGRES_URL to a server whose user may create databases";

/// What the tests of this process share.
enum Server {
    Given(String),
    /// It ends with this process.
    Started(Postgres),
}

/// `postgres://…` without the name of a database.
pub(crate) async fn server_url() -> Option<String> {
    static SERVER: OnceCell<Option<Server>> = OnceCell::const_new();
    let url = match SERVER.get_or_init(server).await {
        None => {
            skip("PostgreSQL", HOW_TO_ENABLE);
            return None;
        }
        Some(Server::Given(url)) => url.clone(),
        Some(Server::Started(server)) => {
            format!("postgres://tokensmith@127.0.0.1:{}", server.port())
        }
    };
    Some(url)
}

async fn server() -> Option<Server> {
    if let Some(url) = variable("TOKENSMITH_TEST_POSTGRES_URL") {
        let url = url.trim_end_matches('/').to_owned();
        let any = format!("{url}/postgres");
        wait::until("PostgreSQL answers", || async {
            PgConnection::connect(&any).await.ok()
        })
        .await;
        return Some(Server::Given(url));
    }
    if !Postgres::is_installed() {
        return None;
    }
    let settings = ["fsync=off", "max_connections=300"];
    Some(Server::Started(Postgres::start(&settings).await.unwrap()))
}

/// Makes an empty database and answers its URL.
pub(crate) async fn new_database() -> Option<String> {
    let server = server_url().await?;
    let mut connection = PgConnection::connect(&format!("{server}/postgres"))
        .await
        .unwrap();
    let name = format!("t_{}", uuid::Uuid::new_v4().simple());
    let statement = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    connection.execute(sqlx::query(statement)).await.unwrap();
    Some(format!("{server}/{name}"))
}
