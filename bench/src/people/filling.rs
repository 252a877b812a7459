//! Millions of rows in minutes. Each is inserted in its turn with its entry in every index, so the
//! database is as it would be if it had grown for years.

use std::sync::LazyLock;

use tokensmith::domain::session_policy::SessionPolicy;

use super::made_up::{MadeUpPerson, MadeUpSession};
use crate::service::{AUDIENCE, PHONE, PHONE_SCOPE};

/// Rows that one statement inserts; SQLite takes at most 32,766 parameters.
pub(super) const ROWS: usize = 2_000;
/// Statements of one transaction.
pub(super) const STATEMENTS: usize = 50;

/// No service is running, and a database that is half full is thrown away: so there is no journal,
/// nothing is synced before the end, and indexes are kept in memory while they grow.
pub(super) const SQLITE_ALONE: &str = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; \
     PRAGMA cache_size = -1500000";
/// As the service finds it otherwise. The journal is changed first: that syncs the file.
pub(super) const SQLITE_AS_USUAL: &str = "PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL; \
     PRAGMA cache_size = -2000";
/// A commit does not wait for the disk; everything else is as usual.
pub(super) const POSTGRES_ALONE: &str = "SET synchronous_commit = off";
/// All is on the disk from then on.
pub(super) const POSTGRES_AS_USUAL: &str = "SET synchronous_commit = on; CHECKPOINT";

/// What is the same in all sessions, as the columns that follow those of their own.
static COMMON: LazyLock<String> = LazyLock::new(|| {
    format!("'{PHONE}', 1, 'pwd', '{PHONE_SCOPE}', '{AUDIENCE}', 'Chrome on Android'")
});

const COLUMNS: &str = "id, user_id, secret, rotated_at, idle_expires_at, expires_at, created_at, \
     auth_time, address, status_index, client_id, generation, amr, scope, audience, device";

pub(super) mod sqlite {
    use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

    use super::{COLUMNS, COMMON, MadeUpPerson, MadeUpSession, lifetimes};

    pub(in super::super) async fn insert_people(
        connection: &mut SqliteConnection,
        people: Vec<MadeUpPerson>,
    ) -> Result<(), sqlx::Error> {
        let mut insert =
            QueryBuilder::<Sqlite>::new("INSERT INTO users (id, username, created_at, profile) ");
        insert.push_values(people, |mut row, person| {
            row.push_bind(person.id.to_vec())
                .push_bind(person.username)
                .push_bind(person.created_at_ms)
                .push("'{}'");
        });
        insert.build().execute(connection).await.map(drop)
    }

    pub(in super::super) async fn insert_sessions(
        connection: &mut SqliteConnection,
        sessions: Vec<MadeUpSession>,
    ) -> Result<(), sqlx::Error> {
        let (idle, most) = lifetimes();
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO sessions (");
        insert.push(COLUMNS).push(") ");
        insert.push_values(sessions, |mut row, session| {
            let began_at = session.began_at_ms;
            row.push_bind(session.id.to_vec())
                .push_bind(session.user_id.to_vec())
                .push_bind(session.secret.to_vec())
                .push_bind(began_at)
                .push_bind(began_at + idle)
                .push_bind(began_at + most)
                .push_bind(began_at)
                .push_bind(began_at)
                .push_bind(session.address)
                .push_bind(session.status_index)
                .push(COMMON.as_str());
        });
        insert.build().execute(connection).await.map(drop)
    }
}

pub(super) mod postgres {
    use sqlx::{PgConnection, Postgres, QueryBuilder};

    use super::{COLUMNS, COMMON, MadeUpPerson, MadeUpSession, lifetimes};

    pub(in super::super) async fn insert_people(
        connection: &mut PgConnection,
        people: Vec<MadeUpPerson>,
    ) -> Result<(), sqlx::Error> {
        let ids: Vec<Vec<u8>> = people.iter().map(|person| person.id.to_vec()).collect();
        let created: Vec<i64> = people.iter().map(|person| person.created_at_ms).collect();
        let usernames: Vec<String> = people.into_iter().map(|person| person.username).collect();
        let insert = "INSERT INTO users (id, username, created_at, profile) \
             SELECT *, '{}' FROM UNNEST($1::BYTEA[], $2::TEXT[], $3::BIGINT[])";
        let insert = sqlx::query(insert).bind(ids).bind(usernames).bind(created);
        insert.execute(connection).await.map(drop)
    }

    pub(in super::super) async fn insert_sessions(
        connection: &mut PgConnection,
        sessions: Vec<MadeUpSession>,
    ) -> Result<(), sqlx::Error> {
        let (idle, most) = lifetimes();
        let mut insert = QueryBuilder::<Postgres>::new("INSERT INTO sessions (");
        insert
            .push(COLUMNS)
            .push(") SELECT id, user_id, secret, at, at + ");
        insert.push_bind(idle).push(", at + ").push_bind(most);
        insert
            .push(", at, at, address, status_index, ")
            .push(COMMON.as_str());
        let bytes = |of: fn(&MadeUpSession) -> &[u8; 16]| -> Vec<Vec<u8>> {
            sessions
                .iter()
                .map(|session| of(session).to_vec())
                .collect()
        };
        let numbers =
            |of: fn(&MadeUpSession) -> i64| -> Vec<i64> { sessions.iter().map(of).collect() };
        insert
            .push(" FROM UNNEST(")
            .push_bind(bytes(|session| &session.id));
        insert
            .push(", ")
            .push_bind(bytes(|session| &session.user_id));
        insert
            .push(", ")
            .push_bind(bytes(|session| &session.secret));
        insert
            .push(", ")
            .push_bind(numbers(|session| session.began_at_ms));
        insert
            .push(", ")
            .push_bind(numbers(|session| session.status_index));
        let addresses: Vec<String> = sessions
            .into_iter()
            .map(|session| session.address)
            .collect();
        insert.push(", ").push_bind(addresses);
        insert.push(") AS made_up (id, user_id, secret, at, status_index, address)");
        insert.build().execute(connection).await.map(drop)
    }
}

/// Without use, and at the most, in milliseconds.
fn lifetimes() -> (i64, i64) {
    let policy = SessionPolicy::default();
    let idle = policy.idle_lifetime.num_milliseconds();
    (idle, policy.lifetime.num_milliseconds())
}
