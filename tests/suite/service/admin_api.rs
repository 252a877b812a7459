//! `/api/admin`: what the command line does, over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::app::TestClient;
use crate::harness::{TestApp, on_every_database};

on_every_database! {
    async fn a_client_lives_its_whole_life_over_http(database) {
        let app = TestApp::start(&database).await;
        let admin = app.admin_token().await;
        let registration = json!({
            "client_id": "billing",
            "client_name": "Billing",
            "grant_types": ["client_credentials"],
            "scope": "bills:read",
            "audiences": ["https://bills.example.com"],
            "access_token_ttl": 60,
            "access_token_claims": { "tier": "gold" },
        });
        let created = app.admin(&admin, Method::POST, "/clients", Some(registration)).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let secret = created.json()["client_secret"].as_str().unwrap().to_owned();
        let client = TestClient { id: "billing".into(), secret };
        let reply = app.token(&client, &[]).await;
        assert_eq!(reply.json()["expires_in"], 60, "known at once: {}", reply.text);

        let shown = app.admin(&admin, Method::GET, "/clients/billing", None).await;
        assert_eq!(shown.json()["client_name"], "Billing");
        assert!(!shown.text.contains(&client.secret), "a secret is shown once");

        let body = json!({ "overlap_seconds": 3600 });
        let rotated =
            app.admin(&admin, Method::POST, "/clients/billing/rotate-secret", Some(body)).await;
        let second =
            TestClient { secret: rotated.json()["client_secret"].as_str().unwrap().into(), ..client.clone() };
        assert_eq!(app.token(&client, &[]).await.status, 200, "the older secret goes on");
        assert_eq!(app.token(&second, &[]).await.status, 200);
        let third = app.admin(&admin, Method::POST, "/clients/billing/rotate-secret", None).await;
        assert_eq!(third.error(), (409, "conflict".into()));
        let force = Some(json!({ "force": true, "overlap_seconds": 0 }));
        let forced =
            app.admin(&admin, Method::POST, "/clients/billing/rotate-secret", force).await;
        assert_eq!(forced.status, 200);
        assert_eq!(app.token(&client, &[]).await.status, 401);

        let third =
            TestClient { secret: forced.json()["client_secret"].as_str().unwrap().into(), ..client };
        for (act, status) in [("disable", 401), ("enable", 200)] {
            let path = format!("/clients/billing/{act}");
            assert_eq!(app.admin(&admin, Method::POST, &path, None).await.status, 200);
            assert_eq!(app.token(&third, &[]).await.status.as_u16(), status, "{act}");
        }
        let deleted = app.admin(&admin, Method::DELETE, "/clients/billing", None).await;
        assert_eq!(deleted.status, 204);
        assert_eq!(app.token(&third, &[]).await.status, 401);
        let gone = app.admin(&admin, Method::GET, "/clients/billing", None).await;
        assert_eq!(gone.error(), (404, "not_found".into()));
    }
}

on_every_database! {
    async fn a_public_client_lives_its_life_without_a_secret(database) {
        let app = TestApp::start(&database).await;
        let admin = app.admin_token().await;
        let registration = json!({
            "client_id": "phone",
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
            "redirect_uris": ["http://127.0.0.1/callback", "com.example.app:/callback"],
            "first_party": true,
            "logo_uri": "https://app.example.com/logo.png",
            "post_logout_redirect_uris": ["com.example.app:/bye"],
            "backchannel_logout_uri": "https://app.example.com/logout",
            "require_pushed_authorization_requests": true,
            "scope": "openid offline_access orders:read",
            "session_idle_ttl": 2_592_000,
            "session_ttl": 7_776_000,
            "retry_window": 30,
        });
        let created =
            app.admin(&admin, Method::POST, "/clients", Some(registration.clone())).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let created = created.json();
        for (name, value) in registration.as_object().unwrap() {
            assert_eq!(&created[name], value, "{name}");
        }
        assert_eq!((&created["pkce"], &created["access_token_format"]), (&json!("required"), &json!("jwt")));
        assert_eq!(created.get("client_secret"), None);
        assert_eq!(created["secrets"], json!([]));
        let shown = app.admin(&admin, Method::GET, "/clients/phone", None).await;
        assert_eq!(shown.json(), created);

        let rotated = app.admin(&admin, Method::POST, "/clients/phone/rotate-secret", None).await;
        assert_eq!(rotated.error(), (409, "conflict".into()));
        assert!(rotated.text.contains("no secret to rotate"), "{}", rotated.text);
        let anything = TestClient { id: "phone".into(), secret: "anything".into() };
        assert_eq!(app.token(&anything, &[]).await.error(), (401, "invalid_client".into()));
        let deleted = app.admin(&admin, Method::DELETE, "/clients/phone", None).await;
        assert_eq!(deleted.status, 204);
    }
}

on_every_database! {
    async fn a_registration_that_breaks_a_rule_is_refused_and_explained(database) {
        let app = TestApp::start(&database).await;
        let admin = app.admin_token().await;
        let grants = json!(["client_credentials"]);
        for (body, code, word) in [
            (json!({ "grant_types": [] }), "invalid_client_metadata", "grant"),
            (json!({ "grant_types": ["password"] }), "invalid_request", "client_credentials"),
            (json!({ "grant_types": grants, "frobnicate": 1 }), "invalid_request", "frobnicate"),
            (json!({ "grant_types": grants, "client_id": "a b" }), "invalid_request", "client_id"),
            (
                json!({ "grant_types": grants, "client_id": "01890a5d-ac96-774b-bcce-b302099a8057" }),
                "invalid_request",
                "UUID",
            ),
            (json!({ "grant_types": grants, "audiences": ["x"] }), "invalid_request", "absolute URI"),
            (json!({ "grant_types": grants, "scope": "a  b" }), "invalid_request", "scope"),
            (
                json!({ "grant_types": grants, "access_token_ttl": 3601 }),
                "invalid_client_metadata",
                "3600",
            ),
            (
                json!({ "grant_types": grants, "access_token_claims": { "active": false } }),
                "invalid_client_metadata",
                "active",
            ),
            (
                json!({ "grant_types": grants, "access_token_claims": { "sub": "x" } }),
                "invalid_client_metadata",
                "sub",
            ),
            (
                json!({ "grant_types": grants, "access_token_claims": { "x": "y".repeat(4000) } }),
                "invalid_client_metadata",
                "4096",
            ),
            (
                json!({ "grant_types": ["authorization_code"] }),
                "invalid_client_metadata",
                "redirect URI",
            ),
            (
                json!({ "grant_types": grants, "token_endpoint_auth_method": "none" }),
                "invalid_client_metadata",
                "public client",
            ),
            (
                json!({ "grant_types": grants, "redirect_uris": ["https://a.example/#x"] }),
                "invalid_request",
                "fragment",
            ),
            (
                json!({ "grant_types": grants, "redirect_uris": "https://a.example/" }),
                "invalid_request",
                "sequence",
            ),
            (json!({ "grant_types": grants, "pkce": "never" }), "invalid_request", "optional"),
            (json!({ "grant_types": grants, "first_party": 1 }), "invalid_request", "boolean"),
            (json!({ "grant_types": grants, "retry_window": -1 }), "invalid_request", "u32"),
            (
                json!({ "grant_types": grants, "retry_window": 3601 }),
                "invalid_client_metadata",
                "3600",
            ),
            (json!({ "grant_types": grants, "logo": "x" }), "invalid_request", "logo_uri"),
            (json!({ "grant_types": grants, "logo_uri": "javascript:x" }), "invalid_request", "https"),
            (
                json!({ "grant_types": grants, "post_logout_redirect_uris": ["https://a.example/#x"] }),
                "invalid_request",
                "fragment",
            ),
            (
                json!({ "grant_types": grants, "backchannel_logout_uri": "http://a.example/" }),
                "invalid_request",
                "http",
            ),
            (
                json!({ "grant_types": grants, "backchannel_logout_uri": "https://a.example/" }),
                "invalid_client_metadata",
                "authorization_code",
            ),
        ] {
            let reply = app.admin(&admin, Method::POST, "/clients", Some(body.clone())).await;
            assert_eq!(reply.error(), (400, code.into()), "{body}");
            assert!(reply.text.contains(word), "{body}: {}", reply.text);
        }
        let taken = json!({ "grant_types": grants, "client_id": "admin" });
        let reply = app.admin(&admin, Method::POST, "/clients", Some(taken)).await;
        assert_eq!(reply.error(), (409, "conflict".into()));
    }
}

on_every_database! {
    async fn lists_come_in_pages_and_a_cursor_is_input_like_any_other(database) {
        let app = TestApp::start(&database).await;
        let admin = app.admin_token().await;
        for id in ["c1", "c2", "c3", "c4"] {
            let body = json!({ "client_id": id, "grant_types": ["client_credentials"] });
            assert_eq!(app.admin(&admin, Method::POST, "/clients", Some(body)).await.status, 201);
        }
        let mut ids: Vec<String> = Vec::new();
        let mut path = "/clients?limit=2".to_owned();
        loop {
            let page = app.admin(&admin, Method::GET, &path, None).await.json();
            let clients = page["clients"].as_array().unwrap();
            ids.extend(clients.iter().map(|client| client["client_id"].as_str().unwrap().into()));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("/clients?limit=2&cursor={cursor}");
        }
        assert_eq!(ids, ["admin", "c1", "c2", "c3", "c4"]);
        for bad in ["limit=0", "limit=201", "limit=x", "cursor=%27--", "cursor=!!", "other=1"] {
            let reply = app.admin(&admin, Method::GET, &format!("/clients?{bad}"), None).await;
            assert_eq!(reply.error(), (400, "invalid_request".into()), "{bad}");
        }
    }
}

on_every_database! {
    async fn keys_are_rotated_imported_and_revoked_over_http(database) {
        let app = TestApp::start(&database).await;
        let admin = app.admin_token().await;
        let states = |body: &Value| -> Vec<String> {
            body["keys"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap().into()).collect()
        };
        let listed = app.admin(&admin, Method::GET, "/keys", None).await;
        assert_eq!(states(&listed.json()), ["active"]);
        assert!(!listed.text.contains("sealed") && !listed.text.contains("\"d\""));

        let rotated = app.admin(&admin, Method::POST, "/keys/rotate", None).await;
        assert_eq!(states(&rotated.json()), ["next", "active"]);
        assert_eq!(app.get("/.well-known/jwks.json").await.json()["keys"].as_array().unwrap().len(), 2);

        let pem = include_str!("../../../src/crypto/vault/fixtures/rsa2048-pkcs1.pem");
        let imported =
            app.admin(&admin, Method::POST, "/keys/import", Some(json!({ "pem": pem }))).await;
        assert_eq!(states(&imported.json()), ["next", "revoked", "active"]);
        let again = app.admin(&admin, Method::POST, "/keys/import", Some(json!({ "pem": pem }))).await;
        assert_eq!(again.error(), (409, "conflict".into()));
        let weak = include_str!("../../../src/crypto/vault/fixtures/rsa1024.pem");
        let refused = app.admin(&admin, Method::POST, "/keys/import", Some(json!({ "pem": weak }))).await;
        assert_eq!(refused.error(), (400, "invalid_request".into()));

        let active = imported.json()["keys"][2]["kid"].as_str().unwrap().to_owned();
        let path = format!("/keys/{active}/revoke");
        let revoked = app.admin(&admin, Method::POST, &path, None).await;
        assert_eq!(states(&revoked.json()), ["active", "revoked", "revoked"]);
        // The administrator's own token was signed by the key that is revoked now.
        let reply = app.admin(&admin, Method::GET, "/keys", None).await;
        assert_eq!(reply.error(), (401, "invalid_token".into()));
        assert_eq!(app.get("/.well-known/jwks.json").await.json()["keys"].as_array().unwrap().len(), 1);
    }
}
