//! A cable between the service and its database.

use tokensmith_cluster::Cable;

use super::Database;

/// PostgreSQL through a cable; on SQLite there is nothing to lay one to.
pub(crate) async fn behind_a_cable(mut database: Database) -> (Database, Option<Cable>) {
    let mut url = url::Url::parse(&database.url).unwrap();
    let Some((host, port)) = url.host_str().zip(url.port()) else {
        return (database, None);
    };
    let cable = Cable::to(format!("{host}:{port}")).await.unwrap();
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(cable.port)).unwrap();
    database.url = url.to_string();
    (database, Some(cable))
}
