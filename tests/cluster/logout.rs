//! Logouts. That the log of revocations is one for all replicas is in `service::instant_logout`; here it is
//! about time.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection, Executor, PgConnection};
use tokensmith_verify::revocation::STALE_AFTER;
use tokensmith_verify::{Freshness, Reject};
use tokio::sync::Mutex;

use crate::harness::wait;

use super::fleet::{EVERYWHERE_WITHIN, Fleet};

/// A logout at the first replica is honoured by the verifiers of all others within a second of its answer.
/// Each of them waits until the moment has come.
async fn logouts_are_honoured_in_time(fleet: &Fleet, times: usize, moment: impl AsyncFn()) {
    let at = &fleet.apps[0];
    let (phone, ada) = (at.phone().await, at.user("ada").await);
    let mut verifiers = Vec::new();
    for app in &fleet.apps {
        verifiers.push(fleet.verifier(app, Freshness::Strict).await);
    }
    let mut took = Vec::new();
    for _ in 0..times {
        let tokens = at.login(&phone, &ada).await;
        // A busy machine may have let one become stale; then it says so, and is fresh again soon.
        wait::until("every verifier accepts the token", || async {
            let mut verdicts = verifiers
                .iter()
                .map(|verifier| verifier.verify(&tokens.access_token));
            verdicts.all(|verdict| verdict.is_ok()).then_some(())
        })
        .await;
        moment().await;
        let answer = at.revoke(&phone, &tokens.refresh_token).await;
        assert_eq!(answer.status, 200);
        let answered_at = Instant::now();
        wait::within(STALE_AFTER, "every verifier has heard", || async {
            let dead = |verdict| matches!(verdict, Err(Reject::Revoked));
            let mut verdicts = verifiers
                .iter()
                .map(|verifier| verifier.verify(&tokens.access_token));
            verdicts.all(dead).then_some(())
        })
        .await;
        took.push(answered_at.elapsed());
    }
    took.sort_unstable();
    // One may be late: a machine that does other things at the same time.
    let slowest_but_one = took[took.len() - 2];
    assert!(slowest_but_one <= EVERYWHERE_WITHIN, "{took:?}");
    for verifier in &verifiers {
        assert_eq!(verifier.revocation().unwrap().stats().resyncs, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_at_one_replica_is_honoured_next_to_every_other_within_a_second() {
    let Some(fleet) = Fleet::of(3, &[]).await else {
        return;
    };
    // Another availability zone, and then some.
    fleet.cables[2].slow_down(Duration::from_millis(50));
    logouts_are_honoured_in_time(&fleet, 10, async || ()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_is_honoured_within_a_second_when_no_word_gets_through() {
    let Some(fleet) = Fleet::of(3, &[]).await else {
        return;
    };
    let connection = PgConnection::connect(&fleet.database.url).await;
    let connection = Mutex::new(connection.unwrap());
    let throw_out = async || {
        let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND query LIKE 'LISTEN %'";
        connection
            .lock()
            .await
            .fetch_all(ended)
            .await
            .unwrap()
            .len()
    };
    let thrown_out = AtomicUsize::new(0);
    // Whoever listens for word of other replicas is thrown out, as often as it comes back.
    let nobody_listens = async {
        loop {
            let ended = wait::until("somebody listens", || async {
                NonZero::new(throw_out().await)
            });
            thrown_out.fetch_add(ended.await.get(), Ordering::Relaxed);
        }
    };
    let logged_out_at = AtomicUsize::new(0);
    // Each has come back since the last logout, and is out again.
    let all_are_out = async || {
        let enough = logged_out_at.load(Ordering::Relaxed) + fleet.apps.len();
        let now = wait::until("all of them are out again", || async {
            let now = thrown_out.load(Ordering::Relaxed);
            (now >= enough).then_some(now)
        });
        logged_out_at.store(now.await, Ordering::Relaxed);
    };
    tokio::select! {
        () = logouts_are_honoured_in_time(&fleet, 5, all_are_out) => {}
        () = nobody_listens => {}
    }
}
