//! A database that is one release ahead.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use super::fleet::BusyFleet;

/// Migrates as the migrator of a further release would. Every table gets a column, because a statement that
/// was prepared before may meet any of them. One table a migration: a transaction that waits for one table
/// while it holds another would sooner or later wait for a statement that waits for it.
async fn migrate(connection: &mut PgConnection) {
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' \
                  AND tablename NOT LIKE '%sqlx%'";
    let tables = connection.fetch_all(tables).await.unwrap();
    assert!(tables.len() > 10, "{}", tables.len());
    for (number, table) in tables.iter().enumerate() {
        let table: String = table.get(0);
        let column = ["TEXT", "BIGINT NOT NULL DEFAULT 7"][number % 2];
        let statement = format!("ALTER TABLE {table} ADD COLUMN of_tomorrow {column}");
        migrate_by(connection, statement).await;
    }
    let table = "CREATE TABLE of_tomorrow (id BYTEA NOT NULL PRIMARY KEY, at BIGINT NOT NULL)";
    migrate_by(connection, table.to_owned()).await;
}

/// One migration: a transaction, noted in the table of the migrator.
async fn migrate_by(connection: &mut PgConnection, statement: String) {
    let mut transaction = connection.begin().await.unwrap();
    let statement = sqlx::query(AssertSqlSafe(statement));
    transaction.execute(statement).await.unwrap();
    transaction
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
             execution_time) SELECT MAX(version) + 1, 'of tomorrow', TRUE, '\\x00', 1 \
             FROM _sqlx_migrations",
        )
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_one_release_ahead_under_load_is_noticed_by_nobody() {
    let Some(mut fleet) = BusyFleet::of(3, &[]).await else {
        return;
    };
    fleet.goes_on().await;
    let mut connection = PgConnection::connect(&fleet.database.url).await.unwrap();
    migrate(&mut connection).await;
    // With statements that were prepared before.
    fleet.goes_on().await;
    // A replica of this release starts on it, as on the way back from an upgrade.
    for number in 0..fleet.replicas.len() {
        fleet.restart(number).await;
        fleet.goes_on().await;
    }
    fleet.end_without_a_failure().await;
}
