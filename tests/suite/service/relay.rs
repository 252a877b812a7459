//! `tokensmith relay`: what readers of a relay get is what readers of the service get.

use std::fs::File;
use std::process::{Child, Command};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tokensmith_verify::revocation::sse::Message;
use tokensmith_verify::revocation::{Freshness, Position};
use tokensmith_verify::{Reject, Verifier};

use super::revocation_stream::{Reading, revoke_something};
use crate::harness::app::free_port;
use crate::harness::command::run;
use crate::harness::revocation::{accepted, position};
use crate::harness::{Database, TestApp, tokensmith, wait};

/// A relay, killed when it is dropped.
struct Relay {
    address: String,
    process: Child,
    http: Client,
}

impl Relay {
    fn of(upstream: &str, database: &Database) -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let log = database.home.path().join("relay.log");
        let process = tokensmith(&["relay", "--upstream", upstream, "--listen", &listen])
            .current_dir(database.home.path())
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap();
        Self {
            address: format!("http://{listen}"),
            process,
            http: Client::builder().no_proxy().build().unwrap(),
        }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.address))
    }

    async fn is_ready(&self) -> bool {
        let reply = self.get("/readyz").send().await;
        reply.is_ok_and(|reply| reply.status().is_success())
    }

    async fn wait_until_ready(&self) {
        wait::until("the relay is ready", || async {
            self.is_ready().await.then_some(())
        })
        .await;
    }

    fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

#[tokio::test]
async fn readers_of_a_relay_get_what_readers_of_the_service_get() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let first = revoke_something(&app, "ada").await;
    let relay = Relay::of(&app.address, &database);
    relay.wait_until_ready().await;

    // What was revoked before the relay was started is there, too.
    let path = format!("/revocation/stream?after={}.0", first.epoch);
    let mut here = Reading::begin(relay.get(&path)).await;
    let mut there = Reading::begin(app.request(Method::GET, &path)).await;
    let second = revoke_something(&app, "grace").await;
    loop {
        let event = there.next_of_the_log().await;
        assert_eq!(here.next_of_the_log().await, event);
        let Some(Message::Frame(frame)) = event else {
            panic!("{event:?}");
        };
        if frame.position == second {
            break;
        }
    }

    for (path, position) in [
        ("/revocation/snapshot", Some(second)),
        ("/status-lists/0", Some(second)),
        ("/status-lists", None),
    ] {
        // What is kept of before is a second old at the most, or ten.
        let document = wait::until("the document is of now", || async {
            let document = relay.get(path).send().await.unwrap();
            assert_eq!(document.status(), 200);
            assert_eq!(document.headers()["access-control-allow-origin"], "*");
            let etag = document.headers()["etag"].clone();
            let media_type = document.headers()["content-type"].clone();
            let text = document.text().await.unwrap();
            let is_current = position.is_none_or(|position| stands_at(&text) >= position);
            is_current.then_some((etag, media_type, text))
        });
        let (etag, media_type, _) = document.await;
        let original = app.request(Method::GET, path).send().await.unwrap();
        assert_eq!(original.headers()["content-type"], media_type);
        let known = relay.get(path).header("if-none-match", etag);
        assert_eq!(known.send().await.unwrap().status(), 304, "{path}");
    }
    for path in [
        "/status-lists/4711",
        "/status-lists/01",
        "/oauth/token",
        "/",
    ] {
        let answer = relay.get(path).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
        let any_origin = answer.headers().get("access-control-allow-origin");
        let is_public = path.starts_with("/status-lists/");
        assert_eq!(any_origin.is_some(), is_public, "{path}");
    }
    let metrics = relay
        .get("/metrics")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let seq = format!("tokensmith_revocation_seq {}\n", second.seq);
    assert!(metrics.contains(&seq), "{metrics}");
}

#[tokio::test]
async fn readers_of_a_relay_go_on_when_the_service_was_away() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let mut relay = Relay::of(&app.address, &database);
    relay.wait_until_ready().await;
    let mut reading = Reading::begin(relay.get("/revocation/stream")).await;
    assert!(matches!(reading.next().await, Some(Message::Heartbeat(_))));

    // It neither answers nor closes its connections.
    app.signal("STOP");
    wait::until("the relay notices", || async {
        (!relay.is_ready().await).then_some(())
    })
    .await;
    app.signal("CONT");
    relay.wait_until_ready().await;
    let position = revoke_something(&app, "ada").await;
    let event = reading.next_of_the_log().await;
    let Some(Message::Frame(frame)) = event else {
        panic!("{event:?} is no event of the log");
    };
    assert_eq!(
        frame.position, position,
        "on the same stream, and without a reset"
    );

    // Its own end is quick, and its streams just end.
    relay.signal("TERM");
    assert_eq!(reading.next_of_the_log().await, None);
    let exit = tokio::task::spawn_blocking(move || relay.process.wait().unwrap());
    let exit = tokio::time::timeout(Duration::from_secs(5), exit).await;
    assert_eq!(exit.expect("the relay ends").unwrap().code(), Some(0));
}

#[test]
fn plain_http_is_refused_unless_it_is_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let relay = |upstream: &str| {
        let mut command = tokensmith(&["relay", "--upstream", upstream]);
        run(command.current_dir(directory.path()))
    };
    let said = relay("http://auth.example.com");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("--allow-plain-http"), "{}", said.err);
    let said = relay("auth.example.com");
    assert!(
        said.err.contains("is not the URL of an issuer"),
        "{}",
        said.err
    );
}

/// Where a signed document says that it was made.
fn stands_at(jws: &str) -> Position {
    let claims = jws.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    Position {
        epoch: claims["epoch"].as_u64().unwrap(),
        seq: claims["seq"].as_u64().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verifier_behind_a_relay_honours_a_logout_and_is_stale_without_the_upstream() {
    let database = Database::sqlite();
    let mut app = TestApp::start(&database).await;
    let (phone, ada) = (app.phone().await, app.user("ada").await);
    let relay = Relay::of(&app.address, &database);
    relay.wait_until_ready().await;
    let verifier = Verifier::discover(&app.issuer)
        .audience("https://api.example.com")
        .revocation(Freshness::Strict)
        .revocation_from(&relay.address)
        .connect()
        .await
        .unwrap();
    let (lost, kept) = (app.login(&phone, &ada).await, app.login(&phone, &ada).await);
    accepted(&verifier, &lost.access_token).await;
    let answer = app.revoke(&phone, &lost.refresh_token).await;
    let reader = verifier.revocation().unwrap();
    let reached = reader.reached(position(&answer.headers));
    tokio::time::timeout(Duration::from_secs(10), reached)
        .await
        .expect("the verifier follows");
    assert_eq!(
        verifier.verify(&lost.access_token).unwrap_err(),
        Reject::Revoked
    );
    accepted(&verifier, &kept.access_token).await;
    app.signal("KILL");
    app.exit().await;
    wait::until("the verifier is stale", || async {
        let verdict = verifier.verify(&kept.access_token);
        matches!(verdict, Err(Reject::RevocationStale)).then_some(())
    })
    .await;
}
