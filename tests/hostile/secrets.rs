//! Item 41: no secret is in a log, a metric, an error, the audit log or the database. The harness looks
//! for that at the end of every test (`tests/suite/harness/secrets.rs`); here is what it has to find.

use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::json;

use crate::harness::app::TestClient;
use crate::harness::authorize::AuthorizationRequest;
use crate::harness::command::run_with_input;
use crate::harness::login::{Tokens, VERIFIER};
use crate::harness::person::Person;
use crate::harness::secrets::{Place, Secrets, dump};
use crate::harness::{Database, TestApp, on_every_database, wait};

const PLACES: [Place; 5] = [
    Place::Log,
    Place::Metrics,
    Place::ErrorBody,
    Place::ErrorPage,
    Place::Database,
];

/// PKCS#8, RSA of 2048 bits.
const PEM: &str = include_str!("../../src/crypto/vault/fixtures/rsa2048-pkcs8.pem");

fn holding(secret: &str) -> Secrets {
    let secrets = Secrets::default();
    secrets.note("planted", secret);
    secrets
}

/// What a careless line, label, page or row would make of a secret.
fn disguises(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let hex = |bytes: &[u8]| {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<Vec<_>>().concat()
    };
    let mut disguises = vec![
        secret.to_owned(),
        json!({ "said": secret }).to_string(),
        format!("{secret:?}"),
        format!("{bytes:?}"),
        hex(bytes),
        format!("\\x{}", hex(bytes).to_uppercase()),
        url::form_urlencoded::byte_serialize(bytes).collect(),
        percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC)
            .to_string(),
        // As the password of Basic credentials, behind names of every length.
        STANDARD.encode(format!("a:{secret}")),
        STANDARD.encode(format!("ab:{secret}")),
        STANDARD.encode(format!("abc:{secret}")),
        URL_SAFE_NO_PAD.encode(bytes),
        // Cut short.
        secret.chars().take(40).collect(),
    ];
    let body = secret
        .rsplit('.')
        .next()
        .unwrap()
        .trim_start_matches("tss1_");
    if let Ok(decoded) = URL_SAFE_NO_PAD.decode(body) {
        disguises.extend([
            hex(&decoded),
            format!("{decoded:?}"),
            STANDARD.encode(&decoded),
        ]);
    }
    disguises
}

#[test]
fn attack_41_a_planted_secret_is_found_in_every_place_and_form() {
    let signature = URL_SAFE_NO_PAD.encode((0..=255_u8).collect::<Vec<_>>());
    let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"RS256","typ":"at+jwt"}"#);
    for secret in [
        "seven herons \"at\" dawn & <dusk>, ünlike",
        "q3NfW2m8Zk1dVb7xR0tYcJ4pLs6HgQ9oEuAiTzBnMvK",
        &format!("{header}.e30.{signature}"),
        "3q2+7wAAECAwQFBgcICQoLDA0ODwABEiM0RVZneIk=",
    ] {
        let secrets = holding(secret);
        for disguise in disguises(secret) {
            // A JWT that is cut short has no signature any more.
            if secret.contains('.') && disguise.len() == 40 {
                continue;
            }
            let text = format!("2026-11-22T19:35:00Z INFO something {disguise} happened");
            for place in PLACES {
                let found = secrets.find_in(place, text.as_bytes());
                assert!(!found.is_empty(), "{secret} as {disguise} in {place:?}");
            }
        }
        for innocent in [
            "seven otters at dusk",
            "https://api.example.com",
            &"0".repeat(500),
        ] {
            let found = secrets.find_in(Place::Log, innocent.as_bytes());
            assert!(found.is_empty(), "{found:?}");
        }
    }
}

#[test]
fn attack_41_what_has_the_shape_of_a_secret_is_found_though_nobody_noted_it() {
    let unknown = Secrets::default();
    let body = "q3NfW2m8Zk1dVb7xR0tYcJ4pLs6HgQ9oEuAiTzBnMvK";
    for shaped in [
        format!("tss1_{body}abcdef"),
        format!("tsr1_{body}"),
        format!("tsc1_{body}"),
        format!("tsl1_{body}"),
        format!("tsa1_{body}"),
        format!("eyJhbGciOiJSUzI1NiJ9.e30.{body}"),
        PEM.to_owned(),
    ] {
        for place in PLACES {
            let text = format!("before {shaped} after");
            assert!(
                !unknown.find_in(place, text.as_bytes()).is_empty(),
                "{shaped}"
            );
        }
    }
    let innocent = "tokens begin with tsr1_ or tss1_mistyped, JWTs with eyJ";
    assert!(unknown.find_in(Place::Log, innocent.as_bytes()).is_empty());
}

/// Whether the end of a value fails the test that it belongs to, and what it says.
fn end_of<T>(value: T) -> String {
    let ended = catch_unwind(AssertUnwindSafe(|| drop(value)));
    let said = ended.expect_err("the end of it fails the test");
    said.downcast_ref::<String>().unwrap().clone()
}

on_every_database! {
    async fn attack_41_whatever_leaks_fails_the_test_that_it_leaks_in(database) {
        // What is there in any case stands for what must not be.
        app_with(&database, "planted-at-the-end", "Log").await;
        app_with(&database, "tokensmith_store_connections_max", "Metrics").await;
        app_with(&database, "the access token is not valid here", "ErrorBody").await;

        let app = TestApp::start(&database).await;
        let callback = "https://planted.example.com/callback";
        app.app_for_people("planted", &["--redirect-uri", callback]).await;
        drop(app);
        database.secrets.note("planted", callback);
        assert!(end_of(database).contains("secrets in Database"));
    }
}

/// Starts the service with a text that only one place has. The database is not told of it.
async fn app_with(database: &Database, planted: &str, place: &str) {
    let mut app = TestApp::start(database).await;
    // The very last request: its line is not written yet when the answer is there.
    let nobody = TestClient {
        id: "planted-at-the-end".to_owned(),
        secret: "x".to_owned(),
    };
    app.token(&nobody, &[]).await;
    app.secrets = holding(planted);
    app.with_token("nonsense", Method::GET, "/api/me", None)
        .await;
    let said = end_of(app);
    assert!(said.contains(&format!("secrets in {place}")), "{said}");
}

on_every_database! {
    async fn attack_41_what_goes_through_the_harness_is_looked_for(database) {
        let app = TestApp::start_with(&database, &[("TOKENSMITH_SIGNUP", "true")]).await;
        let (shop, ada) = (app.app_for_people("shop", &["--first-party"]).await, app.user("ada").await);
        let request = AuthorizationRequest::of(&shop).with("login_hint", "h1nt-of-ada");
        let mut browser = Person::new(&app);
        let login = app.authorize(&mut browser, &request).await;
        let wrong = [("username", "ada"), ("password", "wr0ng-but-close")];
        browser.submit(&login, "submit", &wrong).await;
        let callback = app.callback_in_browser(&mut browser, &ada, &request).await;
        let redeemed = app.redeem(&shop, callback.code(), VERIFIER).await;
        let tokens = Tokens::of(&redeemed);
        let id_token = redeemed.json()["id_token"].as_str().unwrap().to_owned();
        app.refresh_with_key(&shop, &tokens.refresh_token, "0nce-and-for-all").await;
        let account = browser.get("/account").await;
        let pushed = AuthorizationRequest::of(&shop).parameters;
        let pushed: Vec<_> = pushed.iter().map(|(name, value)| (&**name, value)).collect();
        let pushed = app.send(app.form(&shop, "/oauth/par", &pushed)).await.json();
        let administrator = app.admin_token().await;
        let rotated = app.admin(&administrator, Method::POST, "/clients/shop/rotate-secret", None).await;
        let by_command = app.run(&["client", "rotate-secret", "shop", "--force", "--json"]).json();
        let known = |what: &str, secret: &str| {
            let found = app.secrets.find_in(Place::Log, format!("at {secret} there").as_bytes());
            assert!(found.iter().any(|found| !found.starts_with("its shape")), "{what}: {secret}");
        };
        let field = |page: &crate::harness::person::Page, button: &str| {
            page.form_with(button).0.fields[0].1.clone()
        };
        known("the secret of a client", &shop.secret);
        known("one that was made later", by_command["client_secret"].as_str().unwrap());
        assert_eq!(rotated.status, 200, "{}", rotated.text);
        known("one from the API", rotated.json()["client_secret"].as_str().unwrap());
        known("a password", &ada.password);
        known("a wrong password", "wr0ng-but-close");
        known("a code", callback.code());
        known("a verifier", VERIFIER);
        known("an access token", &tokens.access_token);
        known("a refresh token", &tokens.refresh_token);
        known("an ID token", &id_token);
        known("an administrator's token", &administrator);
        known("an idempotency key", "0nce-and-for-all");
        known("a sealed request", &field(&login, "submit"));
        known("the token of a form", &field(&account, "save-profile"));
        known("the name of a pushed request", pushed["request_uri"].as_str().unwrap());
        for (what, value) in [("state", "af0ifjsldkj"), ("nonce", "n-0S6_WzA2Mj"), ("hint", "h1nt-of-ada")] {
            known(what, value);
        }
        assert_eq!(browser.cookies.len(), 2);
        for cookie in &browser.cookies {
            known("a cookie", &cookie.value);
        }
        // The audit log is in the dump as rows; this is how people read it.
        for listed in [
            app.run(&["audit", "list", "--json"]).out,
            app.admin(&administrator, Method::GET, "/audit", None).await.text,
        ] {
            assert!(listed.contains("login_failed"), "{listed}");
            app.secrets.assert_none_in(Place::Log, listed.as_bytes());
        }
        let key = std::fs::read_to_string(database.home.path().join("keys/master.key")).unwrap();
        drop(app);
        let dump = dump(&database.url).unwrap();
        assert!(dump.windows(4).any(|text| text == b"shop"), "the dump has what is in the database");
        database.secrets.assert_none_in(Place::Database, &dump);
        holding(key.trim()).assert_none_in(Place::Database, &dump);
    }
}

on_every_database! {
    async fn attack_41_an_imported_private_key_stays_between_its_file_and_its_seal(database) {
        let app = TestApp::start(&database).await;
        // Of PKCS#8 the modulus comes first, and that is public.
        let private: Vec<&str> = PEM.lines().skip(10).filter(|line| line.len() == 64).collect();
        assert!(private.len() > 10);
        for line in &private {
            database.secrets.note("a part of a private key", line);
        }
        let administrator = app.admin_token().await;
        let broken = json!({ "pem": PEM.replacen('A', "B", 20) });
        let refused = app.admin(&administrator, Method::POST, "/keys/import", Some(broken)).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        let mut command = app.command(&["keys", "import", "-", "--now", "--json"]);
        assert_eq!(run_with_input(&mut command, &PEM[..900]).code, 1);
        let said = run_with_input(&mut command, PEM);
        assert_eq!(said.code, 0, "{}", said.err);
        app.secrets.assert_none_in(Place::Log, said.out.as_bytes());
        wait::until("the service has the key", async || {
            let keys = app.get("/.well-known/jwks.json").await.json();
            (keys["keys"].as_array().unwrap().len() == 2).then_some(())
        })
        .await;
    }
}

on_every_database! {
    async fn attack_41_a_client_that_mixes_up_its_id_and_its_secret_does_not_log_the_secret(database) {
        let app = TestApp::start(&database).await;
        let (orders, phone) = (app.orders().await, app.phone().await);
        let tokens = app.login(&phone, &app.user("ada").await).await;
        let secret = orders.secret.as_str();
        let grant = ("grant_type", "client_credentials");
        let in_form = [grant, ("client_id", secret), ("client_secret", "orders")];
        let post = || app.request(Method::POST, "/oauth/token");
        let refused = app.send(post().form(&in_form)).await;
        assert_eq!(refused.error(), (401, "invalid_client".into()));
        let in_header = post().basic_auth(secret, Some("orders")).form(&[grant]);
        assert_eq!(app.send(in_header).await.error(), (401, "invalid_client".into()));
        for name in [secret, &tokens.refresh_token] {
            app.get(&format!("/oauth/authorize?client_id={name}&response_type=code")).await;
            app.with_token("nonsense", Method::GET, &format!("/api/admin/clients/{name}"), None).await;
        }
        let named = app.run(&["client", "create", "--id", secret, "--grant", "client_credentials"]);
        assert_eq!(named.code, 2, "nor does anybody choose one for an id: {}", named.out);
        // The rest is what the end of every test looks for.
    }
}
