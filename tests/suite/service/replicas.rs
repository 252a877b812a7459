//! Several processes over one database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokensmith_verify::Verifier;

use crate::harness::{Database, TestApp, on_every_database, wait};

on_every_database! {
    async fn several_processes_start_together_on_one_empty_database(database) {
        let replicas: Vec<TestApp> = (0..4).map(|_| TestApp::spawn(&database, &[])).collect();
        for replica in &replicas {
            replica.wait_until_ready().await;
        }
        let first = replicas[0].get("/.well-known/jwks.json").await.text;
        for replica in &replicas[1..] {
            assert_eq!(replica.get("/.well-known/jwks.json").await.text, first);
        }
    }
}

on_every_database! {
    async fn two_replicas_cross_key_rotations_under_load_and_no_token_is_rejected(database) {
        let issuer = format!("http://127.0.0.1:{}", crate::harness::app::free_port());
        let settings = [
            ("TOKENSMITH_JWKS_MAX_AGE", "1s"),
            ("TOKENSMITH_KEYS_LEAD_TIME", "8s"),
            ("TOKENSMITH_KEYS_ROTATION_PERIOD", "9s"),
            ("TOKENSMITH_ISSUER", issuer.as_str()),
        ];
        let first = TestApp::start_with(&database, &settings).await;
        let second = TestApp::start_with(&database, &settings).await;
        let client = first.orders().await;
        wait::until("the second replica knows the client", || async {
            (second.token(&client, &[]).await.status == 200).then_some(())
        })
        .await;
        // A verifier that only follows the cache headers: it never asks because of a token.
        let verifier = Verifier::discover(&issuer)
            .jwks_uri(format!("{}/.well-known/jwks.json", second.address))
            .audience("https://api.example.com")
            .connect()
            .await
            .unwrap();
        let kids_at_start = first.get("/.well-known/jwks.json").await.text;

        let stop = Arc::new(AtomicBool::new(false));
        let verified = Arc::new(AtomicUsize::new(0));
        let mut kids = std::collections::BTreeSet::new();
        let load = async |app: &TestApp| {
            let mut kids = std::collections::BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                let token = app.access_token(&client).await;
                let verdict = verifier.verify(&token);
                assert!(verdict.is_ok(), "rejected: {:?}", verdict.err());
                verified.fetch_add(1, Ordering::Relaxed);
                kids.insert(token.split('.').next().unwrap().to_owned());
                // Two rotations: the keys of three periods.
                if kids.len() >= 3 {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            kids
        };
        let (of_first, of_second) =
            tokio::time::timeout(Duration::from_mins(1), async { tokio::join!(load(&first), load(&second)) })
                .await
                .expect("keys rotate");
        kids.extend(of_first);
        kids.extend(of_second);
        assert!(kids.len() >= 3, "{} keys have signed", kids.len());
        assert!(verified.load(Ordering::Relaxed) > 100);
        assert_ne!(first.get("/.well-known/jwks.json").await.text, kids_at_start);
    }
}

on_every_database! {
    async fn a_row_that_cannot_be_read_keeps_nothing_else_from_being_learnt(database) {
        let app = TestApp::start(&database).await;
        let orders = app.orders().await;
        // As a newer release, running beside this one, may write: a member and a grant not known
        // here, and a key of an algorithm not known here.
        database
            .execute(
                "INSERT INTO clients (id, metadata, created_at, version) VALUES ('newer', \
                 '{\"grant_types\":[\"client_credentials\"],\"redirect_uris\":[]}', 0, 1000), \
                 ('newest', '{\"grant_types\":[\"device_code\"]}', 0, 1001)",
            )
            .await;
        database.execute("UPDATE watched_versions SET version = 1001 WHERE name = 'clients'").await;
        assert_eq!(app.run(&["client", "disable", "orders"]).code, 0);
        wait::within(Duration::from_secs(2), "the disabled client is refused", || async {
            (app.token(&orders, &[]).await.status == 401).then_some(())
        })
        .await;
        assert_eq!(app.get("/readyz").await.status, 200);
        let replica = TestApp::start(&database).await;
        assert_eq!(replica.get("/readyz").await.status, 200, "a restart works, too");
        assert_eq!(app.run(&["client", "show", "newer"]).code, 0);
    }
}

on_every_database! {
    async fn a_key_that_was_written_past_the_master_key_is_not_published(database) {
        let app = TestApp::start(&database).await;
        database
            .execute(
                "INSERT INTO signing_keys (kid, algorithm, slot, public_jwk, created_at, \
                 active_from, retires_at, removed_at) VALUES \
                 ('AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 'Ed25519', 1, \
                 '{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\",\
                 \"use\":\"sig\",\"alg\":\"Ed25519\",\
                 \"kid\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}', \
                 0, 0, 9000000000000, 9000000000000)",
            )
            .await;
        database.execute("UPDATE signing_keys SET removed_at = 9000000000001 WHERE slot = 1").await;
        database.execute("UPDATE watched_versions SET version = version + 1 WHERE name = 'keys'").await;
        // A rotation through the service shows that the keys have been read again.
        let before = app.get("/.well-known/jwks.json").await.json()["keys"].as_array().unwrap().len();
        assert_eq!(app.run(&["keys", "rotate"]).code, 0);
        wait::until("the rotation is seen", || async {
            let jwks = app.get("/.well-known/jwks.json").await;
            (jwks.json()["keys"].as_array().unwrap().len() == before + 1).then_some(())
        })
        .await;
        assert!(!app.get("/.well-known/jwks.json").await.text.contains("AAAAAAAA"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_names_the_builds_that_are_at_work_while_they_are() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let first = TestApp::start(&database).await;
    let mut second = TestApp::start(&database).await;
    let replicas = async |app: &TestApp| {
        let findings = app.run(&["doctor", "--json"]).json();
        let findings = findings.as_array().unwrap().clone();
        findings
            .into_iter()
            .find(|finding| finding["check"] == "replicas")
    };
    let is_said = async |app: &TestApp, verdict: &str, what: &str| {
        wait::until("the doctor knows", || async {
            let finding = replicas(app).await?;
            let detail = finding["detail"].as_str().unwrap();
            (finding["verdict"] == verdict && detail.contains(what)).then_some(())
        })
        .await;
    };
    let build = env!("CARGO_PKG_VERSION");
    is_said(&first, "ok", &format!("2 of build {build} (")).await;
    // An older build, as it says so itself.
    database
        .execute(
            "INSERT INTO replicas (id, build, host, started_at, seen_at) VALUES \
             ('\\x00000000000000000000000000000000', '0.0.1', 'elsewhere', 0, 9999999999999)",
        )
        .await;
    is_said(&first, "warning", "1 of build 0.0.1 (elsewhere)").await;
    is_said(&first, "warning", "an upgrade is under way").await;
    database
        .execute("DELETE FROM replicas WHERE build = '0.0.1'")
        .await;
    second.signal("TERM");
    assert!(second.exit().await.success());
    is_said(&first, "ok", &format!("1 of build {build} (")).await;
}
