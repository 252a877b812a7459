//! Revocation, introspection and reference tokens.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::login::Tokens;
use crate::harness::{Database, TestApp, on_every_database};

fn inactive() -> Value {
    json!({ "active": false })
}

on_every_database! {
    async fn either_token_of_a_session_revokes_it(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        for by_refresh_token in [true, false] {
            let tokens = app.login(&phone, &ada).await;
            let token = if by_refresh_token { &tokens.refresh_token } else { &tokens.access_token };
            for _ in 0..2 {
                let reply = app.revoke(&phone, token).await;
                assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, ""));
            }
            assert_eq!(app.refresh(&phone, &tokens.refresh_token, &[]).await.status, 400);
        }
        let older = app.login(&phone, &ada).await;
        let newer = Tokens::of(&app.refresh(&phone, &older.refresh_token, &[]).await);
        assert_eq!(app.revoke(&phone, &older.refresh_token).await.status, 200);
        assert_eq!(app.refresh(&phone, &newer.refresh_token, &[]).await.status, 400);
    }
}

on_every_database! {
    async fn what_cannot_be_revoked_is_said_as_the_standard_asks(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let tablet = app.app_for_people("tablet", &["--public", "--first-party"]).await;
        let orders = app.orders().await;
        let ada = app.user("ada").await;
        let tokens = app.login(&phone, &ada).await;
        for unknown in ["x", "tsr1_abc", "a.b.c"] {
            assert_eq!(app.revoke(&phone, unknown).await.status, 200, "{unknown}");
        }
        let missing = app.revoke(&phone, "").await;
        assert_eq!(missing.error(), (400, "invalid_request".to_owned()));
        for token in [&tokens.refresh_token, &tokens.access_token] {
            let reply = app.revoke(&tablet, token).await;
            assert_eq!(reply.error(), (400, "unauthorized_client".to_owned()));
        }
        let own = app.access_token(&orders).await;
        let reply = app.revoke(&orders, &own).await;
        assert_eq!(reply.error(), (400, "unsupported_token_type".to_owned()));
        let said = reply.json()["error_description"].as_str().unwrap().to_owned();
        for way in ["POST /api/admin/revocations", "tokensmith session cut-off --client"] {
            assert!(said.contains(way), "{said}");
        }
        Tokens::of(&app.refresh(&phone, &tokens.refresh_token, &[]).await);
    }
}

on_every_database! {
    async fn introspection_answers_those_whom_it_concerns(database) {
        let app = TestApp::start(&database).await;
        let backend = app.app_for_people("backend", &["--first-party"]).await;
        let api = app.client("api", &["--resource-server", "https://api.example.com"]).await;
        let other = app.client("other", &["--resource-server", "https://other.example.com"]).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let tokens = app.login(&backend, &ada).await;
        for client in [&backend, &api] {
            let answer = app.introspect(client, &tokens.access_token).await.json();
            assert_eq!(answer["active"], true, "{}", client.id);
            assert_eq!(answer["sub"], ada.id.as_str());
            assert_eq!(answer["client_id"], "backend");
            assert_eq!(answer["token_type"], "Bearer");
        }
        let answer = app.introspect(&backend, &tokens.refresh_token).await.json();
        assert_eq!((&answer["active"], &answer["sid"]), (&json!(true), &json!(tokens.sid)));
        // Never an oracle: none of their business, and none at all, look the same.
        for (client, token) in [
            (&other, tokens.access_token.as_str()),
            (&api, &tokens.refresh_token),
            (&api, "x"),
            (&backend, &format!("{}A", tokens.refresh_token)),
        ] {
            let reply = app.introspect(client, token).await;
            assert_eq!((reply.status.as_u16(), reply.json()), (200, inactive()));
        }
        let public = app.introspect(&phone, &tokens.access_token).await;
        assert_eq!(public.error(), (401, "invalid_client".to_owned()));
        let rotating = app
            .app_for_people("rotating", &["--first-party", "--rotate-refresh-tokens", "true"])
            .await;
        let first = app.login(&rotating, &ada).await;
        Tokens::of(&app.refresh(&rotating, &first.refresh_token, &[]).await);
        let answer = app.introspect(&rotating, &first.refresh_token).await.json();
        assert_eq!(answer, inactive(), "it was replaced");
        app.revoke(&backend, &tokens.refresh_token).await;
        for client in [&backend, &api] {
            assert_eq!(app.introspect(client, &tokens.access_token).await.json(), inactive());
        }
    }
}

on_every_database! {
    async fn a_reference_token_is_dead_the_instant_its_session_ends(database) {
        let app = TestApp::start(&database).await;
        let arguments = ["--first-party", "--access-token-format", "reference"];
        let backend = app.app_for_people("backend", &arguments).await;
        let api = app.client("api", &["--resource-server", "https://api.example.com"]).await;
        let ada = app.user("ada").await;
        let tokens = app.login(&backend, &ada).await;
        assert!(tokens.access_token.starts_with("tsa1_"), "{}", tokens.access_token);
        let answer = app.introspect(&api, &tokens.access_token).await.json();
        assert_eq!(answer["sub"], ada.id.as_str());
        assert_eq!(answer["scope"], "openid offline_access orders:read");
        assert_eq!(answer["aud"], "https://api.example.com");
        let narrow = [("scope", "orders:read")];
        let narrower = Tokens::of(&app.refresh(&backend, &tokens.refresh_token, &narrow).await);
        let answer = app.introspect(&api, &narrower.access_token).await.json();
        assert_eq!(answer["scope"], "orders:read");
        let account = app.for_account(&backend, &narrower).await;
        let reply = app.me(&account.access_token, Method::GET, "", None).await;
        assert_eq!(reply.json()["username"], "ada", "it opens the account, too");
        for changed in [
            format!("{}A", tokens.access_token),
            tokens.access_token.replacen("tsa1_A", "tsa1_B", 1),
        ] {
            assert_eq!(app.introspect(&api, &changed).await.json(), inactive());
        }
        let reply = app.me(&account.access_token, Method::DELETE, "/sessions", None).await;
        assert_eq!(reply.status, 204);
        for token in [&tokens, &narrower, &account] {
            assert_eq!(app.introspect(&api, &token.access_token).await.json(), inactive());
        }
    }
}

#[tokio::test]
async fn a_token_of_a_service_is_introspected_until_the_client_is_disabled() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let orders = app.orders().await;
    let api = app
        .client("api", &["--resource-server", "https://api.example.com"])
        .await;
    let token = app.access_token(&orders).await;
    assert_eq!(app.introspect(&api, &token).await.json()["active"], true);
    let administrator = app.admin_token().await;
    app.admin(
        &administrator,
        Method::POST,
        "/clients/orders/disable",
        None,
    )
    .await;
    assert_eq!(app.introspect(&api, &token).await.json(), inactive());
}
