//! Changes of clients.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokensmith_verify::Freshness;

use crate::harness::app::TestClient;
use crate::harness::command::run;
use crate::harness::login::Tokens;
use crate::harness::{TestApp, wait};

use super::fleet::{AUDIENCE, EVERYWHERE_WITHIN, Fleet};

/// What a replica answers a client that asks for nothing: 400 if it knows it. One whose tokens were taken
/// back a moment ago would wait for a token.
async fn status(app: &TestApp, client: &TestClient) -> u16 {
    let asked = app.form(client, "/oauth/token", &[("grant_type", "unknown")]);
    app.send(asked).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_changes_about_a_client_is_true_everywhere_within_a_second() {
    let Some(fleet) = Fleet::of(3, &[]).await else {
        return;
    };
    // On a machine of its own, so to speak.
    fleet.cables[2].slow_down(Duration::from_millis(20));
    let at = &fleet.apps[0];
    let admin = at.admin_token().await;
    let change = async |method, path: &str, body| {
        let reply = at.admin(&admin, method, path, body).await;
        assert!(reply.status.is_success(), "{path}: {}", reply.text);
        reply
    };
    let registration = json!({
        "client_id": "billing",
        "grant_types": ["client_credentials"],
        "scope": "bills:read",
        "audiences": [AUDIENCE],
    });
    let created = change(Method::POST, "/clients", Some(registration)).await;
    let secret = |reply: &crate::harness::Reply| TestClient {
        id: "billing".to_owned(),
        secret: reply.json()["client_secret"].as_str().unwrap().to_owned(),
    };
    let first = secret(&created);
    fleet
        .everywhere("the client is there", async |app| {
            status(app, &first).await == 400
        })
        .await;
    let overlap = Some(json!({ "overlap_seconds": 0 }));
    let rotated = change(Method::POST, "/clients/billing/rotate-secret", overlap).await;
    let second = secret(&rotated);
    fleet
        .everywhere(
            "the new secret works, and the old one no longer",
            async |app| status(app, &second).await == 400 && status(app, &first).await == 401,
        )
        .await;
    for (act, wanted) in [("disable", 401), ("enable", 400)] {
        change(Method::POST, &format!("/clients/billing/{act}"), None).await;
        fleet
            .everywhere(act, async |app| status(app, &second).await == wanted)
            .await;
    }
    change(Method::DELETE, "/clients/billing", None).await;
    fleet
        .everywhere("the client is gone", async |app| {
            status(app, &second).await == 401
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_command_changes_about_a_client_is_true_everywhere_within_a_second() {
    let Some(fleet) = Fleet::of(3, &[]).await else {
        return;
    };
    let at = &fleet.apps[1];
    let arguments = ["client", "create", "--id", "billing", "--json"];
    let kind = ["--grant", "client_credentials", "--audience", AUDIENCE];
    let created = at.run(&[&arguments[..], &kind].concat()).json();
    let client = |said: &serde_json::Value| TestClient {
        id: "billing".to_owned(),
        secret: said["client_secret"].as_str().unwrap().to_owned(),
    };
    let first = client(&created);
    fleet
        .everywhere("the client is there", async |app| {
            status(app, &first).await == 400
        })
        .await;
    let rotated = at
        .run(&["client", "rotate-secret", "billing", "--json"])
        .json();
    let second = client(&rotated);
    fleet
        .everywhere("both secrets work", async |app| {
            status(app, &second).await == 400 && status(app, &first).await == 400
        })
        .await;
    for (act, wanted) in [("disable", 401), ("enable", 400), ("delete", 401)] {
        assert_eq!(at.run(&["client", act, "billing"]).code, 0, "{act}");
        fleet
            .everywhere(act, async |app| status(app, &second).await == wanted)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_client_stops_working_on_every_replica() {
    let Some(fleet) = Fleet::of(3, &[]).await else {
        return;
    };
    let at = &fleet.apps[0];
    let ada = at.user("ada").await;
    let kind = ["--first-party", "--resource-server", AUDIENCE];
    let further = ["--grant", "client_credentials"];
    let api = at
        .app_for_people("api", &[&kind[..], &further].concat())
        .await;
    let orders = at.orders().await;
    // A session for each replica, and a token of somebody else that may be asked about.
    let mut sessions = Vec::new();
    for _ in &fleet.apps {
        sessions.push(at.login(&api, &ada).await);
    }
    let token = at.access_token(&orders).await;
    fleet
        .everywhere("it works", async |app| {
            status(app, &api).await == 400 && app.introspect(&api, &token).await.status == 200
        })
        .await;
    assert_eq!(at.run(&["client", "disable", "api"]).code, 0);
    fleet
        .everywhere("no token", async |app| status(app, &api).await == 401)
        .await;
    for app in &fleet.apps {
        assert_eq!(
            app.token(&api, &[]).await.error(),
            (401, "invalid_client".into())
        );
    }
    for (app, session) in fleet.apps.iter().zip(&sessions) {
        let refreshed = app.refresh(&api, &session.refresh_token, &[]).await;
        assert_eq!(refreshed.error(), (401, "invalid_client".into()));
        let asked = app.introspect(&api, &token).await;
        assert_eq!(asked.error(), (401, "invalid_client".into()));
        let login = app.challenge(&api, &ada, &[]).await;
        assert_eq!(login.error(), (401, "invalid_client".into()));
        assert_eq!(status(app, &orders).await, 400, "nobody else is concerned");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_outlives_the_end_of_its_client() {
    let Some(fleet) = Fleet::of(3, &[]).await else {
        return;
    };
    let verifier = fleet.verifier(&fleet.apps[0], Freshness::UntilExpiry).await;
    for act in ["disable", "delete"] {
        let client = fleet.apps[0].client(act, &["--audience", AUDIENCE]).await;
        fleet
            .everywhere("the client is there", async |app| {
                status(app, &client).await == 400
            })
            .await;
        let (fleet, client) = (&fleet, &client);
        // Until they are refused. Some of them are held back: a token that was made at that moment would
        // be dead at once. What they get in the end must not be a token that lives.
        let greedy = fleet
            .apps
            .iter()
            .flat_map(|app| [app; 8])
            .map(|app| async move {
                let mut tokens = Vec::new();
                loop {
                    let reply = app.token(client, &[]).await;
                    if reply.status != 200 {
                        assert_eq!(reply.error(), (401, "invalid_client".into()));
                        return tokens;
                    }
                    tokens.push(reply.json()["access_token"].as_str().unwrap().to_owned());
                }
            });
        let ended = async {
            wait::until("all replicas sign for it", || async {
                let issued = fleet.apps.iter().map(|app| async {
                    app.metric("tokensmith_tokens_issued_total", act).await > 20.0
                });
                let issued = join_all(issued).await;
                issued.into_iter().all(|enough| enough).then_some(())
            })
            .await;
            // In a process of its own, while the others go on.
            let mut command = fleet.apps[0].command(&["client", act, &client.id]);
            let ended = tokio::task::spawn_blocking(move || run(&mut command));
            assert_eq!(ended.await.unwrap().code, 0);
        };
        let (tokens, ()) = tokio::join!(join_all(greedy), ended);
        let tokens = tokens.concat();
        assert!(tokens.len() > 60, "{}", tokens.len());
        wait::within(EVERYWHERE_WITHIN, "all of its tokens are dead", || async {
            let alive = tokens.iter().filter(|token| verifier.verify(token).is_ok());
            (alive.count() == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_refreshed_token_outlives_the_end_of_its_client() {
    let Some(fleet) = Fleet::of(3, &[]).await else {
        return;
    };
    let at = &fleet.apps[0];
    let verifier = fleet.verifier(at, Freshness::UntilExpiry).await;
    let (phone, ada) = (at.phone().await, at.user("ada").await);
    fleet
        .everywhere("the app is there", async |app| {
            status(app, &phone).await == 400
        })
        .await;
    let mut sessions = Vec::new();
    for app in fleet.apps.iter().flat_map(|app| [app; 4]) {
        sessions.push((app, at.login(&phone, &ada).await));
    }
    let refreshed = AtomicUsize::new(0);
    // Each until it is refused, and then the last of its tokens. An app whose tokens were taken back just
    // now is held back until it would get one that lives; this one must not get it.
    let greedy = sessions.into_iter().map(async |(app, mut tokens)| {
        loop {
            let reply = app.refresh(&phone, &tokens.refresh_token, &[]).await;
            if reply.status != 200 {
                assert_eq!(reply.error(), (401, "invalid_client".into()));
                return tokens.access_token;
            }
            tokens = Tokens::of(&reply);
            refreshed.fetch_add(1, Ordering::Relaxed);
        }
    });
    let ended = async {
        wait::until("all refresh", || async {
            (refreshed.load(Ordering::Relaxed) > 50).then_some(())
        })
        .await;
        let mut command = at.command(&["client", "disable", "phone"]);
        let ended = tokio::task::spawn_blocking(move || run(&mut command));
        assert_eq!(ended.await.unwrap().code, 0);
    };
    let (tokens, ()) = tokio::join!(join_all(greedy), ended);
    wait::within(EVERYWHERE_WITHIN, "all of its tokens are dead", || async {
        let alive = tokens.iter().filter(|token| verifier.verify(token).is_ok());
        (alive.count() == 0).then_some(())
    })
    .await;
}
