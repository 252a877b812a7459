//! A connection of our own to the database: to write many rows at once, and to look at its size.

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, PgConnection, QueryBuilder, SqliteConnection};
use tokensmith::store::DatabaseLocation;
use tokensmith_verify::revocation::LIST_SIZE;

use super::accounts::Account;
use super::filling::{self, ROWS, STATEMENTS};
use super::made_up::{MadeUpSessions, Random};
use crate::failure::{Doing, Outcome};
use crate::progress::Rows;

/// A connection to either database.
pub(crate) enum Database {
    Sqlite(SqliteConnection, std::path::PathBuf),
    Postgres(PgConnection),
}

impl Database {
    /// The schema must be there already.
    pub(crate) async fn connect(location: &DatabaseLocation) -> Outcome<Self> {
        match location {
            DatabaseLocation::Sqlite(path) => {
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal);
                let connection = SqliteConnection::connect_with(&options).await;
                let connection = connection.doing("connecting to the database")?;
                Ok(Self::Sqlite(connection, path.clone()))
            }
            DatabaseLocation::Postgres(options) => {
                let options: &PgConnectOptions = options;
                let connection = PgConnection::connect_with(options).await;
                let connection = connection.doing("connecting to the database")?;
                Ok(Self::Postgres(connection))
            }
        }
    }

    /// Writes accounts that somebody can log in to.
    pub(super) async fn insert_accounts(&mut self, accounts: &[Account]) -> Outcome<()> {
        match self {
            Self::Sqlite(connection, _) => sqlite::insert_accounts(connection, accounts).await,
            Self::Postgres(connection) => postgres::insert_accounts(connection, accounts).await,
        }
        .doing("making accounts")
    }

    /// Fills a database that nobody else has open: people and sessions, without waiting for the disk
    /// before the end. Answers the bytes of the sessions and their indexes.
    pub(crate) async fn fill(&mut self, made_up: &MadeUpSessions) -> Outcome<u64> {
        self.script(filling::SQLITE_ALONE, filling::POSTGRES_ALONE)
            .await?;
        self.insert_people(made_up).await?;
        let without = self.size().await?;
        self.insert_sessions(made_up).await?;
        let with = self.size().await?;
        self.script(filling::SQLITE_AS_USUAL, filling::POSTGRES_AS_USUAL)
            .await?;
        Ok(with.saturating_sub(without))
    }

    /// Writes the people of the sessions.
    pub(crate) async fn insert_people(&mut self, made_up: &MadeUpSessions) -> Outcome<()> {
        let numbers: Vec<u32> = (0..made_up.people()).collect();
        let progress = Rows::of("writing people", made_up.people());
        for transaction in numbers.chunks(STATEMENTS * ROWS) {
            self.script("BEGIN", "BEGIN").await?;
            for page in transaction.chunks(ROWS) {
                let people = page.iter().map(|number| made_up.person(*number)).collect();
                match self {
                    Self::Sqlite(connection, _) => {
                        filling::sqlite::insert_people(connection, people).await
                    }
                    Self::Postgres(connection) => {
                        filling::postgres::insert_people(connection, people).await
                    }
                }
                .doing("making up people")?;
                progress.written(page.len());
            }
            self.script("COMMIT", "COMMIT").await?;
        }
        Ok(())
    }

    /// Writes the sessions, as they are when they begin and in that order.
    pub(crate) async fn insert_sessions(&mut self, made_up: &MadeUpSessions) -> Outcome<()> {
        let first_list = self.open_lists(made_up.count().div_ceil(LIST_SIZE)).await?;
        let first_index = i64::from(first_list) * i64::from(LIST_SIZE);
        let numbers: Vec<u32> = (0..made_up.count()).collect();
        let progress = Rows::of("writing sessions", made_up.count());
        for transaction in numbers.chunks(STATEMENTS * ROWS) {
            self.script("BEGIN", "BEGIN").await?;
            for page in transaction.chunks(ROWS) {
                let sessions = page.iter();
                let sessions = sessions.map(|number| made_up.session(*number, first_index));
                let sessions = sessions.collect();
                match self {
                    Self::Sqlite(connection, _) => {
                        filling::sqlite::insert_sessions(connection, sessions).await
                    }
                    Self::Postgres(connection) => {
                        filling::postgres::insert_sessions(connection, sessions).await
                    }
                }
                .doing("making up sessions")?;
                progress.written(page.len());
            }
            self.script("COMMIT", "COMMIT").await?;
        }
        Ok(())
    }

    /// Runs statements of which nobody wants an answer.
    async fn script(&mut self, sqlite: &'static str, postgres: &'static str) -> Outcome<()> {
        match self {
            Self::Sqlite(connection, _) => {
                sqlx::raw_sql(sqlite).execute(connection).await.map(drop)
            }
            Self::Postgres(connection) => {
                sqlx::raw_sql(postgres).execute(connection).await.map(drop)
            }
        }
        .doing("preparing the database")
    }

    /// Opens status lists that nobody else gets an index of, and answers the number of the first. No
    /// service must be running: it would not hear of them.
    pub(crate) async fn open_lists(&mut self, count: u32) -> Outcome<u32> {
        let after = match self {
            Self::Sqlite(connection, _) => sqlite::open_lists(connection, count).await,
            Self::Postgres(connection) => postgres::open_lists(connection, count).await,
        };
        let after = u32::try_from(after.doing("opening status lists")?).unwrap_or_default();
        Ok(after.saturating_sub(count))
    }

    /// Takes these positions of a list back, as of an instant. The service numbers them when it
    /// starts.
    pub(crate) async fn insert_revocations(
        &mut self,
        list: u32,
        positions: impl IntoIterator<Item = u32>,
        at_ms: i64,
    ) -> Outcome<()> {
        let of_list = i64::from(list) * i64::from(LIST_SIZE);
        let indices: Vec<i64> = positions
            .into_iter()
            .map(|position| of_list + i64::from(position))
            .collect();
        for page in indices.chunks(ROWS) {
            match self {
                Self::Sqlite(connection, _) => {
                    sqlite::insert_revocations(connection, page, at_ms).await
                }
                Self::Postgres(connection) => {
                    postgres::insert_revocations(connection, page, at_ms).await
                }
            }
            .doing("making up revocations")?;
        }
        Ok(())
    }

    /// Makes the clients older than the sessions: those of an earlier client of the same name are
    /// refused.
    pub(crate) async fn age_clients(&mut self) -> Outcome<()> {
        const AGE: &str = "UPDATE clients SET created_at = 0";
        match self {
            Self::Sqlite(connection, _) => sqlx::query(AGE).execute(connection).await.map(drop),
            Self::Postgres(connection) => sqlx::query(AGE).execute(connection).await.map(drop),
        }
        .doing("making clients older")
    }

    /// Bytes of the sessions and their indexes; of SQLite, of everything.
    pub(crate) async fn size(&mut self) -> Outcome<u64> {
        match self {
            Self::Sqlite(connection, path) => {
                let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
                let done = checkpoint.execute(connection).await;
                done.doing("moving the log into the database")?;
                let metadata = path.metadata().doing("reading the size of the database")?;
                Ok(metadata.len())
            }
            Self::Postgres(_) => {
                let size = self.number("SELECT pg_total_relation_size('sessions')");
                Ok(u64::try_from(size.await?).unwrap_or_default())
            }
        }
    }

    /// Brings the planner's statistics up to date, as a database that has grown slowly has them.
    pub(crate) async fn analyze(&mut self) -> Outcome<()> {
        let doing = "analyzing the database";
        match self {
            // The service does not ask SQLite to plan by statistics.
            Self::Sqlite(..) => Ok(()),
            Self::Postgres(connection) => {
                let done = sqlx::query("VACUUM ANALYZE").execute(connection).await;
                done.doing(doing).map(drop)
            }
        }
    }

    /// The number that a query of PostgreSQL answers; zero on SQLite.
    pub(crate) async fn number(&mut self, query: &'static str) -> Outcome<i64> {
        match self {
            Self::Sqlite(..) => Ok(0),
            Self::Postgres(connection) => {
                let number = sqlx::query_scalar(query).fetch_one(connection).await;
                number.doing("asking PostgreSQL")
            }
        }
    }

    /// Runs a statement on PostgreSQL.
    pub(crate) async fn execute(&mut self, statement: String) -> Outcome<()> {
        match self {
            Self::Sqlite(..) => Ok(()),
            Self::Postgres(connection) => {
                let done = sqlx::raw_sql(AssertSqlSafe(statement));
                let done = done.execute(connection).await;
                done.doing("telling PostgreSQL").map(drop)
            }
        }
    }
}

/// The version of SQLite that the service and this program have built in.
pub(crate) async fn sqlite_version() -> Option<String> {
    let mut memory = SqliteConnection::connect("sqlite::memory:").await.ok()?;
    let version = sqlx::query_scalar("SELECT sqlite_version()");
    version.fetch_one(&mut memory).await.ok()
}

/// The two drivers have the same shape but no common type, hence the macro.
macro_rules! insertions {
    ($module:ident, $database:ty, $connection:ty) => {
        mod $module {
            use super::*;

            pub(super) async fn insert_accounts(
                connection: &mut $connection,
                accounts: &[Account],
            ) -> Result<(), sqlx::Error> {
                let mut insert = QueryBuilder::<$database>::new(
                    "INSERT INTO users (id, username, profile, password_hash, \
                     password_changed_at, created_at) ",
                );
                insert.push_values(accounts, |mut row, account| {
                    row.push_bind(account.id.to_vec())
                        .push_bind(account.username.clone())
                        .push_bind("{}")
                        .push_bind(account.password_hash.clone())
                        .push_bind(account.created_at_ms)
                        .push_bind(account.created_at_ms);
                });
                insert.build().execute(&mut *connection).await?;
                let mut insert =
                    QueryBuilder::<$database>::new("INSERT INTO user_identifiers (key, user_id) ");
                insert.push_values(accounts, |mut row, account| {
                    row.push_bind(account.username.clone())
                        .push_bind(account.id.to_vec());
                });
                insert.build().execute(connection).await.map(drop)
            }

            /// Answers how many there are then. The indices are taken as the migration takes those
            /// of the sessions that it finds: whole lists.
            pub(super) async fn open_lists(
                connection: &mut $connection,
                count: u32,
            ) -> Result<i64, sqlx::Error> {
                let open = "UPDATE status_numbers SET announced = announced + $1, \
                     next_number = (announced + $1) * $2 RETURNING announced";
                let open = sqlx::query_scalar(open);
                let open = open.bind(i64::from(count)).bind(i64::from(LIST_SIZE));
                open.fetch_one(connection).await
            }

            pub(super) async fn insert_revocations(
                connection: &mut $connection,
                indices: &[i64],
                at_ms: i64,
            ) -> Result<(), sqlx::Error> {
                let mut insert = QueryBuilder::<$database>::new(
                    "INSERT INTO revocations (id, at, status_index) ",
                );
                insert.push_values(indices, |mut row, index| {
                    let number = u32::try_from(*index).unwrap_or_default();
                    let id: [u8; 16] = Random::new("revocation", number).bytes();
                    row.push_bind(id.to_vec())
                        .push_bind(at_ms)
                        .push_bind(*index);
                });
                insert.build().execute(connection).await.map(drop)
            }
        }
    };
}

insertions!(sqlite, sqlx::Sqlite, SqliteConnection);
insertions!(postgres, sqlx::Postgres, PgConnection);
