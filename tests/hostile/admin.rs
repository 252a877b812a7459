//! The administrative API as an attacker meets it who has a token for it, or who wants one.

use std::net::TcpListener;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::app::TestClient;
use crate::harness::authorize::AuthorizationRequest;
use crate::harness::login::TestUser;
use crate::harness::person::Person;
use crate::harness::{Database, TestApp, on_every_database};

/// What has opened databases elsewhere.
const INJECTIONS: [&str; 8] = [
    "' OR '1'='1",
    "'; DROP TABLE clients; --",
    "\" OR 1=1 --",
    "1) UNION SELECT sealed_private FROM signing_keys --",
    "$1",
    "%27%20OR%201=1",
    "\\'; SELECT pg_sleep(10); --",
    "x\0' OR '1'='1",
];

on_every_database! {
    async fn attack_39_a_cursor_is_a_place_in_a_list_and_nothing_else(database) {
        let app = TestApp::start(&database).await;
        let (administrator, _orders) = (app.admin_token().await, app.orders().await);
        let ada = app.user("ada").await;
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let mut cursors: Vec<String> = INJECTIONS.iter().map(|text| encoded(text)).collect();
        cursors.extend(INJECTIONS.iter().map(|text| (*text).to_owned()));
        cursors.extend([
            "A".repeat(5_000),
            encoded(&"A".repeat(5_000)),
            URL_SAFE_NO_PAD.encode([0xff, 0xfe]),
            format!("{}=", encoded("admin")),
            encoded("[]"),
            encoded("null"),
        ]);
        for list in ["clients", "users", "keys", "audit"] {
            let path = |cursor: &str| {
                let cursor: String = url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
                format!("/{list}?cursor={cursor}")
            };
            let all = app.admin(&administrator, Method::GET, &format!("/{list}"), None).await;
            assert_eq!(all.status, 200, "{list}");
            for cursor in &cursors {
                let reply = app.admin(&administrator, Method::GET, &path(cursor), None).await;
                // Some are the name of no item and still a place in the order of names.
                if reply.status == 200 {
                    assert!(reply.text.len() <= all.text.len(), "{list} {cursor}: {}", reply.text);
                    assert!(!reply.text.contains("sealed"), "{list} {cursor}: {}", reply.text);
                } else {
                    assert_eq!(reply.error(), (400, "invalid_request".to_owned()), "{list} {cursor}");
                }
            }
            for twice in ["cursor=YQ&cursor=Yg", "limit=1&limit=2", "limit=-1", "limit=4294967296", "limit=1e2"] {
                let reply = app.admin(&administrator, Method::GET, &format!("/{list}?{twice}"), None).await;
                assert_eq!(reply.error(), (400, "invalid_request".to_owned()), "{list}?{twice}");
            }
        }
        // Of another list, and of another kind.
        let of_a_user = format!("/clients?cursor={}", encoded(&ada.id));
        let reply = app.admin(&administrator, Method::GET, &of_a_user, None).await;
        assert_eq!(reply.error(), (400, "invalid_request".to_owned()));
        let left = app.admin(&administrator, Method::GET, "/clients", None).await.json();
        assert_eq!(left["clients"].as_array().unwrap().len(), 2, "nothing was dropped");
    }
}

on_every_database! {
    async fn attack_39_no_name_is_a_statement(database) {
        let app = TestApp::start(&database).await;
        let (administrator, phone) = (app.admin_token().await, app.phone().await);
        let ada = app.user("ada").await;
        let tokens = app.login(&phone, &ada).await;
        let own = app.for_account(&phone, &tokens).await;
        for text in INJECTIONS {
            let quoted: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
            let quoted = quoted.replace('+', "%20");
            for path in [
                format!("/clients/{quoted}"),
                format!("/users/{quoted}"),
                format!("/users/{quoted}/sessions"),
            ] {
                let reply = app.admin(&administrator, Method::GET, &path, None).await;
                assert_eq!(reply.status, 404, "{path}: {}", reply.text);
            }
            let path = format!("/sessions/{quoted}");
            assert_eq!(app.admin(&administrator, Method::DELETE, &path, None).await.status, 404);
            assert_eq!(app.me(&own.access_token, Method::DELETE, &path, None).await.status, 404);
            let by_login = format!("/users?login={quoted}");
            let found = app.admin(&administrator, Method::GET, &by_login, None).await;
            let nobody = found.status == 400 || found.json()["users"] == json!([]);
            assert!(nobody, "{text}: {}", found.text);
            for filter in ["event", "user_id", "client_id", "sid"] {
                let path = format!("/audit?{filter}={quoted}");
                let reply = app.admin(&administrator, Method::GET, &path, None).await;
                let nothing = reply.status == 400 || reply.json()["records"] == json!([]);
                assert!(nothing, "{path}: {}", reply.text);
            }
            // As a name of somebody who signs in, and as the password of somebody who does not.
            let as_name = app.challenge(&phone, &ada, &[("username", text)]).await;
            assert_eq!(as_name.error().1, "insufficient_authorization", "{text}");
            let named = json!({ "device": text });
            let path = format!("/sessions/{}", own.sid);
            let renamed = app.me(&own.access_token, Method::PATCH, &path, Some(named)).await;
            assert!([200, 400].contains(&renamed.status.as_u16()), "{text}: {}", renamed.text);
        }
        let sessions = app.me(&own.access_token, Method::GET, "/sessions", None).await.json();
        assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1, "{sessions}");
    }
}

on_every_database! {
    async fn attack_39_nobody_sets_what_the_server_decides(database) {
        let app = TestApp::start(&database).await;
        let (administrator, phone) = (app.admin_token().await, app.phone().await);
        let ada = app.user("ada").await;
        let tokens = app.login(&phone, &ada).await;
        let own = app.for_account(&phone, &tokens).await;
        let client = json!({ "grant_types": ["client_credentials"], "scope": "a" });
        let user = json!({ "username": "eve" });
        let device = json!({ "device": "phone" });
        let session = format!("/api/me/sessions/{}", own.sid);
        let password = json!({ "current_password": "x", "new_password": "y" });
        for (token, method, path, body, members) in [
            (&administrator, Method::POST, "/api/admin/clients", &client,
                &["client_secret", "secrets", "secret_hash", "created_at", "disabled_at", "enabled",
                    "version", "status", "id", "__proto__"][..]),
            (&administrator, Method::POST, "/api/admin/users", &user,
                &["user_id", "id", "sub", "password_hash", "hash", "enabled", "disabled_at", "created_at",
                    "password_changed_at"]),
            (&administrator, Method::POST, "/api/admin/keys/rotate", &json!({}),
                &["kid", "private_key", "active_from", "retires_at", "d", "pem"]),
            (&administrator, Method::POST, "/api/admin/clients/phone/rotate-secret", &json!({}),
                &["client_secret", "secret", "client_id"]),
            (&own.access_token, Method::PATCH, &session, &device,
                &["sid", "user_id", "client_id", "ended_at", "expires_at", "generation", "scope"]),
            (&own.access_token, Method::PUT, "/api/me/password", &password,
                &["user_id", "sub", "username", "admin"]),
        ] {
            for member in members {
                for value in [json!(true), json!("x"), Value::Null, json!({ "x": 1 })] {
                    let mut body = body.clone();
                    body[*member] = value;
                    let reply = app.with_token(token, method.clone(), path, Some(body)).await;
                    assert_eq!(reply.error(), (400, "invalid_request".to_owned()), "{path} {member}");
                }
            }
        }
        // Nor by a second member of the same name, nor by a body that is no object.
        for text in [
            r#"{"username":"eve","username":"mallory"}"#,
            r#"{"username":"eve","\u0075sername":"mallory"}"#,
            r#"["eve"]"#,
            r#""eve""#,
        ] {
            let request = app.request(Method::POST, "/api/admin/users").bearer_auth(&administrator);
            let reply = app.send(request.header("content-type", "application/json").body(text)).await;
            assert_eq!(reply.error(), (400, "invalid_request".to_owned()), "{text}");
        }
        let users = app.admin(&administrator, Method::GET, "/users", None).await.json();
        assert_eq!(users["users"].as_array().unwrap().len(), 1, "{users}");
    }
}

on_every_database! {
    async fn attack_39_what_was_taken_away_is_not_given_back_by_another_change(database) {
        let app = TestApp::start(&database).await;
        let (administrator, phone) = (app.admin_token().await, app.phone().await);
        let orders = app.orders().await;
        let ada = app.user("ada").await;
        let tokens = app.login(&phone, &ada).await;
        let post = async |path: &str, body| {
            app.admin(&administrator, Method::POST, path, body).await.status.as_u16()
        };
        assert_eq!(post("/clients/orders/disable", None).await, 200);
        assert_eq!(post("/clients/orders/rotate-secret", Some(json!({ "force": true }))).await, 200);
        assert_eq!(app.token(&orders, &[]).await.status, 401, "a new secret enables nobody");
        let shown = app.admin(&administrator, Method::GET, "/clients/orders", None).await.json();
        assert_eq!(shown["enabled"], false);

        let user = format!("/users/{}", ada.id);
        assert_eq!(post(&format!("{user}/disable"), None).await, 200);
        let new = Some(json!({ "password": "four storks by the pond" }));
        let reply = app.admin(&administrator, Method::PUT, &format!("{user}/password"), new).await;
        assert_eq!(reply.status, 204, "{}", reply.text);
        let ada = TestUser { password: "four storks by the pond".into(), ..ada };
        assert_eq!(app.challenge(&phone, &ada, &[]).await.status, 400, "nor does a new password");
        assert_eq!(post(&format!("{user}/enable"), None).await, 200);
        let reply = app.refresh(&phone, &tokens.refresh_token, &[]).await;
        assert_eq!(reply.error(), (400, "invalid_grant".to_owned()), "what has ended stays ended");
        app.login(&phone, &ada).await;
    }
}

#[tokio::test]
async fn attack_39_a_new_installation_knows_nobody() {
    let (one, two) = (Database::sqlite(), Database::sqlite());
    let app = TestApp::start(&one).await;
    let twin = TestApp::start_with(&two, &[("TOKENSMITH_ISSUER", &app.issuer)]).await;
    for (id, secret) in [
        ("admin", "admin"),
        ("admin", ""),
        ("demo", "demo"),
        ("demo", "tss1_demo"),
        ("tokensmith", "tokensmith"),
        ("root", "changeme"),
    ] {
        let client = TestClient {
            id: id.into(),
            secret: secret.into(),
        };
        assert_eq!(
            app.token(&client, &[]).await.error(),
            (401, "invalid_client".to_owned()),
            "{id}"
        );
    }
    // Each has made secrets of its own: what one gives out is nothing to the other.
    let keys = async |app: &TestApp| app.get("/.well-known/jwks.json").await.json();
    assert_ne!(keys(&app).await, keys(&twin).await);
    let administrator = app.admin_token().await;
    let reply = twin
        .admin(&administrator, Method::GET, "/clients", None)
        .await;
    assert_eq!(reply.error(), (401, "invalid_token".to_owned()));
    let (master, other) = (one.home.path().join("keys"), two.home.path().join("keys"));
    let read = |path: PathBuf| std::fs::read(path.join("master.key")).unwrap();
    assert_ne!(read(master), read(other));
}

#[tokio::test]
async fn attack_39_no_key_leaves_by_any_endpoint() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let administrator = app.admin_token().await;
    let kid = app.get("/.well-known/jwks.json").await.json()["keys"][0]["kid"].clone();
    let kid = kid.as_str().unwrap();
    for path in [
        "",
        "/export",
        "/private",
        "/pem",
        ".pem",
        "?private=true",
        "?format=pem",
    ] {
        let path = format!("/keys/{kid}{path}");
        let reply = app.admin(&administrator, Method::GET, &path, None).await;
        assert!(reply.status.is_client_error(), "{path}: {}", reply.text);
    }
    let listed = app
        .admin(&administrator, Method::GET, "/keys", None)
        .await
        .json();
    let public = app.get("/.well-known/jwks.json").await.json();
    for key in [&listed["keys"][0], &public["keys"][0]] {
        for private in [
            "d",
            "p",
            "q",
            "dp",
            "dq",
            "qi",
            "oth",
            "k",
            "sealed_private",
            "private_key",
            "pem",
        ] {
            assert!(key.get(private).is_none(), "{private}: {key}");
        }
    }
    let exported = app.run(&["keys", "export", kid]);
    assert_eq!(exported.code, 2, "nor by a command: {}", exported.out);
}

#[tokio::test]
async fn attack_37_what_a_registration_points_to_is_not_fetched() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let administrator = app.admin_token().await;
    let inside = TcpListener::bind("127.0.0.1:0").unwrap();
    inside.set_nonblocking(true).unwrap();
    let port = inside.local_addr().unwrap().port();
    let address = format!("https://localhost:{port}/inside");
    let registration = |member: &str, value: Value| {
        let mut body = json!({
            "client_id": "web", "grant_types": ["authorization_code"], "scope": "openid",
            "redirect_uris": ["https://app.example.com/callback"],
        });
        body[member] = value;
        Some(body)
    };
    // What other servers fetch: keys, lists of addresses, request objects, statements.
    for member in [
        "jwks_uri",
        "sector_identifier_uri",
        "initiate_login_uri",
        "software_statement",
        "policy_uri",
        "tos_uri",
        "client_uri",
        "frontchannel_logout_uri",
        "backchannel_client_notification_endpoint",
    ] {
        let body = registration(member, json!(address));
        let reply = app
            .admin(&administrator, Method::POST, "/clients", body)
            .await;
        assert_eq!(
            reply.error(),
            (400, "invalid_request".to_owned()),
            "{member}"
        );
    }
    // What looks like a template is no address.
    for placeholder in [
        "https://${env.HOST}/told",
        "https://{client_id}.example.com/told",
        "https://%7Bclient_id%7D.example.com/told",
        "https://$(hostname)/told",
        "https://app.example.com:${PORT}/told",
    ] {
        let body = registration("backchannel_logout_uri", json!(placeholder));
        let reply = app
            .admin(&administrator, Method::POST, "/clients", body)
            .await;
        assert_eq!(reply.status, 400, "{placeholder}: {}", reply.text);
    }
    // A logo is for the browser of the person: the page names it, and the server leaves it alone.
    let body = registration("logo_uri", json!(address));
    let reply = app
        .admin(&administrator, Method::POST, "/clients", body)
        .await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let secret = reply.json()["client_secret"].as_str().unwrap().to_owned();
    let web = TestClient {
        id: "web".into(),
        secret,
    };
    let ada = app.user("ada").await;
    let mut person = Person::new(&app);
    let page = person.get("/login").await;
    app.sign_in(&mut person, &page, &ada).await;
    let request = AuthorizationRequest::of(&web).with_all(&[
        ("scope", "openid"),
        ("redirect_uri", "https://app.example.com/callback"),
    ]);
    let page = app.authorize(&mut person, &request).await;
    assert!(page.text.contains(&address), "{}", page.text);
    for name in [
        "jwks_uri",
        "request_uri",
        "request",
        "registration",
        "sector_identifier_uri",
    ] {
        app.authorize(&mut person, &request.clone().with(name, &address))
            .await;
    }
    assert!(inside.accept().is_err(), "nobody has called");
}

#[tokio::test]
async fn attack_39_no_api_takes_a_cookie() {
    // Otherwise any page that a person looks at could administer.
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let (phone, ada) = (app.phone().await, app.user("ada").await);
    let mut person = Person::new(&app);
    let page = person.get("/login").await;
    app.sign_in(&mut person, &page, &ada).await;
    let own = app
        .for_account(&phone, &app.login(&phone, &ada).await)
        .await;
    let administrator = app.admin_token().await;
    let mut cookies: Vec<String> = person
        .cookies
        .iter()
        .map(|it| format!("{}={}", it.name, it.value))
        .collect();
    for name in ["access_token", "token", "Authorization", "tokensmith-login"] {
        cookies.push(format!("{name}={}", own.access_token));
        cookies.push(format!("{name}={administrator}"));
    }
    for cookie in cookies.iter().chain([&cookies.join("; ")]) {
        for path in [
            "/api/me",
            "/api/me/sessions",
            "/api/admin/clients",
            "/api/admin/keys",
            "/oauth/userinfo",
        ] {
            let request = app.request(Method::GET, path).header("cookie", cookie);
            let reply = app.send(request).await;
            assert_eq!(reply.status, 401, "{path} {cookie}");
            assert_eq!(reply.header("set-cookie"), "", "{path}");
        }
        let request = app
            .request(Method::DELETE, "/api/me/sessions")
            .header("cookie", cookie);
        assert_eq!(app.send(request).await.status, 401, "{cookie}");
    }
    let in_url = format!("/api/admin/clients?access_token={administrator}");
    assert_eq!(
        app.get(&in_url).await.status,
        401,
        "nor a token in the address (RFC 6750 §2.3)"
    );
}
