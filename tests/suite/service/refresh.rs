//! Refresh tokens: an honest client is never logged out, and a thief is caught.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::harness::app::TestClient;
use crate::harness::login::{Tokens, VERIFIER, claims};
use crate::harness::{Database, TestApp, on_every_database, wait};

/// Rotates once.
async fn rotate(app: &TestApp, client: &TestClient, token: &str) -> Tokens {
    Tokens::of(&app.refresh(client, token, &[]).await)
}

/// Whether no token of the session works any more.
async fn is_over(app: &TestApp, client: &TestClient, tokens: &[&str]) -> bool {
    for token in tokens {
        let (status, error) = app.refresh(client, token, &[]).await.error();
        if (status, error.as_str()) != (400, "invalid_grant") {
            return false;
        }
    }
    true
}

on_every_database! {
    async fn a_refresh_token_rotates_and_the_one_before_may_be_repeated(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let first = app.login(&phone, &ada).await;
        let second = rotate(&app, &phone, &first.refresh_token).await;
        assert_ne!(first.refresh_token, second.refresh_token);
        assert_eq!(first.sid, second.sid);
        let repeated = rotate(&app, &phone, &first.refresh_token).await;
        assert_eq!(repeated.refresh_token, second.refresh_token, "byte for byte");
        let third = rotate(&app, &phone, &second.refresh_token).await;
        assert_ne!(third.refresh_token, second.refresh_token);
    }
}

on_every_database! {
    async fn an_older_token_ends_the_session(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let other = app.login(&phone, &ada).await;
        let first = app.login(&phone, &ada).await;
        let second = rotate(&app, &phone, &first.refresh_token).await;
        let third = rotate(&app, &phone, &second.refresh_token).await;
        let reply = app.refresh(&phone, &first.refresh_token, &[]).await;
        assert_eq!(reply.error(), (400, "invalid_grant".to_owned()));
        let all = [&*first.refresh_token, &second.refresh_token, &third.refresh_token];
        assert!(is_over(&app, &phone, &all).await, "the thief's and the owner's");
        rotate(&app, &phone, &other.refresh_token).await;
        assert_eq!(audit_kinds(&app, "refresh_reused").await.len(), 1);
    }
}

on_every_database! {
    async fn with_its_key_a_request_may_be_repeated_at_any_time(database) {
        let app = TestApp::start(&database).await;
        let arguments = ["--public", "--first-party", "--retry-window", "0s"];
        let strict = app.app_for_people("strict", &arguments).await;
        let ada = app.user("ada").await;
        let first = app.login(&strict, &ada).await;
        let with_key = async |key| app.refresh_with_key(&strict, &first.refresh_token, key).await;
        let second = Tokens::of(&with_key("8e03978e-40d5").await);
        let repeated = Tokens::of(&with_key("8e03978e-40d5").await);
        assert_eq!(repeated.refresh_token, second.refresh_token);
        assert_eq!(with_key("another").await.error(), (400, "invalid_grant".to_owned()));
        assert!(is_over(&app, &strict, &[&second.refresh_token]).await);
    }
}

on_every_database! {
    async fn a_hundred_requests_at_once_get_one_successor(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let first = app.login(&phone, &ada).await;
        let requests = (0..100).map(|_| rotate(&app, &phone, &first.refresh_token));
        let answers = join_all(requests).await;
        let successors: BTreeSet<_> = answers.iter().map(|tokens| &tokens.refresh_token).collect();
        assert_eq!(successors.len(), 1);
        rotate(&app, &phone, &answers[0].refresh_token).await;
    }
}

on_every_database! {
    async fn a_process_killed_before_it_answered_gives_the_same_successor_afterwards(database) {
        let variables = [("TOKENSMITH_SESSIONS_RETRY_WINDOW", "0s")];
        let mut app = TestApp::start_with(&database, &variables).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let mut tokens = app.login(&phone, &ada).await;
        let store = database.open().await;
        let sid = tokens.sid.parse().unwrap();
        for round in 0..8_u64 {
            let key = format!("round-{round}");
            let before = generation(&tokens.refresh_token);
            let is_committed = async || {
                let row = store.find_session(sid).await.unwrap().unwrap();
                (row.session.chain.generation.0 == before + 1).then_some(())
            };
            let request = app
                .refresh_request(&phone, &tokens.refresh_token, &[])
                .header("idempotency-key", &key);
            let answer = tokio::spawn(request.send());
            if round % 2 == 0 {
                // Certainly after the commit.
                wait::until("the rotation is committed", is_committed).await;
            } else {
                // At any moment, before the commit or after it.
                std::thread::sleep(std::time::Duration::from_micros(400 * round));
            }
            app.signal("KILL");
            app.exit().await;
            // Whatever was still on its way is lost.
            answer.abort();
            app = TestApp::start_with(&database, &variables).await;
            let retried = app.refresh_with_key(&phone, &tokens.refresh_token, &key).await;
            let next = Tokens::of(&retried);
            assert_eq!(generation(&next.refresh_token), before + 1, "round {round}");
            let again = app.refresh_with_key(&phone, &tokens.refresh_token, &key).await;
            assert_eq!(Tokens::of(&again).refresh_token, next.refresh_token);
            tokens = next;
        }
    }
}

on_every_database! {
    async fn a_replay_is_still_caught_after_a_restart(database) {
        let mut app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let first = app.login(&phone, &ada).await;
        let second = rotate(&app, &phone, &first.refresh_token).await;
        let third = rotate(&app, &phone, &second.refresh_token).await;
        app.signal("KILL");
        app.exit().await;
        let app = TestApp::start(&database).await;
        assert!(is_over(&app, &phone, &[&first.refresh_token, &third.refresh_token]).await);
    }
}

on_every_database! {
    async fn an_old_backup_restored_under_live_clients_logs_nobody_out(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let mut devices = Vec::new();
        for _ in 0..4 {
            devices.push(app.login(&phone, &ada).await);
        }
        database
            .execute("CREATE TABLE backup AS SELECT id, generation, rotated_at, rotated_with FROM sessions")
            .await;
        // Some go on for long, some a little, one not at all.
        for (device, rotations) in devices.iter_mut().zip([5, 2, 1, 0]) {
            for _ in 0..rotations {
                *device = rotate(&app, &phone, &device.refresh_token).await;
            }
        }
        database
            .execute(
                "UPDATE sessions SET \
                 generation = (SELECT generation FROM backup WHERE backup.id = sessions.id), \
                 rotated_at = (SELECT rotated_at FROM backup WHERE backup.id = sessions.id), \
                 rotated_with = NULL",
            )
            .await;
        for device in &devices {
            let next = rotate(&app, &phone, &device.refresh_token).await;
            let repeated = rotate(&app, &phone, &device.refresh_token).await;
            assert_eq!(next.refresh_token, repeated.refresh_token);
            rotate(&app, &phone, &next.refresh_token).await;
        }
        assert_eq!(audit_kinds(&app, "refresh_caught_up").await.len(), 3);
    }
}

on_every_database! {
    async fn scope_and_resource_may_narrow_and_never_widen(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let first = app.login(&phone, &ada).await;
        let narrow = [("scope", "orders:read"), ("resource", "https://api.example.com")];
        let second = Tokens::of(&app.refresh(&phone, &first.refresh_token, &narrow).await);
        assert_eq!(claims(&second.access_token)["scope"], "orders:read");
        // A retry of the same request may ask for another.
        let openid = [("scope", "openid")];
        let repeated = Tokens::of(&app.refresh(&phone, &first.refresh_token, &openid).await);
        assert_eq!(claims(&repeated.access_token)["scope"], "openid");
        assert_eq!(repeated.refresh_token, second.refresh_token);
        for (wider, error) in [
            (("scope", "orders:read orders:write"), "invalid_scope"),
            (("scope", "\"odd\""), "invalid_scope"),
            (("resource", "https://other.example.com"), "invalid_target"),
            (("resource", "nonsense"), "invalid_target"),
        ] {
            let reply = app.refresh(&phone, &second.refresh_token, &[wider]).await;
            assert_eq!(reply.error(), (400, error.to_owned()), "{wider:?}");
        }
        let third = rotate(&app, &phone, &second.refresh_token).await;
        let all = claims(&third.access_token);
        assert_eq!(all["scope"], "openid offline_access orders:read");
        assert_eq!(all["aud"], json!("https://api.example.com"));
        assert_eq!(
            generation(&third.refresh_token),
            3,
            "a wish that cannot be granted costs nothing"
        );
    }
}

on_every_database! {
    async fn a_confidential_client_keeps_its_refresh_token(database) {
        let app = TestApp::start(&database).await;
        let backend = app.app_for_people("backend", &["--first-party"]).await;
        let ada = app.user("ada").await;
        let first = app.login(&backend, &ada).await;
        for _ in 0..3 {
            let next = rotate(&app, &backend, &first.refresh_token).await;
            assert_eq!(next.refresh_token, first.refresh_token);
        }
        let rotating = app
            .app_for_people("rotating", &["--first-party", "--rotate-refresh-tokens", "true"])
            .await;
        let first = app.login(&rotating, &ada).await;
        let second = rotate(&app, &rotating, &first.refresh_token).await;
        assert_ne!(second.refresh_token, first.refresh_token);
    }
}

on_every_database! {
    async fn whatever_is_no_good_refresh_token_is_refused_and_changes_nothing(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let tablet = app.app_for_people("tablet", &["--public", "--first-party"]).await;
        let ada = app.user("ada").await;
        let bob = app.user("bob").await;
        let mine = app.login(&phone, &ada).await;
        let his = app.login(&tablet, &bob).await;
        let token = mine.refresh_token.as_str();
        let foreign = format!("{}{}", &token[..40], &his.refresh_token[40..]);
        let swapped = token.replace("tsr1_", "tsa1_");
        let bad = [
            "x".to_owned(),
            "tsr1_".to_owned(),
            token[..token.len() - 1].to_owned(),
            format!("{token}A"),
            format!("{token} "),
            token.to_uppercase(),
            foreign,
            swapped,
            mine.access_token.clone(),
            his.refresh_token.clone(),
            "tsr1_".to_owned() + &"A".repeat(59),
            "a".repeat(10_000),
        ];
        for text in &bad {
            let reply = app.refresh(&phone, text, &[]).await;
            assert_eq!(reply.error(), (400, "invalid_grant".to_owned()), "{text}");
        }
        let missing = app.refresh(&phone, "", &[]).await;
        assert_eq!(missing.error(), (400, "invalid_request".to_owned()));
        let two_keys = app
            .refresh_request(&phone, token, &[])
            .header("idempotency-key", "a")
            .header("idempotency-key", "b");
        let two_keys = app.send(two_keys).await;
        assert_eq!(two_keys.error(), (400, "invalid_request".to_owned()));
        assert!(!audit_kinds(&app, "refresh_refused").await.is_empty());
        assert_eq!(generation(&rotate(&app, &phone, token).await.refresh_token), 2);
        let untouched = rotate(&app, &tablet, &his.refresh_token).await;
        assert_eq!(generation(&untouched.refresh_token), 2);
    }
}

on_every_database! {
    async fn a_disabled_user_or_client_refreshes_nothing(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let bob = app.user("bob").await;
        let (hers, his) = (app.login(&phone, &ada).await, app.login(&phone, &bob).await);
        let administrator = app.admin_token().await;
        let disable = format!("/users/{}/disable", ada.id);
        let reply = app.admin(&administrator, Method::POST, &disable, None).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert!(is_over(&app, &phone, &[&hers.refresh_token]).await);
        rotate(&app, &phone, &his.refresh_token).await;
        let enable = format!("/users/{}/enable", ada.id);
        app.admin(&administrator, Method::POST, &enable, None).await;
        assert!(is_over(&app, &phone, &[&hers.refresh_token]).await, "ended, not paused");

        let disable = "/clients/phone/disable";
        app.admin(&administrator, Method::POST, disable, None).await;
        let reply = app.refresh(&phone, &his.refresh_token, &[]).await;
        assert_eq!(reply.error(), (401, "invalid_client".to_owned()));
        app.admin(&administrator, Method::POST, "/clients/phone/enable", None).await;
        rotate(&app, &phone, &his.refresh_token).await;
    }
}

on_every_database! {
    async fn sessions_and_codes_do_not_pass_to_a_namesake_of_their_client(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let tokens = app.login(&phone, &ada).await;
        let own = app.for_account(&phone, &tokens).await;
        let code = app.code(&phone, &ada).await;
        let administrator = app.admin_token().await;
        app.admin(&administrator, Method::DELETE, "/clients/phone", None).await;
        let phone = app.phone().await;
        assert!(is_over(&app, &phone, &[&own.refresh_token]).await);
        let reply = app.redeem(&phone, &code, VERIFIER).await;
        assert_eq!(reply.error(), (400, "invalid_grant".to_owned()));
        let reply = app.me(&own.access_token, Method::GET, "", None).await;
        assert_eq!(reply.error(), (401, "invalid_token".to_owned()));
        app.login(&phone, &ada).await;
    }
}

on_every_database! {
    async fn a_stolen_token_is_noticed_whatever_it_asks_for(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let first = app.login(&phone, &ada).await;
        let second = rotate(&app, &phone, &first.refresh_token).await;
        let third = rotate(&app, &phone, &second.refresh_token).await;
        let wider = [("scope", "orders:write")];
        let reply = app.refresh(&phone, &first.refresh_token, &wider).await;
        assert_eq!(reply.error(), (400, "invalid_grant".to_owned()));
        assert!(is_over(&app, &phone, &[&third.refresh_token]).await);
    }
}

on_every_database! {
    async fn a_session_ends_when_it_is_idle_and_when_it_is_old(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        for past in [
            "UPDATE sessions SET idle_expires_at = 1000",
            "UPDATE sessions SET expires_at = 1000",
        ] {
            let tokens = app.login(&phone, &ada).await;
            database.execute(past).await;
            assert!(is_over(&app, &phone, &[&tokens.refresh_token]).await, "{past}");
        }
    }
}

#[tokio::test]
async fn an_ordinary_refresh_is_one_write_and_nothing_else() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let phone = app.phone().await;
    let ada = app.user("ada").await;
    let mut tokens = app.login(&phone, &ada).await;
    let count = async |operation: &str| {
        let label = format!("operation=\"{operation}\"");
        app.metric("tokensmith_store_operations_total", &label)
            .await
    };
    let before = (count("rotate_session").await, count("find_session").await);
    for _ in 0..10 {
        tokens = rotate(&app, &phone, &tokens.refresh_token).await;
    }
    let after = (count("rotate_session").await, count("find_session").await);
    assert_eq!((after.0 - before.0, after.1 - before.1), (10.0, 0.0));
}

#[tokio::test]
async fn a_code_begins_one_session_and_a_second_use_ends_it() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let phone = app.phone().await;
    let ada = app.user("ada").await;
    let code = app.code(&phone, &ada).await;
    let both = [(); 2].map(|()| app.redeem(&phone, &code, VERIFIER));
    let replies = join_all(both).await;
    let winners: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(winners.len(), 1, "one winner");
    let tokens = Tokens::of(winners[0]);
    assert!(
        audit_kinds(&app, "code_replayed").await.len() == 1,
        "the second of the two ended the session"
    );
    assert!(is_over(&app, &phone, &[&tokens.refresh_token]).await);

    let code = app.code(&phone, &ada).await;
    let tokens = Tokens::of(&app.redeem(&phone, &code, VERIFIER).await);
    let leaked = app.redeem(&phone, &code, &"a".repeat(43)).await;
    assert_eq!(leaked.error(), (400, "invalid_grant".to_owned()));
    let tokens = rotate(&app, &phone, &tokens.refresh_token).await;
    let again = app.redeem(&phone, &code, VERIFIER).await;
    assert_eq!(again.error(), (400, "invalid_grant".to_owned()));
    assert!(is_over(&app, &phone, &[&tokens.refresh_token]).await);
}

/// The generation that a refresh token carries in clear.
fn generation(token: &str) -> u32 {
    use base64::Engine;
    let body = token.strip_prefix("tsr1_").unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(body)
        .unwrap();
    u32::from_be_bytes(bytes[16..20].try_into().unwrap())
}

/// The audit records of a kind, newest first.
async fn audit_kinds(app: &TestApp, event: &str) -> Vec<serde_json::Value> {
    let client = format!("auditor-{}", uuid::Uuid::new_v4());
    let auditor = app.client(&client, &["--scope", "tokensmith:admin"]).await;
    let token = app.access_token(&auditor).await;
    let path = format!("/audit?event={event}");
    let reply = app.admin(&token, Method::GET, &path, None).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["records"].as_array().unwrap().clone()
}
