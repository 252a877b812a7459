//! The way to PostgreSQL: out of reach without a word, slow, and broken between a commit and its answer.

use std::time::Duration;

use futures_util::future::join_all;
use tokensmith::crypto::SystemEntropy;
use tokensmith::domain::audit::{AuditKind, AuditRecord, Origin};
use tokensmith::domain::id::UserId;
use tokensmith::domain::ports::AuditFilter;
use tokensmith::store::{self, StoreLimits};
use tokensmith::telemetry::metrics::StoreMetrics;
use tokensmith_cluster::Cable;
use tokio::time::timeout;

use super::{IMPATIENT, Scene, is_told_to_come_back};
use crate::harness::Database;
use crate::harness::cable::behind_a_cable;
use crate::harness::login::Tokens;

pub(super) async fn postgres_behind_a_cable() -> Option<(Database, Cable)> {
    let database = Database::postgres().await?;
    let (database, cable) = behind_a_cable(database).await;
    Some((database, cable?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_drops_everything_without_a_word() {
    let Some((database, cable)) = postgres_behind_a_cable().await else {
        return;
    };
    // With the settings that it comes with: this is the fault that takes the longest to notice. All
    // connections of the pool are dead for good, and nothing says so.
    let mut scene = Scene::on(&database, &[]).await;
    cable.silence();
    scene.turns_writers_away().await;
    scene.is_not_ready().await;
    scene.goes_on().await;
    scene.turns_readers_away().await;
    cable.mend();
    scene.recovers().await;
    scene.has_logged_it("cannot read changes", 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_connections_that_died_without_a_word_cost_the_next_operation_one_test() {
    let Some((database, cable)) = postgres_behind_a_cable().await else {
        return;
    };
    let limits = StoreLimits {
        connections: 10,
        timeout: Duration::from_secs(3),
    };
    let location = database.url.parse().unwrap();
    let store = store::open(&location, limits, StoreMetrics::default());
    let store = store.await.unwrap();
    let nobody = UserId([1; 16]);
    while store.pool_use().open < limits.connections {
        let crowd = (0..200).map(|_| store.find_user(nobody));
        join_all(crowd).await;
    }
    cable.silence();
    cable.mend();
    // From then on they are tested, each for half of what an operation may take.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(store.find_user(nobody).await.unwrap().is_none());
    assert_eq!(store.pool_use().open, 1, "the others went with the first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_ten_seconds_for_everything() {
    let Some((database, cable)) = postgres_behind_a_cable().await else {
        return;
    };
    let mut scene = Scene::on(&database, &[IMPATIENT]).await;
    cable.slow_down(Duration::from_secs(10));
    scene.turns_writers_away().await;
    scene.turns_readers_away().await;
    scene.is_not_ready().await;
    scene.goes_on().await;
    cable.slow_down(Duration::ZERO);
    scene.recovers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_that_was_committed_and_not_answered_is_answered_when_it_is_repeated() {
    let Some((database, cable)) = postgres_behind_a_cable().await else {
        return;
    };
    let scene = Scene::on(&database, &[IMPATIENT]).await;
    let session: uuid::Uuid = scene.tokens.sid.parse().unwrap();
    // The first has everything prepared that the next one needs.
    let first = Tokens::of(&scene.app.send(scene.refresh()).await);
    let refresh = || {
        let token = &first.refresh_token;
        scene.app.refresh_request(&scene.phone, token, &[])
    };
    cable.lose_the_answer_to(session.as_bytes());
    let unanswered = scene.app.send(refresh()).await;
    assert!(cable.has_lost_an_answer());
    assert!(is_told_to_come_back(&unanswered), "{unanswered:?}");
    let second = Tokens::of(&scene.app.send(refresh()).await);
    let repeated = scene.app.metric("tokensmith_refreshes_total", "repeated");
    assert!(repeated.await > 0.0, "the lost one was committed");
    let third = scene.app.refresh(&scene.phone, &second.refresh_token, &[]);
    assert_eq!(
        Tokens::of(&third.await).sid,
        second.sid,
        "the session lives"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_that_is_given_up_leaves_no_transaction_open_for_the_next_one() {
    let Some((database, cable)) = postgres_behind_a_cable().await else {
        return;
    };
    let limits = StoreLimits {
        connections: 1,
        timeout: Duration::from_secs(5),
    };
    let location = database.url.parse().unwrap();
    let store = store::open(&location, limits, StoreMetrics::default());
    let store = store.await.unwrap();
    let entropy = SystemEntropy::default();
    let now = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let record =
        || AuditRecord::new(AuditKind::ClientCreated, &Origin::SYSTEM, now, &entropy).unwrap();
    store.record(&record()).await.unwrap();
    let elsewhere = database.open().await;
    let everything = AuditFilter::default();
    // Given up at each step of the way: as it begins, in the middle, as it commits.
    for step in 0..5 {
        cable.slow_down(Duration::from_millis(20));
        let work = store.lease_status_numbers(1, now);
        let patience = Duration::from_millis(20 + 40 * step);
        assert!(timeout(patience, work).await.is_err(), "step {step}");
        cable.slow_down(Duration::ZERO);
        let single = record();
        store.record(&single).await.unwrap();
        let listed = elsewhere.list_audit(&everything, None, 100);
        let is_there = listed
            .await
            .unwrap()
            .iter()
            .any(|it| it.record.id == single.id);
        assert!(is_there, "what was answered is committed, step {step}");
    }
}
