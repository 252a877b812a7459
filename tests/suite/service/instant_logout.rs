//! Logout that offline verifiers honour, with real processes and the real verifier. Nothing here
//! sleeps: a test waits until the verifier has read as far as `Revocation-Seq` says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokensmith_cluster::Cable;
use tokensmith_verify::revocation::{Freshness, Position};
use tokensmith_verify::{Reject, Verifier};

use crate::harness::app::free_port;
use crate::harness::cable::behind_a_cable;
use crate::harness::command::run;
use crate::harness::login::{TestUser, Tokens};
use crate::harness::revocation::{accepted, position};
use crate::harness::{Database, Reply, TestApp, on_every_database, tokensmith, wait};

const AUDIENCE: &str = "https://api.example.com";
/// A verifier that has not heard for so long is cut off.
const PATIENCE: Duration = Duration::from_secs(10);

async fn verifier(app: &TestApp, freshness: Freshness) -> Verifier {
    Verifier::discover(&app.issuer)
        .jwks_uri(format!("{}/.well-known/jwks.json", app.address))
        .audience(AUDIENCE)
        .revocation(freshness)
        .revocation_from(&app.address)
        .token_cache(5_000)
        .connect()
        .await
        .unwrap()
}

fn seq(reply: &Reply) -> Position {
    position(&reply.headers)
}

/// Waits until the verifier has read what the answer speaks of.
async fn heard(verifier: &Verifier, reply: &Reply) {
    let reader = verifier.revocation().unwrap();
    let reached = reader.reached(seq(reply));
    tokio::time::timeout(PATIENCE, reached)
        .await
        .expect("the verifier follows");
}

fn is_dead(verifier: &Verifier, token: &str) -> bool {
    matches!(
        verifier.verify(token),
        Err(Reject::Revoked | Reject::CutOff)
    )
}

on_every_database! {
    async fn a_refresh_that_races_a_logout_leaves_no_token_alive(database) {
        const RACES: usize = 1_000;
        const AT_ONCE: usize = 20;
        let app = TestApp::start_with(&database, &CHEAP_PASSWORDS).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let verifier = verifier(&app, Freshness::Strict).await;
        let mut survivors = 0;
        let mut raced = 0;
        for _ in 0..RACES / AT_ONCE {
            // One after the other: many logins at once to one account look like guessing.
            let mut sessions = Vec::new();
            for _ in 0..AT_ONCE {
                sessions.push(app.login(&phone, &ada).await);
            }
            let races = sessions.into_iter().enumerate().map(|(number, tokens)| {
                let (app, phone, verifier) = (&app, &phone, &verifier);
                async move {
                    let refresh = app.refresh(phone, &tokens.refresh_token, &[]);
                    let logout = app.revoke(phone, &tokens.refresh_token);
                    // Either is asked first half of the time.
                    let (refreshed, logged_out) = if number % 2 == 0 {
                        let (refreshed, logged_out) = tokio::join!(refresh, logout);
                        (refreshed, logged_out)
                    } else {
                        let (logged_out, refreshed) = tokio::join!(logout, refresh);
                        (refreshed, logged_out)
                    };
                    assert_eq!(logged_out.status, 200);
                    heard(verifier, &logged_out).await;
                    let mut all = vec![tokens.access_token];
                    let won = refreshed.status == 200;
                    if won {
                        all.push(Tokens::of(&refreshed).access_token);
                    }
                    let alive = all.iter().filter(|token| !is_dead(verifier, token)).count();
                    (won, alive)
                }
            });
            for (won, alive) in futures_util::future::join_all(races).await {
                raced += usize::from(won);
                survivors += alive;
            }
        }
        assert_eq!(survivors, 0);
        assert!(raced > 0, "the refresh won now and then, or this was no race");
    }
}

/// What is tested here is not how slowly passwords are checked.
const CHEAP_PASSWORDS: [(&str, &str); 2] = [
    ("TOKENSMITH_PASSWORDS_MEMORY_KIB", "8192"),
    ("TOKENSMITH_PASSWORDS_ITERATIONS", "1"),
];

/// Two replicas of one issuer.
async fn two_replicas(database: &Database) -> (TestApp, TestApp) {
    let issuer = format!("http://127.0.0.1:{}", free_port());
    let settings = [("TOKENSMITH_ISSUER", issuer.as_str())];
    let first = TestApp::start_with(database, &settings).await;
    let second = TestApp::start_with(database, &settings).await;
    (first, second)
}

async fn eventually_known(app: &TestApp, phone: &crate::harness::app::TestClient, ada: &TestUser) {
    wait::until("the replica knows the client", || async {
        (app.challenge(phone, ada, &[]).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_revokes_a_verifier_at_the_other_rejects() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let (first, second) = two_replicas(&database).await;
    let (phone, ada) = (first.phone().await, first.user("ada").await);
    let verifier = verifier(&second, Freshness::Strict).await;
    for _ in 0..20 {
        let tokens = first.login(&phone, &ada).await;
        accepted(&verifier, &tokens.access_token).await;
        let answer = first.revoke(&phone, &tokens.refresh_token).await;
        heard(&verifier, &answer).await;
        assert!(is_dead(&verifier, &tokens.access_token));
    }
    assert_eq!(
        verifier.revocation().unwrap().stats().resyncs,
        0,
        "one log for both replicas"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_killed_with_revocations_in_flight_loses_none_and_doubles_none() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let (mut first, second) = two_replicas(&database).await;
    let (phone, ada) = (first.phone().await, first.user("ada").await);
    eventually_known(&second, &phone, &ada).await;
    let verifier = verifier(&second, Freshness::Strict).await;
    let start = verifier.revocation().unwrap().position();
    let mut sessions = Vec::new();
    for _ in 0..120 {
        sessions.push(second.login(&phone, &ada).await);
    }
    // Eight at a time, one after the other, so that some are always somewhere between arrival and
    // answer.
    let count = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = sessions
        .chunks(sessions.len() / 8)
        .map(|share| {
            let requests: Vec<_> = share
                .iter()
                .map(|tokens| {
                    let form = [("token", tokens.refresh_token.as_str())];
                    (tokens.clone(), first.form(&phone, "/oauth/revoke", &form))
                })
                .collect();
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut answered = Vec::new();
                for (tokens, request) in requests {
                    let response = request.send().await;
                    if response.is_ok_and(|response| response.status() == 200) {
                        count.fetch_add(1, Ordering::Relaxed);
                        answered.push(tokens);
                    }
                }
                answered
            })
        })
        .collect();
    wait::until("some are answered", || async {
        (count.load(Ordering::Relaxed) >= 8).then_some(())
    })
    .await;
    first.signal("KILL");
    first.exit().await;
    let mut answered = Vec::new();
    for worker in workers {
        answered.extend(worker.await.unwrap());
    }
    assert!(
        answered.len() < sessions.len(),
        "it was killed too late to prove anything"
    );
    // The survivor numbers what the dead one had committed.
    let settled = second.revoke(&phone, "tsr1_unknown").await;
    heard(&verifier, &settled).await;
    for tokens in &answered {
        assert!(
            is_dead(&verifier, &tokens.access_token),
            "answered, and lost"
        );
    }
    // What the database says is over is what the log says, each once.
    let admin = second.admin_token().await;
    let path = format!("/api/admin/users/{}/sessions", ada.id);
    let live = second
        .with_token(&admin, Method::GET, &path, None)
        .await
        .json();
    let live: Vec<&str> = live["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|session| session["sid"].as_str())
        .collect();
    for tokens in &sessions {
        let is_over = !live.contains(&tokens.sid.as_str());
        assert_eq!(
            is_dead(&verifier, &tokens.access_token),
            is_over,
            "{}",
            tokens.sid
        );
    }
    // Events come as far as the latest heartbeat.
    let over = sessions.len() - live.len();
    let revoked = wait::until("the log tells of all", || async {
        let revoked = revoked_since(&second, start).await;
        (revoked.len() >= over).then_some(revoked)
    })
    .await;
    assert!(revoked.values().all(|times| *times == 1), "{revoked:?}");
    assert_eq!(revoked.len(), over);
}

/// How often each index was revoked after a position, by the log; it must have no gap.
async fn revoked_since(app: &TestApp, start: Position) -> BTreeMap<(String, u64), usize> {
    let changes = app
        .get(&format!("/revocation/changes?after={start}"))
        .await
        .json();
    let mut revoked = BTreeMap::new();
    let mut expected = start.seq;
    for event in changes["events"].as_array().unwrap() {
        let position: Position = event["id"].as_str().unwrap().parse().unwrap();
        expected += 1;
        assert_eq!(position.seq, expected, "a gap");
        let data: Value = serde_json::from_str(event["data"].as_str().unwrap()).unwrap();
        if event["event"] == "delta" {
            let list = data["list"].as_str().unwrap();
            for idx in data["idx"].as_array().unwrap() {
                let index = (list.to_owned(), idx.as_u64().unwrap());
                *revoked.entry(index).or_default() += 1;
            }
        }
    }
    revoked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_begins_a_new_epoch_and_a_cut_off_ends_what_it_brought_back() {
    let database = Database::sqlite();
    let port = free_port().to_string();
    let listen = format!("127.0.0.1:{port}");
    let issuer = format!("http://{listen}");
    let settings = [
        ("TOKENSMITH_LISTEN", listen.as_str()),
        ("TOKENSMITH_ISSUER", issuer.as_str()),
    ];
    let mut app = TestApp::start_with(&database, &settings).await;
    let (phone, ada) = (app.phone().await, app.user("ada").await);
    let verifier = verifier(&app, Freshness::UntilExpiry).await;
    let tokens = app.login(&phone, &ada).await;
    stop(&mut app).await;
    let file = database.url.strip_prefix("sqlite:").unwrap().to_owned();
    std::fs::copy(&file, format!("{file}.backup")).unwrap();

    let mut app = TestApp::start_with(&database, &settings).await;
    let answer = app.revoke(&phone, &tokens.refresh_token).await;
    heard(&verifier, &answer).await;
    let before = seq(&answer);
    stop(&mut app).await;
    std::fs::rename(format!("{file}.backup"), &file).unwrap();

    let mut app = TestApp::start_with(&database, &settings).await;
    let refreshed = app.refresh(&phone, &tokens.refresh_token, &[]).await;
    assert_eq!(
        refreshed.status, 200,
        "the ended session is back, as the guide warns"
    );
    let again = Tokens::of(&refreshed);
    // The verifier gives nothing back to life before it has proof that the log begins anew.
    wait::until("so are its tokens", || async {
        verifier.verify(&again.access_token).is_ok().then_some(())
    })
    .await;
    let cut = app.run(&["session", "cut-off", "--before", "now", "--json"]);
    assert_eq!(cut.code, 0, "{}", cut.err);
    wait::until("the session cannot go on", || async {
        let refused = app.refresh(&phone, &again.refresh_token, &[]).await;
        (refused.status == 400).then_some(())
    })
    .await;
    let settled = app.revoke(&phone, "tsr1_unknown").await;
    assert!(seq(&settled).epoch > before.epoch, "no number comes twice");
    heard(&verifier, &settled).await;
    assert!(
        is_dead(&verifier, &again.access_token),
        "nor can what it got before"
    );
    let fresh = app.login(&phone, &ada).await;
    verifier
        .verify(&fresh.access_token)
        .expect("whoever signs in anew goes on");
    stop(&mut app).await;
}

async fn stop(app: &mut TestApp) {
    app.signal("TERM");
    app.exit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verifier_that_is_cut_off_does_what_its_policy_says() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let client = app.orders().await;
    let server = app.address.strip_prefix("http://").unwrap();
    let cable = Cable::to(server.to_owned()).await.unwrap();
    let strict = Verifier::discover(&app.issuer)
        .jwks_uri(format!("{}/.well-known/jwks.json", app.address))
        .audience(AUDIENCE)
        .revocation(Freshness::Strict)
        .revocation_from(format!("http://127.0.0.1:{}", cable.port))
        .connect()
        .await
        .unwrap();
    let grace = strict.with_freshness(Freshness::Grace(Duration::from_secs(1)));
    let lenient = strict.with_freshness(Freshness::UntilExpiry);
    let token = app.access_token(&client).await;
    for verifier in [&strict, &grace, &lenient] {
        accepted(verifier, &token).await;
    }
    let cut_at = std::time::Instant::now();
    cable.cut();
    let stale_after = async |verifier: &Verifier| {
        wait::until("the verifier is stale", || async {
            matches!(verifier.verify(&token), Err(Reject::RevocationStale)).then_some(())
        })
        .await;
        cut_at.elapsed()
    };
    let strict = stale_after(&strict).await;
    assert!(strict <= Duration::from_millis(2_500), "{strict:?}");
    let grace = stale_after(&grace).await;
    assert!(
        grace > strict && grace <= Duration::from_millis(3_500),
        "{grace:?}"
    );
    assert!(
        lenient.verify(&token).is_ok(),
        "goes on until the token expires"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_cannot_reach_its_database_does_not_say_that_nothing_is_missing() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let (database, cable) = behind_a_cable(database).await;
    let app = TestApp::start(&database).await;
    let client = app.orders().await;
    let verifier = verifier(&app, Freshness::Strict).await;
    let token = app.access_token(&client).await;
    accepted(&verifier, &token).await;
    let cut_at = std::time::Instant::now();
    cable.expect("PostgreSQL is behind one").cut();
    wait::until(
        "the verifier is stale, although its stream is open",
        || async { matches!(verifier.verify(&token), Err(Reject::RevocationStale)).then_some(()) },
    )
    .await;
    // A second until the replica stops, two until the verifier minds.
    assert!(
        cut_at.elapsed() < Duration::from_secs(4),
        "{:?}",
        cut_at.elapsed()
    );
    assert_eq!(
        app.get("/healthz").await.status,
        200,
        "the service itself is there"
    );
}

#[test]
fn the_demo_tells_the_whole_story_with_its_timings() {
    let said = run(&mut tokensmith(&["demo"]));
    assert_eq!(said.code, 0, "{}", said.err);
    for line in [
        "without a network call",
        "the very same refresh token",
        "refused, and the session",
        "all five devices",
    ] {
        assert!(said.out.contains(line), "{line} is missing:\n{}", said.out);
    }
    let said = run(&mut tokensmith(&["demo", "--json"]));
    let steps: Value = serde_json::from_str(&said.out).unwrap();
    let steps = steps.as_array().unwrap();
    assert_eq!(steps.len(), 13);
    for step in steps {
        assert!(step["took_microseconds"].as_f64().unwrap() > 0.0, "{step}");
    }
    let heard = steps
        .iter()
        .filter(|step| step["revocation_seq"].is_string())
        .count();
    assert_eq!(heard, 3, "a logout, a theft, everything");
}

on_every_database! {
    async fn a_token_that_was_got_after_the_instant_of_a_cut_off_dies_with_its_session(database) {
        let app = TestApp::start(&database).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let verifier = verifier(&app, Freshness::Strict).await;
        let before = app.login(&phone, &ada).await;
        // The second after the one in which the session began.
        let instant = issued_at(&before) + 1;
        let during = wait::until("a token of a later second", || async {
            let tokens = Tokens::of(&app.refresh(&phone, &before.refresh_token, &[]).await);
            (issued_at(&tokens) > instant + 1).then_some(tokens)
        })
        .await;
        let after = app.login(&phone, &ada).await;
        let instant = chrono::DateTime::from_timestamp(instant, 0).unwrap().to_rfc3339();
        let cut = app.run(&["session", "cut-off", "--before", &instant]);
        assert_eq!(cut.code, 0, "{}", cut.err);
        let settled = app.revoke(&phone, "tsr1_unknown").await;
        heard(&verifier, &settled).await;
        assert!(is_dead(&verifier, &before.access_token), "issued before");
        assert!(is_dead(&verifier, &during.access_token), "of a session from before");
        // Whoever signed in after it goes on.
        accepted(&verifier, &after.access_token).await;
        assert_eq!(app.refresh(&phone, &during.refresh_token, &[]).await.status, 400);
        assert_eq!(app.refresh(&phone, &after.refresh_token, &[]).await.status, 200);
    }
}

fn issued_at(tokens: &Tokens) -> i64 {
    crate::harness::login::claims(&tokens.access_token)["iat"]
        .as_i64()
        .unwrap()
}
