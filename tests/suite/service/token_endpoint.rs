//! `POST /oauth/token` with client credentials.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use reqwest::Method;
use serde_json::Value;

use crate::harness::app::TestClient;
use crate::harness::{Reply, TestApp, on_every_database};

on_every_database! {
    async fn a_service_gets_a_token_that_another_library_verifies(database) {
        let app = TestApp::start(&database).await;
        let client = app.orders().await;
        let reply = app.token(&client, &[]).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.header("cache-control"), "no-store");
        let body = reply.json();
        assert_eq!(body["token_type"], "Bearer");
        assert_eq!(body["expires_in"], 300);
        assert_eq!(body["scope"], "orders:read orders:write");

        let token = body["access_token"].as_str().unwrap();
        assert!(token.len() < 900, "a service token stays under 900 bytes: {}", token.len());
        let claims = verify_with_jsonwebtoken(&app, token).await;
        assert_eq!(claims["iss"], app.issuer.as_str());
        assert_eq!(claims["sub"], "orders");
        assert_eq!(claims["client_id"], "orders");
        assert_eq!(claims["aud"], "https://api.example.com");
        assert_eq!(claims["scope"], "orders:read orders:write");
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
        assert!(claims.get("nbf").is_none());
    }
}

async fn verify_with_jsonwebtoken(app: &TestApp, token: &str) -> Value {
    let keys: JwkSet = serde_json::from_str(&app.get("/.well-known/jwks.json").await.text).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(header.alg, Algorithm::RS256);
    let key = DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&["https://api.example.com"]);
    validation.set_issuer(&[&app.issuer]);
    #[expect(
        clippy::disallowed_methods,
        reason = "an independent verifier of our tokens"
    )]
    let verified = jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap();
    verified.claims
}

on_every_database! {
    async fn every_mistake_gets_the_error_that_the_rfc_names(database) {
        let app = TestApp::start(&database).await;
        let client = app.orders().await;
        let wrong = TestClient { secret: "tss1_wrong".into(), ..client.clone() };
        let unknown = TestClient { id: "nobody".into(), ..client.clone() };
        let grant = ("grant_type", "client_credentials");

        let reply = app.token(&wrong, &[]).await;
        assert_eq!(reply.error(), (401, "invalid_client".into()));
        assert!(reply.header("www-authenticate").starts_with("Basic realm="));
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(app.token(&unknown, &[]).await.text, reply.text, "no hint which part is wrong");

        let in_form = [grant, ("client_id", "orders"), ("client_secret", "wrong")];
        let reply = post(&app, &form(&in_form)).await;
        assert_eq!(reply.error(), (401, "invalid_client".into()));
        assert_eq!(reply.header("www-authenticate"), "");
        assert_eq!(post(&app, "grant_type=client_credentials").await.error().0, 401);

        for (parameters, code) in [
            (vec![("grant_type", "password")], "unsupported_grant_type"),
            (vec![("grant_type", "")], "invalid_request"),
            (vec![("scope", "orders:delete")], "invalid_scope"),
            (vec![("scope", "orders:read  orders:write")], "invalid_scope"),
            (vec![("scope", "orders:read\0")], "invalid_scope"),
            (vec![("resource", "https://other.example.com")], "invalid_target"),
            (vec![("resource", "orders")], "invalid_target"),
            (vec![("resource", "https://api.example.com#x")], "invalid_target"),
            (vec![("scope", "orders:read"), ("scope", "orders:read")], "invalid_request"),
            (vec![("client_id", "other")], "invalid_request"),
            (vec![("client_secret", "second")], "invalid_request"),
        ] {
            let reply = app.token(&client, &parameters).await;
            assert_eq!(reply.error(), (400, code.to_owned()), "{parameters:?}");
            assert_eq!(reply.header("cache-control"), "no-store");
        }
    }
}

on_every_database! {
    async fn a_body_that_is_not_a_small_form_is_refused(database) {
        let app = TestApp::start(&database).await;
        let client = app.orders().await;
        let good = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &client.id),
            ("client_secret", &client.secret),
        ]);
        assert_eq!(post(&app, &good).await.status, 200);

        let as_type = |content_type: &'static str, body: String| {
            app.request(Method::POST, "/oauth/token").header("content-type", content_type).body(body)
        };
        for content_type in ["application/json", "text/plain", "multipart/form-data; boundary=x"] {
            let reply = app.send(as_type(content_type, good.clone())).await;
            assert_eq!(reply.error(), (400, "invalid_request".into()), "{content_type}");
        }
        let with_charset = "application/x-www-form-urlencoded; charset=UTF-8";
        assert_eq!(app.send(as_type(with_charset, good.clone())).await.status, 200);

        let padding = "x".repeat(16 * 1024);
        let reply = post(&app, &format!("{good}&pad={padding}")).await;
        assert_eq!(reply.error(), (413, "invalid_request".into()));
        for bad in ["grant_type=%", "grant_type=%zz", "grant_type=%ff"] {
            assert_eq!(post(&app, bad).await.error(), (400, "invalid_request".into()), "{bad}");
        }
        let request = app
            .request(Method::POST, "/oauth/token?client_secret=in-the-url")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(good.clone());
        assert_eq!(app.send(request).await.error(), (400, "invalid_request".into()));

        let reply = app.get("/oauth/token").await;
        assert_eq!(reply.error(), (405, "invalid_request".into()));
        assert_eq!(reply.header("allow"), "POST, OPTIONS");
    }
}

on_every_database! {
    async fn scope_and_resource_choose_what_the_token_is_for(database) {
        let app = TestApp::start(&database).await;
        let arguments =
            ["--scope", "a b c", "--audience", "https://one.example", "--audience", "https://two.example"];
        let client = app.client("many", &arguments).await;

        let claims = claims(&app.token(&client, &[]).await);
        assert_eq!(claims["aud"], "https://one.example", "the first is the default");
        let both = [("resource", "https://two.example"), ("resource", "https://one.example")];
        let reply = app.token(&client, &[both[0], both[1], ("scope", "c a")]).await;
        let narrowed = self::claims(&reply);
        assert_eq!(narrowed["aud"], serde_json::json!(["https://two.example", "https://one.example"]));
        assert_eq!(narrowed["scope"], "c a");
        assert_eq!(reply.json()["scope"], "c a");
    }
}

on_every_database! {
    async fn a_client_may_be_held_to_one_way_of_authenticating(database) {
        let app = TestApp::start(&database).await;
        let arguments = ["--scope", "a", "--auth-method", "client_secret_basic"];
        let client = app.client("basic-only", &arguments).await;
        assert_eq!(app.token(&client, &[]).await.status, 200);
        let in_form = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &client.id),
            ("client_secret", &client.secret),
        ]);
        assert_eq!(post(&app, &in_form).await.error(), (401, "invalid_client".into()));
    }
}

on_every_database! {
    async fn after_warm_up_a_token_costs_no_database_operation(database) {
        let app = TestApp::start(&database).await;
        let client = app.orders().await;
        app.access_token(&client).await;
        // What the background task does goes on, at its own pace: four looks at the versions a second.
        let operations = async |name: &str| {
            app.metric("tokensmith_store_operations_total", name).await
        };
        let all_before = operations("").await;
        let looks_before = operations("operation=\"versions\"").await;
        let start = std::time::Instant::now();
        assert!(looks_before > 0.0, "operations are counted");
        for _ in 0..100 {
            app.access_token(&client).await;
        }
        let looks = operations("operation=\"versions\"").await - looks_before;
        let most_looks = start.elapsed().as_secs_f64() * 4.0 + 3.0;
        let others = operations("").await - all_before - looks;
        assert!(looks <= most_looks, "{looks} looks at the versions, expected {most_looks}");
        // The uses of secrets are written down once a minute.
        assert!(others <= 2.0, "{others} operations for 100 tokens");
        let issued = app.metric("tokensmith_tokens_issued_total", "client_id=\"orders\"").await;
        assert!(issued >= 101.0, "{issued}");
    }
}

fn claims(reply: &Reply) -> Value {
    use base64::Engine;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let body = reply.json();
    let token = body["access_token"].as_str().unwrap();
    let payload = token.split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .unwrap();
    serde_json::from_slice(&payload).unwrap()
}

fn form(parameters: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish()
}

async fn post(app: &TestApp, body: &str) -> Reply {
    let request = app
        .request(Method::POST, "/oauth/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.to_owned());
    app.send(request).await
}
