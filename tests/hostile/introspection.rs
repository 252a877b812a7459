//! Revocation and introspection as an oracle, or by clients whose tokens they are not.

use serde_json::{Value, json};

use crate::harness::app::TestClient;
use crate::harness::login::Tokens;
use crate::harness::{Reply, TestApp, on_every_database};

const INACTIVE: &str = r#"{"active":false}"#;

/// An API, and the client whose tokens it gets.
async fn api_and_backend(app: &TestApp) -> (TestClient, TestClient) {
    let arguments = ["--resource-server", "https://api.example.com"];
    let api = app.client("api", &arguments).await;
    (api, app.app_for_people("backend", &["--first-party"]).await)
}

async fn with_hint(app: &TestApp, client: &TestClient, path: &str, form: [&str; 2]) -> Reply {
    let form = [("token", form[0]), ("token_type_hint", form[1])];
    app.send(app.form(client, path, &form)).await
}

on_every_database! {
    async fn attack_34_a_wrong_hint_hides_no_token(database) {
        let app = TestApp::start(&database).await;
        let (api, backend) = api_and_backend(&app).await;
        let ada = app.user("ada").await;
        for hint in ["access_token", "refresh_token", "id_token", "no_such_kind", "\u{0}"] {
            let tokens = app.login(&backend, &ada).await;
            for token in [&tokens.access_token, &tokens.refresh_token] {
                let said = with_hint(&app, &backend, "/oauth/introspect", [token, hint]).await;
                assert_eq!(said.json()["active"], true, "{hint}");
            }
            // Each kind is found whatever is said of it, and takes the whole session along.
            let token = if hint == "refresh_token" { &tokens.access_token } else { &tokens.refresh_token };
            let reply = with_hint(&app, &backend, "/oauth/revoke", [token, hint]).await;
            assert_eq!(reply.status, 200, "{hint}: {}", reply.text);
            for (client, token) in [
                (&api, &tokens.access_token),
                (&backend, &tokens.access_token),
                (&backend, &tokens.refresh_token),
            ] {
                for hint in [hint, "access_token", "refresh_token"] {
                    let said = with_hint(&app, client, "/oauth/introspect", [token, hint]).await;
                    assert_eq!(said.text, INACTIVE, "{hint}");
                }
            }
        }
    }
}

on_every_database! {
    async fn attack_34_what_is_none_of_a_clients_business_looks_like_nothing(database) {
        let app = TestApp::start(&database).await;
        let (api, backend) = api_and_backend(&app).await;
        let other = app.client("other", &["--resource-server", "https://other.example.com"]).await;
        let similar =
            app.client("similar", &["--resource-server", "https://api.example.com.evil.example"]).await;
        let ada = app.user("ada").await;
        let (live, ended) = (app.login(&backend, &ada).await, app.login(&backend, &ada).await);
        app.revoke(&backend, &ended.refresh_token).await;
        let code = app.code(&backend, &ada).await;
        let none = [&ended.access_token, &ended.refresh_token, &code, &api.secret, &ada.password];
        let forged = format!("{}A", live.access_token);
        let asked = [&other, &similar].map(|client| (client, vec![&live.access_token, &live.refresh_token]));
        for (client, tokens) in asked.into_iter().chain([
            (&api, vec![&live.refresh_token, &forged]),
            (&backend, vec![&forged]),
        ]) {
            let mut seen = Vec::new();
            for token in tokens.into_iter().chain(none) {
                let reply = app.introspect(client, token).await;
                let mut headers = reply.headers.clone();
                headers.remove("date");
                for name in reply.headers.keys().filter(|name| name.as_str().contains("request")) {
                    headers.remove(name);
                }
                seen.push((reply.status, reply.text, headers));
            }
            assert_eq!((seen[0].0.as_u16(), &*seen[0].1), (200, INACTIVE));
            assert!(seen.iter().all(|one| *one == seen[0]), "{}: {seen:#?}", client.id);
        }
        assert!(app.is_good(&api, &live.access_token).await);
    }
}

on_every_database! {
    async fn attack_34_nobody_gives_back_the_tokens_of_another(database) {
        let app = TestApp::start(&database).await;
        let (api, backend) = api_and_backend(&app).await;
        let (phone, orders, ada) = (app.phone().await, app.orders().await, app.user("ada").await);
        let theirs = app.login(&backend, &ada).await;
        let (own, of_a_service) = (app.login(&phone, &ada).await, app.access_token(&orders).await);
        for client in [&phone, &orders, &api] {
            for token in [&theirs.access_token, &theirs.refresh_token] {
                let reply = app.revoke(client, token).await;
                assert_eq!(reply.error(), (400, "unauthorized_client".to_owned()), "{}", client.id);
            }
            // What is no token any more, or never was one, is over already (RFC 7009 §2.2).
            for token in ["x", "tsc1_x", &format!("{}A", theirs.refresh_token)] {
                assert_eq!(app.revoke(client, token).await.status, 200, "{token}");
            }
        }
        let reply = app.revoke(&phone, &of_a_service).await;
        assert_eq!(reply.error(), (400, "unauthorized_client".to_owned()));
        assert!(app.is_good(&api, &theirs.access_token).await);
        assert!(app.is_good(&api, &of_a_service).await);
        assert!(app.is_good(&api, &own.access_token).await);
        Tokens::of(&app.refresh(&backend, &theirs.refresh_token, &[]).await);
        let administrator = app.admin_token().await;
        let path = "/audit?event=revocation_refused";
        let audit = app.admin(&administrator, reqwest::Method::GET, path, None).await.json();
        let details: Vec<&Value> =
            audit["records"].as_array().unwrap().iter().map(|record| &record["detail"]).collect();
        assert!(details.contains(&&json!("issued to another client")), "{audit}");
    }
}

on_every_database! {
    async fn attack_34_a_failing_database_never_makes_a_token_good_or_a_revocation_done(database) {
        let app = TestApp::start(&database).await;
        let (api, backend) = api_and_backend(&app).await;
        let ada = app.user("ada").await;
        let tokens = app.login(&backend, &ada).await;
        let asked = async |client, path, form: &[(&str, &str)]| {
            // Not held against the contract, which knows no database without its tables.
            let response = app.form(client, path, form).send().await.unwrap();
            (response.status(), response.text().await.unwrap())
        };
        database.execute("ALTER TABLE sessions RENAME TO gone").await;
        let refresh_token = tokens.refresh_token.as_str();
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        for (client, path, form) in [
            (&api, "/oauth/introspect", &[("token", tokens.access_token.as_str())][..]),
            (&backend, "/oauth/introspect", &[("token", &tokens.access_token)]),
            (&backend, "/oauth/introspect", &[("token", refresh_token)]),
            (&backend, "/oauth/revoke", &[("token", refresh_token)]),
            (&backend, "/oauth/revoke", &[("token", &tokens.access_token)]),
            (&backend, "/oauth/token", &refresh),
        ] {
            let (status, text) = asked(client, path, form).await;
            assert!(status.is_server_error(), "{path}: whoever asks has to try again: {text}");
            for inside in ["active", "access_token", "sql", "SQL", "table", "sessions", "gone"] {
                assert!(!text.contains(inside), "{path}: {text}");
            }
        }
        database.execute("ALTER TABLE gone RENAME TO sessions").await;
        assert!(app.is_good(&api, &tokens.access_token).await);
        assert_eq!(app.revoke(&backend, &tokens.refresh_token).await.status, 200);
        assert!(!app.is_good(&api, &tokens.access_token).await);
    }
}
