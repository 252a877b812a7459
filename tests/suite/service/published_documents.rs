//! The JWKS and the metadata.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Database, TestApp, on_every_database};

on_every_database! {
    async fn the_jwks_can_be_kept_and_asked_for_again_cheaply(database) {
        let app = TestApp::start(&database).await;
        let jwks = app.get("/.well-known/jwks.json").await;
        assert_eq!(jwks.header("cache-control"), "public, max-age=300, stale-while-revalidate=300");
        assert_eq!(jwks.header("access-control-allow-origin"), "*");
        assert_eq!(jwks.header("content-type"), "application/json");
        let key = &jwks.json()["keys"][0];
        assert_eq!((key["kty"].as_str(), key["use"].as_str()), (Some("RSA"), Some("sig")));
        assert_eq!(key["alg"], "RS256");
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(key.get(private).is_none(), "{private}");
        }
        let etag = jwks.header("etag").to_owned();
        let again = |value: String| {
            app.request(Method::GET, "/.well-known/jwks.json").header("if-none-match", value)
        };
        for known in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".into()] {
            let reply = app.send(again(known)).await;
            assert_eq!((reply.status.as_u16(), reply.text.as_str()), (304, ""));
            assert_eq!(reply.header("etag"), etag);
        }
        assert_eq!(app.send(again("\"other\"".into())).await.status, 200);
        let head = app.send(app.request(Method::HEAD, "/.well-known/jwks.json")).await;
        assert_eq!((head.status.as_u16(), head.header("etag")), (200, etag.as_str()));
        assert_eq!(app.send(app.request(Method::POST, "/.well-known/jwks.json")).await.status, 405);
        assert_eq!(app.send(app.request(Method::OPTIONS, "/.well-known/jwks.json")).await.status, 204);
    }
}

on_every_database! {
    async fn the_metadata_names_what_this_server_does(database) {
        let app = TestApp::start(&database).await;
        let metadata = app.get("/.well-known/oauth-authorization-server").await.json();
        assert_eq!(metadata["issuer"], app.issuer.as_str());
        assert_eq!(metadata["token_endpoint"], format!("{}/oauth/token", app.issuer));
        assert_eq!(metadata["jwks_uri"], format!("{}/.well-known/jwks.json", app.issuer));
        for (name, path) in [
            ("authorization_challenge_endpoint", "/oauth/challenge"),
            ("revocation_endpoint", "/oauth/revoke"),
            ("introspection_endpoint", "/oauth/introspect"),
            ("status_list_aggregation_endpoint", "/status-lists"),
            ("revocation_stream_endpoint", "/revocation/stream"),
            ("revocation_changes_endpoint", "/revocation/changes"),
            ("revocation_snapshot_endpoint", "/revocation/snapshot"),
            ("service_documentation", "/docs"),
        ] {
            assert_eq!(metadata[name], format!("{}{path}", app.issuer));
        }
        let grants = ["authorization_code", "refresh_token", "client_credentials"];
        assert_eq!(metadata["grant_types_supported"], json!(grants));
        assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
        let all = json!(["client_secret_basic", "client_secret_post", "none"]);
        assert_eq!(metadata["token_endpoint_auth_methods_supported"], all);
        assert_eq!(metadata["revocation_endpoint_auth_methods_supported"], all);
        let proving = json!(["client_secret_basic", "client_secret_post"]);
        assert_eq!(metadata["introspection_endpoint_auth_methods_supported"], proving);
    }
}

on_every_database! {
    async fn openid_connect_clients_find_the_same_document_with_all_that_they_require(database) {
        let app = TestApp::start(&database).await;
        let reply = app.get("/.well-known/openid-configuration").await;
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        let known = app.request(Method::GET, "/.well-known/openid-configuration");
        let known = known.header("if-none-match", reply.header("etag"));
        assert_eq!(app.send(known).await.status, 304);
        let document = reply.json();
        assert_eq!(document, app.get("/.well-known/oauth-authorization-server").await.json());
        // OpenID Connect Discovery 1.0 §3: required, or recommended.
        for (name, path) in [
            ("authorization_endpoint", "/oauth/authorize"),
            ("token_endpoint", "/oauth/token"),
            ("userinfo_endpoint", "/oauth/userinfo"),
            ("jwks_uri", "/.well-known/jwks.json"),
            ("pushed_authorization_request_endpoint", "/oauth/par"),
            ("end_session_endpoint", "/oauth/logout"),
        ] {
            assert_eq!(document[name], format!("{}{path}", app.issuer), "{name}");
        }
        assert_eq!(document["issuer"], app.issuer.as_str());
        assert_eq!(document["response_types_supported"], json!(["code"]));
        assert_eq!(document["subject_types_supported"], json!(["public"]));
        assert_eq!(document["id_token_signing_alg_values_supported"], json!(["RS256"]));
        let scopes = document["scopes_supported"].as_array().unwrap();
        assert!(scopes.contains(&json!("openid")), "{scopes:?}");
        let claims = document["claims_supported"].as_array().unwrap();
        assert!(claims.contains(&json!("sub")), "{claims:?}");
        // §3: true when absent.
        assert_eq!(document["request_uri_parameter_supported"], false);
    }
}

#[tokio::test]
async fn an_issuer_with_a_path_has_its_metadata_where_each_specification_puts_it() {
    let database = Database::sqlite();
    let issuer = "https://login.example.com/auth";
    let app = TestApp::start_with(&database, &[("TOKENSMITH_ISSUER", issuer)]).await;
    let metadata = app
        .get("/.well-known/oauth-authorization-server/auth")
        .await
        .json();
    assert_eq!(metadata["issuer"], issuer);
    assert_eq!(
        metadata["token_endpoint"],
        "https://login.example.com/auth/oauth/token"
    );
    // RFC 8414 §3.1 puts the path of the issuer last, OpenID Connect Discovery 1.0 §4.1 first.
    let discovered = app.get("/auth/.well-known/openid-configuration").await;
    assert_eq!(discovered.json(), metadata);
    assert_eq!(
        metadata["authorization_endpoint"],
        "https://login.example.com/auth/oauth/authorize"
    );
    let elsewhere = app.get("/.well-known/openid-configuration").await;
    assert_eq!(elsewhere.status, 404);
    assert_eq!(app.get("/auth/.well-known/jwks.json").await.status, 200);
    assert_eq!(app.get("/.well-known/jwks.json").await.status, 404);
    assert_eq!(app.get("/healthz").await.status, 200);
}
