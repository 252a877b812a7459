//! `SECURITY.md` says what to do when something has leaked. Here each of its commands is run as it stands
//! there, with the thief watching.

use std::collections::BTreeSet;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokensmith_verify::Verifier;
use tokensmith_verify::revocation::Freshness;

use crate::harness::app::TestClient;
use crate::harness::authorize::AuthorizationRequest;
use crate::harness::command::{Said, run_with_input};
use crate::harness::login::claims;
use crate::harness::person::Person;
use crate::harness::revocation::accepted;
use crate::harness::{Database, TestApp, now, wait};

const PAGE: &str = include_str!("../../SECURITY.md");
const AUDIENCE: &str = "https://api.example.com";
/// What the page promises to verifiers that follow, and a second for this machine.
const SOON: Duration = Duration::from_secs(2);

/// Runs a command of the page, with what stands there in capitals replaced.
fn run_as_told(app: &TestApp, line: &str, values: &[(&str, &str)], input: &str) -> Said {
    assert!(
        PAGE.contains(&format!("`{line}`")),
        "not on the page: {line}"
    );
    let words = line.split(' ').skip(1).map(|word| {
        let value = values.iter().find(|(name, _)| *name == word);
        value.map_or(word, |(_, value)| value)
    });
    let said = run_with_input(&mut app.command(&words.collect::<Vec<_>>()), input);
    assert_eq!(said.code, 0, "{line}: {}{}", said.out, said.err);
    said
}

/// An API that follows the revocations.
async fn follower(app: &TestApp) -> Verifier {
    let verifier = Verifier::discover(&app.issuer).audience(AUDIENCE);
    // A test has no time for the half minute in which a verifier asks for new keys once.
    let verifier = verifier.refetch_cooldown(Duration::from_millis(10));
    let verifier = verifier.revocation(Freshness::Strict).token_cache(100);
    verifier.connect().await.unwrap()
}

/// Waits until the API refuses a token that it took before.
async fn is_refused_soon(verifier: &Verifier, token: &str) {
    wait::within(SOON, "the API refuses the token", async || {
        verifier.verify(token).err().map(drop)
    })
    .await;
}

#[test]
fn every_command_for_recovery_is_run_here() {
    let own = include_str!("recovery.rs");
    let table = PAGE.split("## What each leaked thing gives away").nth(1);
    let table = table.unwrap().split("\n## ").next().unwrap();
    // A new master key has tests of its own.
    let rows = table
        .lines()
        .filter(|row| !row.starts_with("| the master key") && !row.starts_with("| master key"));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let commands: BTreeSet<_> = quoted
        .filter(|text| text.starts_with("tokensmith "))
        .collect();
    assert!(commands.len() >= 8, "{commands:?}");
    for command in commands {
        assert!(
            own.contains(&format!("\"{command}\"")),
            "nobody runs `{command}`"
        );
    }
}

#[test]
fn the_page_speaks_of_everything_that_can_leak() {
    for leaked in [
        "an access token",
        "a refresh token",
        "an authorization code",
        "a login cookie",
        "a password",
        "a client secret",
        "a signing key",
        "a database dump",
        "the master key alone",
        "master key and database",
        "the log, or an archive of it",
        "the audit log",
    ] {
        assert!(
            PAGE.contains(&format!("\n| {leaked} |")),
            "no row for {leaked}"
        );
    }
}

#[tokio::test]
async fn a_stolen_access_token_is_dead_when_its_session_is_ended() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let stolen = app.login(&app.phone().await, &app.user("ada").await).await;
    let api = follower(&app).await;
    accepted(&api, &stolen.access_token).await;
    let line = "tokensmith token inspect TOKEN";
    let said = run_as_told(&app, line, &[("TOKEN", &stolen.access_token)], "");
    assert!(
        said.out.contains(&stolen.sid),
        "it says which: {}",
        said.out
    );
    run_as_told(
        &app,
        "tokensmith session end SID",
        &[("SID", &stolen.sid)],
        "",
    );
    is_refused_soon(&api, &stolen.access_token).await;
    let verify = [
        "token",
        "verify",
        "--issuer",
        &app.issuer,
        "--audience",
        AUDIENCE,
    ];
    let said = app.run(&[&verify[..], &[&stolen.access_token]].concat());
    assert_eq!(said.code, 1, "{}", said.out);
}

#[tokio::test]
async fn a_stolen_token_of_a_service_is_dead_after_a_cut_off() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let orders = app.orders().await;
    let stolen = app.access_token(&orders).await;
    let api = follower(&app).await;
    accepted(&api, &stolen).await;
    let line = "tokensmith session cut-off --client ID --before now";
    run_as_told(&app, line, &[("ID", "orders")], "");
    is_refused_soon(&api, &stolen).await;
    let next = app.access_token(&orders).await;
    wait::within(SOON, "the service goes on", async || api.verify(&next).ok()).await;
}

#[tokio::test]
async fn a_stolen_refresh_token_is_refused_when_its_session_is_ended() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let phone = app.phone().await;
    let stolen = app.login(&phone, &app.user("ada").await).await;
    let sessions = run_as_told(&app, "tokensmith session list USER", &[("USER", "ada")], "");
    assert!(
        sessions.out.contains(&stolen.sid),
        "it says which: {}",
        sessions.out
    );
    run_as_told(
        &app,
        "tokensmith session end SID",
        &[("SID", &stolen.sid)],
        "",
    );
    let refused = app.refresh(&phone, &stolen.refresh_token, &[]).await;
    assert_eq!(refused.error(), (400, "invalid_grant".into()));
}

#[tokio::test]
async fn a_stolen_cookie_opens_nothing_when_everything_of_the_person_is_ended() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let (shop, ada) = (
        app.app_for_people("shop", &["--first-party"]).await,
        app.user("ada").await,
    );
    let mut owner = Person::new(&app);
    app.code_in_browser(&mut owner, &shop, &ada, &[]).await;
    let mut thief = Person::new(&app);
    thief.cookies.clone_from(&owner.cookies);
    assert_eq!(thief.get("/account").await.status, 200);
    run_as_told(
        &app,
        "tokensmith session end --user USER",
        &[("USER", "ada")],
        "",
    );
    assert_eq!(thief.get("/account").await.status, 303);
    let page = app
        .authorize(&mut thief, &AuthorizationRequest::of(&shop))
        .await;
    assert!(
        page.has_id("password"),
        "the thief is asked to log in: {}",
        page.text
    );
}

#[tokio::test]
async fn a_stolen_password_opens_nothing_when_there_is_another() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let (phone, ada) = (app.phone().await, app.user("ada").await);
    let thief = app.login(&phone, &ada).await;
    let line = "tokensmith user set-password USER --password-stdin";
    run_as_told(&app, line, &[("USER", "ada")], "four badgers by night");
    assert_eq!(app.challenge(&phone, &ada, &[]).await.status, 400);
    let refused = app.refresh(&phone, &thief.refresh_token, &[]).await;
    assert_eq!(
        refused.error(),
        (400, "invalid_grant".into()),
        "nor what it opened before"
    );
    let again = [("password", "four badgers by night")];
    assert_eq!(app.challenge(&phone, &ada, &again).await.status, 200);
}

#[tokio::test]
async fn a_stolen_client_secret_is_refused_with_all_that_was_got_with_it() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let mut orders = app.orders().await;
    let api = follower(&app).await;
    let rotate = "tokensmith client rotate-secret ID --overlap 0s";
    // Rotated before, in peace: then two are live, and nobody knows which of them leaked.
    let forced = "tokensmith client rotate-secret ID --overlap 0s --force";
    for (line, others_live) in [(rotate, false), (forced, true)] {
        if others_live {
            app.run(&["client", "rotate-secret", "orders", "--json"])
                .json();
        }
        let stolen = app.access_token(&orders).await;
        accepted(&api, &stolen).await;
        let said = run_as_told(&app, line, &[("ID", "orders")], "");
        let words = said.out.split_whitespace();
        let fresh = words
            .map(|word| word.trim_matches(['"', ',']))
            .find(|word| word.starts_with("tss1_"));
        let fresh = TestClient {
            secret: fresh.unwrap().to_owned(),
            ..orders.clone()
        };
        wait::within(SOON, "the stolen secret is refused", async || {
            (app.token(&orders, &[]).await.status == 401).then_some(())
        })
        .await;
        is_refused_soon(&api, &stolen).await;
        accepted(&api, &app.access_token(&fresh).await).await;
        orders = fresh;
    }
}

#[tokio::test]
async fn what_is_signed_with_a_stolen_key_is_refused_when_the_key_is_revoked() {
    const PEM: &str = include_str!("../../src/crypto/vault/fixtures/rsa2048-pkcs1.pem");
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let orders = app.orders().await;
    let administrator = app.admin_token().await;
    let before = app.access_token(&orders).await;
    let body = json!({ "pem": PEM, "now": true });
    let imported = app
        .admin(&administrator, Method::POST, "/keys/import", Some(body))
        .await;
    let kid = imported.json()["keys"][0]["kid"]
        .as_str()
        .unwrap()
        .to_owned();
    let api = follower(&app).await;
    let genuine = app.token_of_another_key(&orders, &before).await;
    let forge = |claims: &Value| {
        let mut header = Header::new(Algorithm::RS256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(kid.clone());
        let key = EncodingKey::from_rsa_der(pem::parse(PEM).unwrap().contents());
        #[expect(clippy::disallowed_methods, reason = "a thief signs as thieves do")]
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    };
    let mut wanted = claims(&genuine);
    wanted["scope"] = "orders:read orders:write orders:steal".into();
    wanted["exp"] = (now() + 3_000).into();
    let forged = forge(&wanted);
    // The key is good, and so is what it signs.
    accepted(&api, &forged).await;
    run_as_told(&app, "tokensmith keys revoke KID", &[("KID", &kid)], "");
    is_refused_soon(&api, &forged).await;
    is_refused_soon(&api, &genuine).await;
    wanted["iat"] = now().into();
    wanted["jti"] = "made-afterwards".into();
    let refused = api.verify(&forge(&wanted));
    assert!(refused.is_err(), "nor what is signed with it from now on");
    // As an API waits that meets a key which it has not seen.
    wait::within(SOON, "the next key signs", async || {
        let next = app.access_token(&orders).await;
        api.verify_waiting::<Map<String, Value>>(&next).await.ok()
    })
    .await;
    let keys = app.get("/.well-known/jwks.json").await.text;
    assert!(
        !keys.contains(&kid),
        "verifiers that do not follow drop the key with their copy"
    );
}

#[tokio::test]
async fn a_consent_for_the_wrong_app_is_worth_nothing_when_the_app_is_disabled() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let (evil, ada) = (
        app.app_for_people("evil", &["--public"]).await,
        app.user("ada").await,
    );
    let mut browser = Person::new(&app);
    let callback = app.code_in_browser(&mut browser, &evil, &ada, &[]).await;
    let redirect = ("redirect_uri", "http://127.0.0.1/callback");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", callback.code()),
        ("code_verifier", crate::harness::login::VERIFIER),
        redirect,
    ];
    let tokens = crate::harness::login::Tokens::of(&app.token(&evil, &form).await);
    let api = follower(&app).await;
    accepted(&api, &tokens.access_token).await;
    run_as_told(&app, "tokensmith client disable ID", &[("ID", "evil")], "");
    is_refused_soon(&api, &tokens.access_token).await;
    wait::within(SOON, "it gets no more tokens", async || {
        let refused = app.refresh(&evil, &tokens.refresh_token, &[]).await;
        (refused.status != 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_dump_serves_nobody_who_has_no_master_key() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let stolen = app.login(&app.phone().await, &app.user("ada").await).await;
    drop(app);
    let thief = Database::sqlite();
    for file in ["test.db", "test.db-wal"] {
        let (from, to) = (
            database.home.path().join(file),
            thief.home.path().join(file),
        );
        std::fs::copy(from, to).unwrap();
    }
    let mut service = TestApp::spawn(&thief, &[]);
    assert_ne!(
        service.exit().await.code(),
        Some(0),
        "it does not start with a key of its own"
    );
    assert!(service.log().contains("master key"), "{}", service.log());
    let sessions = service.run(&["session", "list", "ada"]);
    assert_eq!(sessions.code, 1, "{}", sessions.out);
    thief.secrets.note("refresh_token", &stolen.refresh_token);
}

#[tokio::test]
async fn a_line_of_the_log_holds_what_the_page_lists_and_nothing_else() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let (phone, ada) = (app.phone().await, app.user("ada").await);
    let tokens = app.login(&phone, &ada).await;
    app.refresh(&phone, "nonsense", &[]).await;
    let administrator = app.admin_token().await;
    let session = format!("/sessions/{}", tokens.sid);
    app.admin(&administrator, Method::DELETE, &session, None)
        .await;
    app.with_token("nonsense", Method::GET, "/api/me", None)
        .await;
    let row = PAGE
        .lines()
        .find(|row| row.starts_with("| the log, or an archive of it |"));
    let listed: BTreeSet<_> = row.unwrap().split('`').skip(1).step_by(2).collect();
    let last = app.get("/healthz").await.header("x-request-id").to_owned();
    let log = wait::until("the last line is written", async || {
        let log = app.log();
        log.contains(&last).then_some(log)
    })
    .await;
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut held = BTreeSet::new();
    for line in lines.filter(|line| line["message"] == "request") {
        held.extend(line.as_object().unwrap().keys().cloned());
    }
    let everywhere = ["timestamp", "level", "message"];
    held.retain(|name| !everywhere.contains(&name.as_str()));
    let held: BTreeSet<_> = held.iter().map(String::as_str).collect();
    assert_eq!(held, listed);
}
