//! Those who follow what is revoked.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use super::{Case, Scene};
use crate::harness::contract::{Contract, Documented};
use crate::harness::login::claims;
use crate::harness::{Database, TestApp, wait};

/// What has a place for so many readers, with a database or without.
pub(super) const FOR_READERS: [&str; 2] = ["followRevocations", "pollRevocations"];

impl Scene {
    /// What readers of revocations are answered.
    pub(super) fn revocation_cases(&self) -> Vec<Case> {
        let get = |path| self.app.request(Method::GET, path);
        let known = |path| get(path).header("if-none-match", "*");
        let list = || get("/status-lists/0");
        // Of an epoch that is over, so that the stream ends.
        let before = "after=1.0";
        let (stream, changes) = ("/revocation/stream", "/revocation/changes");
        let with = |path: &str, query: &str| {
            let path = format!("{path}?{query}");
            self.app.request(Method::GET, &path)
        };
        vec![
            ("listStatusLists", 200, get("/status-lists")),
            ("listStatusLists", 304, known("/status-lists")),
            ("readStatusList", 200, list()),
            ("readStatusList", 304, known("/status-lists/0")),
            ("readStatusList", 404, get("/status-lists/4095")),
            ("readStatusList", 406, list().header("accept", "text/html")),
            (
                "readStatusList",
                501,
                get("/status-lists/0?time=1763800000"),
            ),
            ("readRevocationSnapshot", 200, get("/revocation/snapshot")),
            ("readRevocationSnapshot", 304, known("/revocation/snapshot")),
            ("followRevocations", 200, with(stream, before)),
            ("followRevocations", 400, with(stream, "after=yesterday")),
            ("pollRevocations", 200, get(changes)),
            ("pollRevocations", 400, with(changes, "after=yesterday")),
            ("pollRevocations", 410, with(changes, before)),
        ]
    }
}

/// What readers are answered when the places are taken.
pub(super) async fn provoke_crowd(database: &Database) -> BTreeSet<Documented> {
    let settings = [
        ("TOKENSMITH_TRUSTED_PROXIES", "127.0.0.1"),
        ("TOKENSMITH_REVOCATION_STREAMS_PER_ADDRESS", "1"),
        ("TOKENSMITH_REVOCATION_MAX_STREAMS", "2"),
    ];
    let app = TestApp::start_with(database, &settings).await;
    let from = |address: &str, path: &str| {
        let request = app.request(Method::GET, path);
        request.header("x-forwarded-for", address)
    };
    let mut provoked = BTreeSet::new();
    let mut held = Vec::new();
    for (reader, address, status) in [
        ("192.0.2.1", "192.0.2.1", 429),
        ("192.0.2.2", "192.0.2.3", 503),
    ] {
        let stream = from(reader, "/revocation/stream").send().await.unwrap();
        assert_eq!(stream.status(), 200);
        held.push(stream);
        for path in ["/revocation/stream", "/revocation/changes"] {
            let reply = app.send(from(address, path)).await;
            assert_eq!(reply.status, status, "{}", reply.text);
            provoked.extend(reply.documented);
        }
    }
    provoked
}

#[tokio::test]
async fn the_claims_of_what_is_signed_about_revocations_are_the_documented_ones() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let list = app.get("/status-lists/0").await.text;
    let snapshot = app.get("/revocation/snapshot").await.text;
    let heartbeat = wait::until("there is a heartbeat", || async {
        let changes = app.get("/revocation/changes").await.json();
        changes["heartbeat"].as_str().map(str::to_owned)
    })
    .await;
    for (signed, schema) in [
        (list, "StatusList"),
        (snapshot, "Snapshot"),
        (heartbeat, "Heartbeat"),
    ] {
        let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
        let checked = Contract::committed().check_value(&schema, &claims(&signed));
        assert_eq!(checked, Ok(()), "{schema}");
    }
}
