//! Replicas that come and go.

use crate::harness::{Database, TestApp, wait};

use super::fleet::{BusyFleet, EVERYWHERE_WITHIN};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_replicas_start_together_on_an_empty_database() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let replicas: Vec<TestApp> = (0..10).map(|_| TestApp::spawn(&database, &[])).collect();
    let mut key_sets = Vec::new();
    for replica in &replicas {
        replica.wait_until_ready().await;
    }
    for replica in &replicas {
        key_sets.push(replica.get("/.well-known/jwks.json").await.text);
    }
    assert!(
        key_sets.windows(2).all(|pair| pair[0] == pair[1]),
        "one key, known to all"
    );
    let client = replicas[0].orders().await;
    for replica in &replicas[1..] {
        wait::within(
            EVERYWHERE_WITHIN,
            "all replicas know the client",
            || async { (replica.token(&client, &[]).await.status == 200).then_some(()) },
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_is_noticed_by_nobody() {
    let Some(mut fleet) = BusyFleet::of(3, &[]).await else {
        return;
    };
    for _ in 0..2 {
        for number in 0..fleet.replicas.len() {
            fleet.goes_on().await;
            fleet.restart(number).await;
        }
    }
    fleet.goes_on().await;
    fleet.end_without_a_failure().await;
}
