//! What a grant gives that nobody granted, grants that are not offered, and the login of an app of
//! the issuer's own without its password.

use reqwest::Method;
use serde_json::json;

use crate::harness::app::TestClient;
use crate::harness::authorize::AuthorizationRequest;
use crate::harness::login::{TestUser, Tokens, VERIFIER, claims, s256};
use crate::harness::person::{Cookie, Person};
use crate::harness::{Database, TestApp, on_every_database};

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

on_every_database! {
    async fn attack_25_a_challenge_that_is_used_twice_binds_two_codes(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let tablet = app.app_for_people("tablet", &["--public", "--first-party"]).await;
        let (ada, bob) = (app.user("ada").await, app.user("bob").await);
        let (hers, his) = (app.code(&phone, &ada).await, app.code(&phone, &bob).await);
        let elsewhere = app.code(&tablet, &ada).await;
        assert_eq!(app.redeem(&phone, &elsewhere, VERIFIER).await.error(), invalid_grant());
        // The same verifier opens each of its codes once, and the one use says nothing of the other.
        let first = Tokens::of(&app.redeem(&phone, &hers, VERIFIER).await);
        let second = Tokens::of(&app.redeem(&phone, &his, VERIFIER).await);
        assert_eq!(claims(&first.access_token)["sub"], ada.id.as_str());
        assert_eq!(claims(&second.access_token)["sub"], bob.id.as_str());
        assert_eq!(app.redeem(&phone, &hers, VERIFIER).await.error(), invalid_grant());
        let over = app.refresh(&phone, &first.refresh_token, &[]).await;
        assert_eq!(over.error(), invalid_grant());
        assert_eq!(app.refresh(&phone, &second.refresh_token, &[]).await.status, 200);
        // A code that was had with another challenge is not opened by this verifier.
        let own = s256(&"b".repeat(43));
        let swapped = app.challenge(&phone, &ada, &[("code_challenge", &own)]).await.json();
        let swapped = swapped["authorization_code"].as_str().unwrap().to_owned();
        assert_eq!(app.redeem(&phone, &swapped, VERIFIER).await.error(), invalid_grant());
        Tokens::of(&app.redeem(&tablet, &elsewhere, VERIFIER).await);
    }
}

on_every_database! {
    async fn attack_32_a_service_gets_nothing_that_belongs_to_a_person(database) {
        let app = TestApp::start(&database).await;
        let scope = "openid offline_access profile tokensmith:account tokensmith:admin orders:read";
        let mut arguments = vec!["--first-party", "--scope", scope];
        arguments.extend(["--redirect-uri", "http://127.0.0.1/callback"]);
        for grant in ["authorization_code", "refresh_token", "client_credentials"] {
            arguments.extend(["--grant", grant]);
        }
        let backend = app.register("backend", &arguments).await;
        let ada = app.user("ada").await;
        for further in [vec![], vec![("scope", "openid offline_access")]] {
            let reply = app.token(&backend, &further).await.json();
            assert_eq!((reply.get("refresh_token"), reply.get("id_token")), (None, None), "{reply}");
            let token = reply["access_token"].as_str().unwrap();
            let said = claims(token);
            assert_eq!((&said["sub"], &said["client_id"]), (&json!("backend"), &json!("backend")));
            for name in ["sid", "auth_time", "amr", "acr"] {
                assert!(said.get(name).is_none(), "{name}: {said}");
            }
            let userinfo = app.request(Method::GET, "/oauth/userinfo").bearer_auth(token);
            assert_eq!(app.send(userinfo).await.error(), (401, "invalid_token".to_owned()));
        }
        // A token for the account itself, of a service and of whom it poses as.
        for (name, value) in [("sub", &*ada.id), ("username", "ada"), ("user_id", &*ada.id), ("sid", "x")] {
            let own = [("resource", &*app.issuer), (name, value)];
            let reply = app.token(&backend, &own).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            let token = reply.json()["access_token"].as_str().unwrap().to_owned();
            assert_eq!(claims(&token)["sub"], "backend", "{name}");
            let reply = app.me(&token, Method::GET, "", None).await;
            assert_eq!(reply.error(), (401, "invalid_token".to_owned()));
        }
        // Nor does a person become an administrator by way of a client that may be one.
        let tokens = app.login(&backend, &ada).await;
        let own = app.for_account(&backend, &tokens).await;
        assert!(claims(&own.access_token)["scope"].to_string().contains("tokensmith:admin"));
        let reply = app.admin(&own.access_token, Method::GET, "/clients", None).await;
        assert_eq!(reply.error(), (403, "insufficient_scope".to_owned()));
    }
}

#[tokio::test]
async fn attack_32_no_client_has_the_name_of_a_person() {
    // RFC 9700 §4.15: whoever may choose a client id must not be able to choose a subject.
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let ada = app.user("ada").await;
    let administrator = app.admin_token().await;
    let bare = ada.id.replace('-', "");
    for id in [
        ada.id.clone(),
        ada.id.to_uppercase(),
        bare.clone(),
        bare.to_uppercase(),
        format!("{{{}}}", ada.id),
        format!("urn:uuid:{}", ada.id),
        format!(" {}", ada.id),
        format!("{}\u{0}", ada.id),
        format!("{bare}%2d"),
    ] {
        let body = json!({ "client_id": id, "grant_types": ["client_credentials"] });
        let reply = app
            .admin(&administrator, Method::POST, "/clients", Some(body))
            .await;
        assert_eq!(reply.error(), (400, "invalid_request".to_owned()), "{id}");
        if !id.contains('\u{0}') {
            let arguments = [
                "client",
                "create",
                "--grant",
                "client_credentials",
                "--id",
                &id,
            ];
            assert_ne!(app.run(&arguments).code, 0, "{id}");
        }
    }
    // Nor does a registration say in a token who that is, or how long it is good.
    for name in [
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "nbf",
        "jti",
        "client_id",
        "scope",
        "sid",
        "auth_time",
        "amr",
        "acr",
        "status",
        "cnf",
        "act",
        "active",
        "token_type",
    ] {
        let body = json!({
            "grant_types": ["client_credentials"], "access_token_claims": { name: "x" },
        });
        let reply = app
            .admin(&administrator, Method::POST, "/clients", Some(body))
            .await;
        assert_eq!(
            reply.error(),
            (400, "invalid_client_metadata".to_owned()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn attack_35_a_grant_that_is_not_offered_is_refused_by_name() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let (orders, phone, ada) = (app.orders().await, app.phone().await, app.user("ada").await);
    let subject = app.login(&phone, &ada).await.access_token;
    let further = [
        ("username", "ada"),
        ("password", &*ada.password),
        ("device_code", "x"),
        ("subject_token", &*subject),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        ("actor_token", &*subject),
        ("requested_subject", "ada"),
        ("assertion", &*subject),
        ("auth_req_id", "x"),
    ];
    let offered = app
        .get("/.well-known/oauth-authorization-server")
        .await
        .json();
    let administrator = app.admin_token().await;
    for grant in [
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:saml2-bearer",
        "urn:openid:params:grant-type:ciba",
        "urn:ietf:params:oauth:grant-type:pre-authorized_code",
        "CLIENT_CREDENTIALS",
        "client-credentials",
        "client_credentials,password",
        "client_credentials password",
        "refresh_token ",
    ] {
        for client in [&orders, &phone] {
            let form = [&[("grant_type", grant)][..], &further].concat();
            let reply = app.token(client, &form).await;
            assert_eq!(
                reply.error(),
                (400, "unsupported_grant_type".to_owned()),
                "{grant}"
            );
        }
        assert!(
            !offered["grant_types_supported"]
                .to_string()
                .contains(&format!("\"{grant}\""))
        );
        let body = json!({ "grant_types": [grant] });
        let reply = app
            .admin(&administrator, Method::POST, "/clients", Some(body))
            .await;
        assert_eq!(
            reply.error(),
            (400, "invalid_request".to_owned()),
            "{grant}"
        );
    }
    for (client, grant) in [(&orders, "refresh_token"), (&phone, "client_credentials")] {
        let form = [("grant_type", grant), ("refresh_token", "x")];
        let reply = app.token(client, &form).await;
        assert_eq!(
            reply.error(),
            (400, "unauthorized_client".to_owned()),
            "{grant}"
        );
    }
    for path in [
        "/oauth/device_authorization",
        "/oauth/device",
        "/device",
        "/oauth/bc-authorize",
        "/oauth/register",
    ] {
        assert_eq!(app.get(path).await.status, 404, "{path}");
        let reply = app
            .send(app.form(&orders, path, &[("scope", "orders:read")]))
            .await;
        assert_eq!(reply.status, 404, "{path}");
    }
    for endpoint in ["device_authorization_endpoint", "registration_endpoint"] {
        assert!(offered.get(endpoint).is_none(), "{endpoint}");
    }
}

/// The first step of a login: the name without the password.
async fn auth_session(app: &TestApp, phone: &TestClient, name: &str) -> String {
    let form = [
        ("response_type", "code"),
        ("code_challenge", &*s256(VERIFIER)),
        ("code_challenge_method", "S256"),
        ("username", name),
    ];
    let reply = app.send(app.form(phone, "/oauth/challenge", &form)).await;
    assert_eq!(
        reply.error(),
        (400, "insufficient_authorization".to_owned())
    );
    reply.json()["auth_session"].as_str().unwrap().to_owned()
}

on_every_database! {
    async fn attack_36_a_stolen_auth_session_is_worth_nothing_without_the_password(database) {
        let app = TestApp::start(&database).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let stolen = auth_session(&app, &phone, "ada").await;
        let with = async |further: &[(&str, &str)]| {
            let form = [&[("auth_session", &*stolen)][..], further].concat();
            app.send(app.form(&phone, "/oauth/challenge", &form)).await
        };
        let alone = with(&[]).await;
        assert_eq!(alone.error(), (400, "insufficient_authorization".to_owned()));
        assert!(alone.json().get("authorization_code").is_none());
        // Nor does it turn into a login of the thief's choice: another challenge is another login.
        let own = s256(&"b".repeat(43));
        let swapped = [("code_challenge", &*own), ("password", &*ada.password)];
        assert_eq!(with(&swapped).await.error(), (400, "invalid_session".to_owned()));
        // Sealed for this very client and this very installation.
        let tablet = app.app_for_people("tablet", &["--public", "--first-party"]).await;
        let form = [("auth_session", &*stolen), ("password", &*ada.password)];
        let reply = app.send(app.form(&tablet, "/oauth/challenge", &form)).await;
        assert_eq!(reply.error(), (400, "invalid_session".to_owned()));
        let stranger = Database::sqlite();
        let stranger = TestApp::start_with(&stranger, &[("TOKENSMITH_ISSUER", &app.issuer)]).await;
        let there = stranger.phone().await;
        let reply = stranger.send(stranger.form(&there, "/oauth/challenge", &form)).await;
        assert_eq!(reply.error(), (400, "invalid_session".to_owned()));
        // And it is no way around the count: each guess is charged to the account.
        for _ in 0..5 {
            let reply = with(&[("password", "a guess")]).await;
            assert_eq!(reply.error(), (400, "insufficient_authorization".to_owned()));
        }
        assert_eq!(with(&[("password", &*ada.password)]).await.status, 429);
        assert_eq!(app.challenge(&phone, &ada, &[]).await.status, 429);
    }
}

#[tokio::test]
async fn attack_36_an_app_is_sent_to_the_web_with_nothing_that_went_around_pkce() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let (phone, ada) = (app.phone().await, app.user("ada").await);
    let optional = ["--public", "--first-party", "--pkce", "optional"];
    let old = app
        .register(
            "old",
            &[
                "--grant",
                "authorization_code",
                "--scope",
                "openid",
                "--redirect-uri",
                "http://127.0.0.1/callback",
                optional[0],
                optional[1],
            ],
        )
        .await;
    for client in [&phone, &old] {
        let to_the_web = app.challenge(client, &ada, &[("prompt", "consent")]).await;
        assert_eq!(to_the_web.error(), (400, "redirect_to_web".to_owned()));
        let said = to_the_web.json();
        assert!(
            said.get("request_uri").is_none() && said.get("auth_session").is_none(),
            "{said}"
        );
        // Neither without a challenge, nor by a pushed request in its place.
        let stripped = [("code_challenge", ""), ("code_challenge_method", "")];
        let reply = app.challenge(client, &ada, &stripped).await;
        assert_eq!(reply.error(), (400, "invalid_request".to_owned()));
        let request_uri = ("request_uri", "urn:ietf:params:oauth:request_uri:x");
        let reply = app
            .challenge(client, &ada, &[stripped[0], stripped[1], request_uri])
            .await;
        assert_eq!(reply.error(), (400, "invalid_request".to_owned()));
    }
    let said = app.run(
        &[
            &[
                "client",
                "create",
                "--id",
                "older",
                "--grant",
                "authorization_code",
                "--redirect-uri",
                "http://127.0.0.1/callback",
            ][..],
            &optional,
        ]
        .concat(),
    );
    assert_ne!(said.code, 0, "a public client does not do without");
}

/// What each way in answers to a person of a client: whether it still gives anything away.
async fn ways_in(
    app: &TestApp,
    client: &TestClient,
    user: &TestUser,
    kept: &Kept,
) -> Vec<(&'static str, bool)> {
    let own = |method, path: &str| {
        app.request(method, path)
            .bearer_auth(&kept.tokens.access_token)
    };
    let silent = AuthorizationRequest::of(client).with("prompt", "none");
    let mut person = Person::new(app);
    person.cookies.clone_from(&kept.cookies);
    let silent = app.authorize(&mut person, &silent).await;
    vec![
        (
            "a code",
            app.redeem(client, &kept.code, VERIFIER).await.status == 200,
        ),
        (
            "a refresh token",
            app.refresh(client, &kept.tokens.refresh_token, &[])
                .await
                .status
                == 200,
        ),
        (
            "a password",
            app.challenge(client, user, &[]).await.status == 200,
        ),
        (
            "a login in a browser",
            silent.header("location").contains("code="),
        ),
        (
            "userinfo",
            app.send(own(Method::GET, "/oauth/userinfo")).await.status == 200,
        ),
        (
            "the account",
            app.send(own(Method::GET, "/api/me")).await.status == 200,
        ),
        (
            "introspection",
            app.introspect(client, &kept.tokens.access_token)
                .await
                .text
                .contains("true"),
        ),
    ]
}

/// What a person's app and browser have kept from before.
struct Kept {
    tokens: Tokens,
    code: String,
    cookies: Vec<Cookie>,
}

impl Kept {
    async fn of(app: &TestApp, client: &TestClient, user: &TestUser) -> Self {
        let mut person = Person::new(app);
        let page = person.get("/login").await;
        app.sign_in(&mut person, &page, user).await;
        let tokens = app.login(client, user).await;
        Self {
            tokens: app.for_account(client, &tokens).await,
            code: app.code(client, user).await,
            cookies: person.cookies,
        }
    }
}

on_every_database! {
    async fn attack_28_whoever_is_barred_gets_nothing_by_any_way_in(database) {
        let app = TestApp::start(&database).await;
        let shop = app.app_for_people("shop", &["--first-party"]).await;
        let people = [app.user("ada").await, app.user("bob").await, app.user("eve").await];
        let [ada, bob, eve] = &people;
        let admin = app.client("admin", &["--scope", "tokensmith:admin"]).await;
        let administrator = app.access_token(&admin).await;
        let bar = async |method, path: String| {
            let reply = app.admin(&administrator, method, &path, None).await;
            assert!(reply.status.is_success(), "{path}: {}", reply.text);
        };
        let before = [Kept::of(&app, &shop, ada).await, Kept::of(&app, &shop, bob).await];
        let untouched = Kept::of(&app, &shop, eve).await;
        bar(Method::POST, format!("/users/{}/disable", ada.id)).await;
        bar(Method::DELETE, format!("/users/{}", bob.id)).await;
        for (user, kept) in people.iter().zip(&before) {
            for (way, is_open) in ways_in(&app, &shop, user, kept).await {
                assert!(!is_open, "{} by {way}", user.name);
            }
        }
        for (way, is_open) in ways_in(&app, &shop, eve, &untouched).await {
            assert!(is_open, "{way} is open to others");
        }
        let kept = Kept::of(&app, &shop, eve).await;
        bar(Method::POST, "/clients/shop/disable".to_owned()).await;
        for (way, is_open) in ways_in(&app, &shop, eve, &kept).await {
            assert!(!is_open, "through a disabled client by {way}");
        }
    }
}
