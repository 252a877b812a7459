//! More than the database does: a storm on a small pool, connections that others hold, and requests that
//! come while it hangs.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use tokensmith::crypto::SystemEntropy;
use tokensmith::domain::audit::{AuditKind, AuditRecord, Origin};
use tokensmith::domain::revocation::{CutOff, CutOffOrder, CutOffScope};
use tokensmith::store::{self, StoreLimits};
use tokensmith::telemetry::metrics::StoreMetrics;
use tokio::time::timeout;

use super::network::postgres_behind_a_cable;
use super::{IMPATIENT, SLACK, Scene, is_told_to_come_back};
use crate::harness::login::Tokens;
use crate::harness::own_postgres::{self, CONNECTIONS};
use crate::harness::{Database, on_every_database, wait};

/// Sessions of Ada, without a password for each.
async fn sessions(scene: &mut Scene, count: usize) -> Vec<Tokens> {
    let mut sessions = Vec::with_capacity(count);
    for _ in 0..count {
        let (app, phone) = (&scene.app, &scene.phone);
        let callback = app
            .code_in_browser(&mut scene.browser, phone, &scene.ada, &[])
            .await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", callback.code()),
            ("code_verifier", crate::harness::login::VERIFIER),
        ];
        sessions.push(Tokens::of(&app.token(phone, &form).await));
    }
    sessions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_refreshes_at_once_at_two_slow_connections() {
    let Some((database, cable)) = postgres_behind_a_cable().await else {
        return;
    };
    let settings = [IMPATIENT, ("TOKENSMITH_DATABASE_CONNECTIONS", "2")];
    let mut scene = Scene::on(&database, &settings).await;
    let sessions = sessions(&mut scene, 20).await;
    cable.slow_down(Duration::from_millis(20));
    let begun = Instant::now();
    let storm = (0..25).flat_map(|_| &sessions).map(|tokens| async {
        let reply = scene.app.refresh(&scene.phone, &tokens.refresh_token, &[]);
        (reply.await, begun.elapsed())
    });
    let storm = join_all(storm).await;
    let refused = storm
        .iter()
        .filter(|(reply, _)| reply.status == 503)
        .count();
    assert!(refused > 0, "the storm was none");
    for (reply, took) in &storm {
        assert!(
            reply.status == 200 || is_told_to_come_back(reply),
            "{reply:?}"
        );
        assert!(*took < scene.timeout * 3 + SLACK, "{took:?}");
    }
    scene.goes_on().await;
    cable.mend();
    for tokens in &sessions {
        let again = wait::within(super::RECOVERED_WITHIN, "the storm is over", || async {
            let reply = scene.app.refresh(&scene.phone, &tokens.refresh_token, &[]);
            let reply = reply.await;
            (reply.status == 200).then_some(reply)
        });
        let again = Tokens::of(&again.await);
        assert_eq!(again.sid, tokens.sid);
        let next = scene.app.refresh(&scene.phone, &again.refresh_token, &[]);
        assert_eq!(next.await.status, 200, "the session lives");
    }
    scene.recovers().await;
}

async fn end_connections_of_the_service(connection: &mut PgConnection) {
    let end = "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity \
        WHERE application_name = 'tokensmith'";
    connection.fetch_all(end).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_hold_all_connections_that_the_server_has() {
    let Some(server) = own_postgres::start().await else {
        return;
    };
    let database = own_postgres::database(&server, super::PASSWORD).await;
    let mut scene = Scene::on(&database, &[IMPATIENT]).await;
    let mut others = vec![PgConnection::connect(&database.url).await.unwrap()];
    while others.len() < CONNECTIONS {
        match PgConnection::connect(&database.url).await {
            Ok(other) => others.push(other),
            Err(_) => end_connections_of_the_service(&mut others[0]).await,
        }
    }
    scene.turns_writers_away().await;
    scene.goes_on().await;
    drop(others);
    scene.recovers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_requests_while_the_database_hangs() {
    let Some((database, cable)) = postgres_behind_a_cable().await else {
        return;
    };
    let mut scene = Scene::on(&database, &[IMPATIENT]).await;
    super::allow_many_connections();
    cable.silence();
    let before = scene.app.resident_kib();
    let flood = (0..2_000).map(|_| scene.app.send(scene.refresh()));
    let (replies, ()) = tokio::join!(join_all(flood), scene.goes_on());
    assert!(replies.iter().all(is_told_to_come_back));
    let grown = scene.app.resident_kib().saturating_sub(before);
    assert!(grown < 128 * 1024, "{grown} KiB for 2,000 requests");
    cable.mend();
    scene.recovers().await;
}

on_every_database! {
    async fn a_cut_off_may_take_longer_than_anything_else(database) {
        let limits = StoreLimits {
            connections: 2,
            timeout: Duration::from_secs(1),
        };
        let location = database.url.parse().unwrap();
        let store = store::open(&location, limits, StoreMetrics::default());
        let store = store.await.unwrap();
        let lock = Lock::on(&database).await;
        let now = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let entropy = SystemEntropy::default();
        let record = AuditRecord::new(AuditKind::ClientCreated, &Origin::SYSTEM, now, &entropy).unwrap();
        let order = CutOffOrder {
            cut_off: CutOff::until_now(CutOffScope::Issuer, now),
            before: now,
            sets_bits: true,
        };
        let mut cut_off = store.cut_off(&order, &record);
        // Longer than any other operation may take, on either side.
        let waited = timeout(limits.timeout * 2, &mut cut_off).await;
        assert!(waited.is_err(), "{waited:?}");
        lock.give_back().await;
        cut_off.await.unwrap();
    }
}

/// What another process holds.
enum Lock {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Lock {
    async fn on(database: &Database) -> Self {
        if database.url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(&database.url).await.unwrap();
            connection.execute("BEGIN IMMEDIATE").await.unwrap();
            Self::Sqlite(connection)
        } else {
            let mut connection = PgConnection::connect(&database.url).await.unwrap();
            connection
                .execute("BEGIN; LOCK TABLE cut_offs")
                .await
                .unwrap();
            Self::Postgres(connection)
        }
    }

    async fn give_back(self) {
        match self {
            Self::Sqlite(mut connection) => connection.execute("ROLLBACK").await.map(drop),
            Self::Postgres(mut connection) => connection.execute("ROLLBACK").await.map(drop),
        }
        .unwrap();
    }
}
