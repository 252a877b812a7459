//! What the two databases must have in common.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqlSafeStr, SqliteConnection};
use tokensmith::store::STATEMENTS;

use crate::harness::Database;

#[tokio::test]
async fn every_statement_can_be_prepared_on_sqlite() {
    let database = Database::sqlite();
    database.open().await;
    let mut connection = SqliteConnection::connect(&database.url).await.unwrap();
    for (name, sql) in STATEMENTS {
        let prepared = connection.prepare(sql.into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {:?}", prepared.err());
    }
}

#[tokio::test]
async fn every_statement_can_be_prepared_on_postgresql() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    database.open().await;
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    for (name, sql) in STATEMENTS {
        let prepared = connection.prepare(sql.into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {:?}", prepared.err());
    }
}

#[tokio::test]
async fn both_databases_have_the_same_tables_columns_and_indexes() {
    let Some(postgres) = Database::postgres().await else {
        return;
    };
    let sqlite = Database::sqlite();
    postgres.open().await;
    sqlite.open().await;
    assert_eq!(
        sqlite_schema(&sqlite.url).await,
        postgres_schema(&postgres.url).await
    );
}

/// Lines such as `column clients.id TEXT not null` and `unique index x (a, b)`.
type Schema = BTreeSet<String>;

async fn sqlite_schema(url: &str) -> Schema {
    let mut connection = SqliteConnection::connect(url).await.unwrap();
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%sqlx%'";
    let mut schema = Schema::new();
    for table in connection.fetch_all(tables).await.unwrap() {
        let table: String = table.get(0);
        let columns = AssertSqlSafe(format!(
            "SELECT name, type, \"notnull\" FROM pragma_table_info('{table}')"
        ));
        for column in connection.fetch_all(sqlx::query(columns)).await.unwrap() {
            let (name, kind, not_null): (String, String, i64) =
                (column.get(0), column.get(1), column.get(2));
            schema.insert(line(&table, &name, &kind, not_null == 1));
        }
        let indexes = AssertSqlSafe(format!(
            "SELECT l.name, l.\"unique\", (SELECT group_concat(i.name, ', ') FROM \
             pragma_index_info(l.name) i) FROM pragma_index_list('{table}') l WHERE l.origin = 'c'"
        ));
        for index in connection.fetch_all(sqlx::query(indexes)).await.unwrap() {
            let (name, unique, columns): (String, i64, String) =
                (index.get(0), index.get(1), index.get(2));
            schema.insert(index_line(&name, unique == 1, &columns));
        }
    }
    schema
}

async fn postgres_schema(url: &str) -> Schema {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let columns = "SELECT table_name::text, column_name::text, data_type::text, \
                   is_nullable = 'NO' FROM information_schema.columns \
                   WHERE table_schema = 'public' AND table_name NOT LIKE '%sqlx%'";
    let mut schema = Schema::new();
    for column in connection.fetch_all(columns).await.unwrap() {
        let (table, name, kind, not_null): (String, String, String, bool) =
            (column.get(0), column.get(1), column.get(2), column.get(3));
        schema.insert(line(&table, &name, &kind, not_null));
    }
    let indexes = "SELECT c.relname::text, i.indisunique, (SELECT string_agg(a.attname, ', ' \
                   ORDER BY array_position(i.indkey::int2[], a.attnum)) FROM pg_attribute a \
                   WHERE a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)) \
                   FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
                   JOIN pg_class t ON t.oid = i.indrelid \
                   JOIN pg_namespace n ON n.oid = t.relnamespace \
                   WHERE n.nspname = 'public' AND NOT i.indisprimary AND t.relname NOT LIKE '%sqlx%'";
    for index in connection.fetch_all(indexes).await.unwrap() {
        let (name, unique, columns): (String, bool, String) =
            (index.get(0), index.get(1), index.get(2));
        schema.insert(index_line(&name, unique, &columns));
    }
    schema
}

fn line(table: &str, column: &str, kind: &str, not_null: bool) -> String {
    let kind = match kind.to_uppercase().as_str() {
        "INTEGER" | "BIGINT" => "integer",
        "BLOB" | "BYTEA" => "bytes",
        "TEXT" => "text",
        other => panic!("{table}.{column} has type {other}, which is not in the portable subset"),
    };
    let null = if not_null { "not null" } else { "null" };
    format!("column {table}.{column} {kind} {null}")
}

fn index_line(name: &str, unique: bool, columns: &str) -> String {
    let unique = if unique { "unique " } else { "" };
    format!("{unique}index {name} ({columns})")
}
