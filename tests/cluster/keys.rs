//! Signing keys, seen by verifiers that fetch the key set. That scheduled rotations are noticed by
//! nobody on either database is in `service::replicas`.

use std::time::{Duration, Instant};

use tokensmith_cluster::command;
use tokensmith_verify::{Freshness, Reject};

use crate::harness::app::TestClient;
use crate::harness::revocation::accepted;
use crate::harness::{TestApp, wait};

use super::fleet::{AUDIENCE, BusyFleet, EVERYWHERE_WITHIN, Fleet};

/// The shortest that verifiers can follow.
const QUICK: [(&str, &str); 2] = [
    ("TOKENSMITH_JWKS_MAX_AGE", "1s"),
    ("TOKENSMITH_KEYS_LEAD_TIME", "3s"),
];

/// How many keys have signed what the clients got.
fn signers(fleet: &BusyFleet) -> usize {
    fleet.load.so_far().signers.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotations_under_load_are_noticed_by_nobody() {
    let Some(fleet) = BusyFleet::of(3, &QUICK).await else {
        return;
    };
    let settings = fleet.replicas[0].settings().clone();
    for number in 1..=2 {
        fleet.goes_on().await;
        assert_eq!(signers(&fleet), number);
        command(&settings, &["keys", "rotate"]).await.unwrap();
        wait::until("the next key signs", || async {
            (signers(&fleet) == number + 1).then_some(())
        })
        .await;
    }
    fleet.goes_on().await;
    let counts = fleet.end_without_a_failure().await;
    assert_eq!(counts.signers.len(), 3, "{counts}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_by_itself_under_load_is_noticed_by_nobody() {
    let period = [("TOKENSMITH_KEYS_ROTATION_PERIOD", "5s")];
    let settings = [&QUICK[..], &period].concat();
    let Some(fleet) = BusyFleet::of(3, &settings).await else {
        return;
    };
    wait::until("keys have come and gone", || async {
        (signers(&fleet) >= 3).then_some(())
    })
    .await;
    fleet.goes_on().await;
    fleet.end_without_a_failure().await;
}

/// Who signed, between when and when.
struct Signed {
    asked_at: Instant,
    answered_at: Instant,
    key: String,
}

/// Asks for tokens until some time after another key has begun to sign.
async fn watch_the_switch(app: &TestApp, client: &TestClient) -> Vec<Signed> {
    let mut all: Vec<Signed> = Vec::new();
    let mut after_it = 0;
    while after_it < 20 {
        let asked_at = Instant::now();
        let token = app.access_token(client).await;
        let key = token.split('.').next().unwrap().to_owned();
        after_it += usize::from(all.first().is_some_and(|first| first.key != key));
        all.push(Signed {
            asked_at,
            answered_at: Instant::now(),
            key,
        });
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_replicas_begin_to_sign_with_the_next_key_at_the_same_instant() {
    let Some(fleet) = Fleet::of(3, &QUICK).await else {
        return;
    };
    let [first, second, third] = &fleet.apps[..] else {
        panic!("three replicas");
    };
    let client = first.client("orders", &["--audience", AUDIENCE]).await;
    fleet
        .everywhere("the client is there", async |app| {
            app.token(&client, &[]).await.status == 200
        })
        .await;
    assert_eq!(second.run(&["keys", "rotate"]).code, 0);
    let watched = async {
        tokio::join!(
            watch_the_switch(first, &client),
            watch_the_switch(second, &client),
            watch_the_switch(third, &client)
        )
    };
    let watched = tokio::time::timeout(Duration::from_secs(20), watched).await;
    let (one, two, three) = watched.expect("the next key signs");
    let old = one[0].key.clone();
    let all: Vec<Signed> = one.into_iter().chain(two).chain(three).collect();
    let switched_by = all.iter().filter(|signed| signed.key != old);
    let switched_by = switched_by.map(|signed| signed.answered_at).min().unwrap();
    // The instant is in the row of the key, so no clock but the one of this machine has a say.
    let late = all
        .iter()
        .filter(|signed| signed.key == old && signed.asked_at > switched_by);
    assert_eq!(
        late.count(),
        0,
        "asked after the switch, signed by the old key"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_in_an_emergency_is_everywhere_at_once_when_every_replica_publishes_it() {
    let Some(fleet) = Fleet::of(3, &[]).await else {
        return;
    };
    let client = fleet.apps[0]
        .client("orders", &["--audience", AUDIENCE])
        .await;
    let signer = async |app: &TestApp| {
        let reply = app.token(&client, &[]).await;
        let token = reply.json()["access_token"].as_str()?.to_owned();
        Some(token.split('.').next()?.to_owned())
    };
    fleet
        .everywhere("the client is there", async |app| {
            signer(app).await.is_some()
        })
        .await;
    let old = signer(&fleet.apps[0]).await;
    assert_eq!(fleet.apps[1].run(&["keys", "rotate", "--now"]).code, 0);
    wait::until("the new key signs", || async {
        (signer(&fleet.apps[0]).await != old).then_some(())
    })
    .await;
    fleet
        .everywhere("the new key signs", async |app| signer(app).await != old)
        .await;
}

fn kid(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

async fn is_published(app: &TestApp, kid: &str) -> bool {
    let jwks = app.get("/.well-known/jwks.json").await.json();
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter().any(|key| key["kid"] == kid)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_withdrawn_at_one_replica_is_dead_everywhere_within_a_second() {
    let Some(fleet) = Fleet::of(3, &[]).await else {
        return;
    };
    let [at, elsewhere, _] = &fleet.apps[..] else {
        panic!("three replicas");
    };
    let client = at.client("orders", &["--audience", AUDIENCE]).await;
    fleet
        .everywhere("the client is there", async |app| {
            app.token(&client, &[]).await.status == 200
        })
        .await;
    let stolen = elsewhere.access_token(&client).await;
    let verifier = fleet.verifier(elsewhere, Freshness::Strict).await;
    accepted(&verifier, &stolen).await;
    let withdrawn = kid(&stolen);
    for app in &fleet.apps {
        assert!(is_published(app, &withdrawn).await);
    }

    assert_eq!(at.run(&["keys", "revoke", &withdrawn]).code, 0);
    let heard = wait::within(EVERYWHERE_WITHIN, "its tokens are refused", || async {
        // Cut off, and soon not even known.
        let verdict = verifier.verify(&stolen);
        matches!(verdict, Err(Reject::CutOff | Reject::UnknownKid)).then_some(())
    });
    let gone = fleet.everywhere("it is not published and does not sign", async |app| {
        let signer = kid(&app.access_token(&client).await);
        signer != withdrawn && !is_published(app, &withdrawn).await
    });
    tokio::join!(heard, gone);

    for app in &fleet.apps {
        let next = app.access_token(&client).await;
        assert_ne!(kid(&next), withdrawn);
        wait::within(EVERYWHERE_WITHIN, "the next key is known", || async {
            verifier.verify_waiting::<()>(&next).await.ok().map(drop)
        })
        .await;
        verifier.verify(&stolen).unwrap_err();
    }
}
