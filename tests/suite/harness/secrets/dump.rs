//! All that a thief of the database has.

use std::path::Path;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

/// A test may have stopped its PostgreSQL for good; then there is nothing to look at.
const PATIENCE: Duration = Duration::from_secs(10);

/// The files of an SQLite database and the rows of all tables, as text with bytes in hexadecimal. On
/// PostgreSQL, the rows as `COPY` writes them. `None` when there is no database (any more).
///
/// On a thread of its own, because it is wanted where a test ends.
pub(crate) fn dump(url: &str) -> Option<Vec<u8>> {
    let url = url.to_owned();
    let dumping = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let Some(file) = url.strip_prefix("sqlite:") else {
                let rows = tokio::time::timeout(PATIENCE, postgres(&url)).await;
                return rows.ok()?.ok();
            };
            // Rows that were deleted or changed are in the files for a while; one that is longer than
            // a page is in pieces there.
            let file = Path::new(file);
            let mut all = std::fs::read(file).ok()?;
            all.extend(std::fs::read(file.with_extension("db-wal")).unwrap_or_default());
            // A disk that a test has filled lets nobody read rows.
            all.extend(sqlite(&url).await.unwrap_or_default());
            Some(all)
        })
    });
    dumping.join().unwrap()
}

async fn sqlite(url: &str) -> sqlx::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut connection = SqliteConnection::connect(url).await?;
    let tables = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'");
    let tables: Vec<String> = tables.fetch_all(&mut connection).await?;
    for table in tables {
        let columns = sqlx::query_scalar("SELECT name FROM pragma_table_info($1)");
        let columns: Vec<String> = columns.bind(&table).fetch_all(&mut connection).await?;
        let quoted = columns.iter().map(|name| format!("quote(\"{name}\")"));
        let row = quoted.collect::<Vec<_>>().join(" || ',' || ");
        let rows = AssertSqlSafe(format!("SELECT {row} FROM \"{table}\""));
        let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(&mut connection).await?;
        all.extend(format!("\n{table}\n{}", rows.join("\n")).into_bytes());
    }
    Ok(all)
}

async fn postgres(url: &str) -> sqlx::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut connection = PgConnection::connect(url).await?;
    let tables = sqlx::query_scalar("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
    let tables: Vec<String> = tables.fetch_all(&mut connection).await?;
    for table in tables {
        all.extend(format!("\n{table}\n").into_bytes());
        let copy = format!("COPY \"{table}\" TO STDOUT");
        let mut rows = connection.copy_out_raw(&copy).await?;
        while let Some(part) = rows.try_next().await? {
            all.extend_from_slice(&part);
        }
    }
    Ok(all)
}
