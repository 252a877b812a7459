//! Signing keys that come too early, go too early, are stolen, or cannot sign.

use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokensmith_verify::{KeySet, Reject, Verifier};

use crate::harness::login::VERIFIER;
use crate::harness::{Database, TestApp, on_every_database, wait};

/// The key that a token names.
fn kid(token: &str) -> String {
    let header = jsonwebtoken::decode_header(token).unwrap();
    header.kid.unwrap()
}

async fn published(app: &TestApp) -> BTreeSet<String> {
    let jwks = app.get("/.well-known/jwks.json").await.json();
    let keys = jwks["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

/// What an API makes of a token that knows nothing but the key set as it was.
fn verdict(app: &TestApp, jwks: &str, token: &str) -> Result<(), Reject> {
    let keys = KeySet::from_json(jwks).unwrap();
    let verifier = Verifier::with_keys(&app.issuer, keys).audience("https://api.example.com");
    verifier.build().unwrap().verify(token).map(drop)
}

on_every_database! {
    async fn attack_40_no_token_names_a_key_before_everybody_could_have_it(database) {
        let app = TestApp::start(&database).await;
        let (orders, administrator) = (app.orders().await, app.admin_token().await);
        let old = kid(&app.access_token(&orders).await);
        let early = app.get("/.well-known/jwks.json").await.text;
        let rotated = app.admin(&administrator, Method::POST, "/keys/rotate", None).await;
        assert_eq!(rotated.status, 200, "{}", rotated.text);
        assert_eq!(published(&app).await.len(), 2, "the next is there for all to fetch");
        for _ in 0..5 {
            let token = app.access_token(&orders).await;
            assert_eq!(kid(&token), old, "and signs nothing yet");
            assert_eq!(verdict(&app, &early, &token), Ok(()), "who has the older set reads it");
        }
        // In an emergency it signs two seconds later; what the older one has signed can still be verified.
        let before = app.access_token(&orders).await;
        let now = Some(json!({ "now": true }));
        app.admin(&administrator, Method::POST, "/keys/rotate", now).await;
        let after = app.token_of_another_key(&orders, &before).await;
        assert_ne!(kid(&after), old);
        let late = app.get("/.well-known/jwks.json").await.text;
        for token in [&before, &after] {
            assert!(published(&app).await.contains(&kid(token)));
            assert_eq!(verdict(&app, &late, token), Ok(()));
        }
    }
}

on_every_database! {
    async fn attack_40_a_key_that_is_withdrawn_is_gone_at_once_and_comes_back_by_no_way(database) {
        let app = TestApp::start(&database).await;
        let admin = app.client("admin", &["--scope", "tokensmith:admin"]).await;
        let (orders, api) = (app.orders().await, app.client("api", &["--resource-server", "https://api.example.com"]).await);
        let pem = include_str!("../../src/crypto/vault/fixtures/rsa2048-pkcs1.pem");
        let brought = Some(json!({ "pem": pem, "now": true }));
        let import = async |body: &Option<Value>| {
            let administrator = app.access_token(&admin).await;
            app.admin(&administrator, Method::POST, "/keys/import", body.clone()).await
        };
        let before = app.access_token(&orders).await;
        assert_eq!(import(&brought).await.status, 200);
        let stolen = app.token_of_another_key(&orders, &before).await;
        assert!(app.is_good(&api, &stolen).await);
        let administrator = app.access_token(&admin).await;
        let revoke = format!("/keys/{}/revoke", kid(&stolen));
        let revoked = app.admin(&administrator, Method::POST, &revoke, None).await;
        assert_eq!(revoked.status, 200, "{}", revoked.text);
        assert!(!published(&app).await.contains(&kid(&stolen)));
        assert!(!app.is_good(&api, &stolen).await);
        // The administrator's own token was signed by it.
        let reply = app.admin(&administrator, Method::GET, "/keys", None).await;
        assert_eq!(reply.error(), (401, "invalid_token".to_owned()));
        assert_eq!(import(&brought).await.error(), (409, "conflict".to_owned()));
        assert_ne!(kid(&app.access_token(&orders).await), kid(&stolen));
        // Nor by a restart.
        drop(app);
        let app = TestApp::start(&database).await;
        assert!(!published(&app).await.contains(&kid(&stolen)));
        assert!(!app.is_good(&api, &stolen).await);
    }
}

#[tokio::test]
async fn attack_40_without_a_key_that_opens_there_is_no_token_and_nothing_unsigned() {
    let database = Database::sqlite();
    let mut app = TestApp::start(&database).await;
    let orders = app.orders().await;
    let (phone, ada) = (app.phone().await, app.user("ada").await);
    let (tokens, code) = (app.login(&phone, &ada).await, app.code(&phone, &ada).await);
    app.signal("TERM");
    app.exit().await;
    // As when a module that holds the keys has lost them: what is sealed does not open any more.
    database
        .execute("UPDATE signing_keys SET sealed_private = zeroblob(length(sealed_private))")
        .await;
    let app = TestApp::spawn(&database, &[("TOKENSMITH_ISSUER", &app.issuer)]);
    wait::until("the service listens", || async {
        let request = app.request(Method::GET, "/healthz");
        request.send().await.ok().map(drop)
    })
    .await;
    let ready = app.get("/readyz").await;
    assert_eq!(
        (ready.status.as_u16(), &ready.json()["signing_key"]),
        (503, &json!(false))
    );
    for reply in [
        app.token(&orders, &[]).await,
        app.refresh(&phone, &tokens.refresh_token, &[]).await,
        app.redeem(&phone, &code, VERIFIER).await,
    ] {
        assert_eq!(reply.error(), (503, "temporarily_unavailable".to_owned()));
        assert_ne!(reply.header("retry-after"), "");
        assert!(!reply.text.contains("token\""), "{}", reply.text);
    }
    // Not held against the contract, whose key sets have keys.
    let jwks = app.request(Method::GET, "/.well-known/jwks.json");
    let jwks = jwks.send().await.unwrap().text().await.unwrap();
    assert_eq!(jwks, r#"{"keys":[]}"#, "none that signs nothing");
    // What was refused has cost nothing: with another key they get on.
    let rotated = app.run(&["keys", "rotate", "--now", "--json"]);
    assert_eq!(rotated.code, 0, "{}", rotated.err);
    app.wait_until_ready().await;
    assert_eq!(
        app.refresh(&phone, &tokens.refresh_token, &[]).await.status,
        200
    );
    assert_eq!(app.redeem(&phone, &code, VERIFIER).await.status, 200);
}
