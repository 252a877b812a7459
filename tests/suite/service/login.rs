//! Logins without a browser.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::harness::login::{Tokens, VERIFIER, claims};
use crate::harness::{Database, TestApp, on_every_database};

const WRONG: (&str, &str) = ("password", "not the one at all");

fn insufficient() -> (u16, String) {
    (400, "insufficient_authorization".to_owned())
}

on_every_database! {
    async fn a_person_logs_in_and_the_token_says_how(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let tokens = app.login(&phone, &ada).await;
        let said = claims(&tokens.access_token);
        assert_eq!(said["sub"], ada.id.as_str());
        assert_eq!(said["client_id"], "phone");
        assert_eq!(said["aud"], "https://api.example.com");
        assert_eq!(said["amr"], json!(["pwd"]));
        assert_eq!(said["acr"], "1");
        assert_eq!(said["sid"], tokens.sid.as_str());
        assert!(said["auth_time"].as_i64().unwrap() <= said["iat"].as_i64().unwrap());
        let status = &said["status"]["status_list"];
        assert_eq!(status["uri"], format!("{}/status-lists/0", app.issuer));
        let other = app.login(&phone, &ada).await;
        let later = Tokens::of(&app.refresh(&phone, &tokens.refresh_token, &[]).await);
        let index = |tokens: &Tokens| claims(&tokens.access_token)["status"]["status_list"]["idx"].clone();
        assert!(index(&tokens).is_u64(), "{said}");
        assert_eq!(index(&later), index(&tokens), "a session has one bit, whatever it gets");
        assert_ne!(index(&other), index(&tokens));
        assert!(tokens.access_token.len() < 1_100, "{}", tokens.access_token.len());
    }
}

on_every_database! {
    async fn wrong_unknown_and_disabled_are_one_answer(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let (ada, bob) = (app.user("ada").await, app.user("bob").await);
        let administrator = app.admin_token().await;
        let disable = format!("/users/{}/disable", bob.id);
        app.admin(&administrator, Method::POST, &disable, None).await;
        let replies = [
            app.challenge(&phone, &ada, &[WRONG]).await,
            app.challenge(&phone, &ada, &[("username", "nobody")]).await,
            app.challenge(&phone, &bob, &[]).await,
            app.challenge(&phone, &ada, &[("password", &"x".repeat(5_000))]).await,
            app.challenge(&phone, &ada, &[("username", &"x".repeat(5_000))]).await,
        ];
        for reply in &replies {
            assert_eq!(reply.error(), insufficient());
            assert_eq!(reply.json()["error_description"], "username or password is wrong");
        }
        app.login(&phone, &ada).await;
    }
}

on_every_database! {
    async fn names_are_compared_without_regard_to_case_and_form(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let mut user = app.user("Åda").await;
        for name in ["Åda", "åda", "ÅDA", "A\u{30a}da"] {
            name.clone_into(&mut user.name);
            app.login(&phone, &user).await;
        }
        let administrator = app.admin_token().await;
        let same = json!({ "username": "A\u{30a}DA" });
        let reply = app.admin(&administrator, Method::POST, "/users", Some(same)).await;
        assert_eq!(reply.error(), (409, "conflict".to_owned()));
    }
}

#[tokio::test]
async fn a_name_is_not_another_persons_address() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let administrator = app.admin_token().await;
    let create = async |body| {
        app.admin(&administrator, Method::POST, "/users", Some(body))
            .await
    };
    let ada = json!({ "username": "ada", "email": "ada@example.com" });
    assert_eq!(create(ada).await.status, 201);
    for taken in [
        json!({ "username": "ADA@example.com" }),
        json!({ "username": "eve", "email": "Ada@Example.COM" }),
    ] {
        assert_eq!(create(taken).await.error(), (409, "conflict".to_owned()));
    }
    let eve = json!({ "username": "eve" });
    assert_eq!(
        create(eve).await.status,
        201,
        "a refused account took no name"
    );
}

#[tokio::test]
async fn a_login_may_go_in_steps() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let phone = app.phone().await;
    let ada = app.user("ada").await;
    let first = app
        .challenge(&phone, &ada, &[("username", ""), ("password", "")])
        .await;
    assert_eq!(first.error(), insufficient());
    let session = first.json()["auth_session"].as_str().unwrap().to_owned();
    let go_on = [
        ("auth_session", session.as_str()),
        ("password", ada.password.as_str()),
    ];
    let named = [go_on[0], ("username", "ada")];
    let second = app.send(app.form(&phone, "/oauth/challenge", &named)).await;
    let session = second.json()["auth_session"].as_str().unwrap().to_owned();
    let go_on = [("auth_session", session.as_str()), go_on[1]];
    let third = app.send(app.form(&phone, "/oauth/challenge", &go_on)).await;
    let code = third.json()["authorization_code"]
        .as_str()
        .unwrap()
        .to_owned();
    Tokens::of(&app.redeem(&phone, &code, VERIFIER).await);

    let tablet = app
        .app_for_people("tablet", &["--public", "--first-party"])
        .await;
    let stolen = app
        .send(app.form(&tablet, "/oauth/challenge", &go_on))
        .await;
    assert_eq!(stolen.error(), (400, "invalid_session".to_owned()));
    for (name, value) in [
        ("auth_session", "nonsense"),
        ("scope", "orders:read"),
        (
            "code_challenge",
            "changed-in-between-aaaaaaaaaaaaaaaaaaaaaaaaa",
        ),
    ] {
        let changed: Vec<_> = go_on
            .into_iter()
            .filter(|(other, _)| *other != name)
            .chain([(name, value)])
            .collect();
        let reply = app
            .send(app.form(&phone, "/oauth/challenge", &changed))
            .await;
        let expected = (400, "invalid_session".to_owned());
        assert_eq!(reply.error(), expected, "{name}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_challenge_is_said_by_the_codes_of_the_standard() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let phone = app.phone().await;
    let third_party = app.app_for_people("third", &["--public"]).await;
    let service = app.orders().await;
    let ada = app.user("ada").await;
    for (further, error) in [
        (("response_type", ""), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("scope", "orders:write"), "invalid_scope"),
        (("resource", "https://other.example.com"), "invalid_target"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("prompt", "consent"), "redirect_to_web"),
        (("prompt", "create"), "invalid_request"),
    ] {
        let reply = app.challenge(&phone, &ada, &[further]).await;
        assert_eq!(reply.error(), (400, error.to_owned()), "{further:?}");
    }
    for client in [&third_party, &service] {
        let reply = app.challenge(client, &ada, &[]).await;
        assert_eq!(reply.error(), (400, "unauthorized_client".to_owned()));
    }
    let mut impostor = phone.clone();
    "nobody".clone_into(&mut impostor.id);
    let reply = app.challenge(&impostor, &ada, &[]).await;
    assert_eq!(reply.error(), (401, "invalid_client".to_owned()));
}

on_every_database! {
    async fn a_code_is_good_for_its_client_its_verifier_and_a_minute(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let tablet = app.app_for_people("tablet", &["--public", "--first-party"]).await;
        let ada = app.user("ada").await;
        let code = app.code(&phone, &ada).await;
        let invalid = || (400, "invalid_grant".to_owned());
        let other = "a".repeat(43);
        assert_eq!(app.redeem(&tablet, &code, VERIFIER).await.error(), invalid());
        assert_eq!(app.redeem(&phone, &code, &other).await.error(), invalid());
        assert_eq!(app.redeem(&phone, &code, &VERIFIER[..42]).await.error(), invalid());
        assert_eq!(app.redeem(&phone, &code, &"a".repeat(129)).await.error(), invalid());
        let missing = app.redeem(&phone, &code, "").await;
        assert_eq!(missing.error(), (400, "invalid_request".to_owned()));
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("code_verifier", VERIFIER),
            ("redirect_uri", "http://127.0.0.1/callback"),
        ];
        assert_eq!(app.token(&phone, &form).await.error(), invalid(), "it was not sent there");
        let last = code.len() - 1;
        let mistyped = format!("{}{}", &code[..last], if code.ends_with('A') { "B" } else { "A" });
        for bad in ["x", mistyped.as_str(), ada.id.as_str()] {
            assert_eq!(app.redeem(&phone, bad, VERIFIER).await.error(), invalid(), "{bad}");
        }
        // None of all that has cost it.
        Tokens::of(&app.redeem(&phone, &code, VERIFIER).await);

        let late = app.code(&phone, &ada).await;
        database
            .execute("UPDATE authorization_codes SET expires_at = expires_at - 60000")
            .await;
        assert_eq!(app.redeem(&phone, &late, VERIFIER).await.error(), invalid());
    }
}

on_every_database! {
    async fn guessing_is_slowed_down_and_a_known_device_is_not(database) {
        let mut app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let bob = app.user("bob").await;
        let device = app.login(&phone, &ada).await;
        let hers = [("refresh_token", device.refresh_token.as_str())];
        for _ in 0..5 {
            assert_eq!(app.challenge(&phone, &ada, &[WRONG]).await.error(), insufficient());
        }
        let blocked = app.challenge(&phone, &ada, &[]).await;
        assert_eq!(blocked.status, 429, "even with the right password: {}", blocked.text);
        assert!(blocked.header("retry-after").parse::<u64>().unwrap() >= 1);
        let device_login = app.challenge(&phone, &ada, &hers).await;
        assert_eq!(device_login.status, 200, "her own device is not held up");
        // One success there does not help the guesser elsewhere … it does not outlive a login.
        let his = app.login(&phone, &bob).await;
        for _ in 0..8 {
            app.challenge(&phone, &ada, &[WRONG]).await;
        }
        let theirs = [("refresh_token", his.refresh_token.as_str())];
        assert_eq!(app.challenge(&phone, &ada, &theirs).await.status, 429, "not by his device");
        app.signal("KILL");
        app.exit().await;
        let app = TestApp::start(&database).await;
        let still = app.challenge(&phone, &ada, &[]).await;
        assert_eq!(still.status, 429, "the count survives a restart");
        app.login(&phone, &bob).await;
    }
}

#[tokio::test]
async fn many_guesses_at_once_are_no_way_around_the_count() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let phone = app.phone().await;
    let ada = app.user("ada").await;
    let guesses = (0..40).map(|_| app.challenge(&phone, &ada, &[WRONG]));
    let replies = join_all(guesses).await;
    let looked_at = replies.iter().filter(|reply| reply.status == 400).count();
    assert!(looked_at <= 6, "{looked_at} passwords were tried");
}

#[tokio::test]
async fn an_address_is_slowed_down_where_the_proxy_is_trusted() {
    let database = Database::sqlite();
    let trusted = [("TOKENSMITH_TRUSTED_PROXIES", "127.0.0.1")];
    let app = TestApp::start_with(&database, &trusted).await;
    let phone = app.phone().await;
    let ada = app.user("ada").await;
    let from = async |address: &str, name: &str| {
        let name = [("username", name), WRONG];
        let form = TestApp::login_form(&ada, &name);
        let request = app.form(&phone, "/oauth/challenge", &form);
        app.send(request.header("x-forwarded-for", address)).await
    };
    for number in 0..50 {
        let reply = from("192.0.2.7", &format!("guess{number}")).await;
        assert_eq!(reply.status, 400, "{number}");
    }
    assert_eq!(from("192.0.2.7", "one-more").await.status, 429);
    assert_eq!(
        from("192.0.2.8", "one-more").await.status,
        400,
        "the neighbour is not"
    );
}

#[tokio::test]
async fn a_flood_of_logins_is_turned_away_with_retry_after() {
    let database = Database::sqlite();
    let small = [("TOKENSMITH_PASSWORDS_QUEUE", "1")];
    let app = TestApp::start_with(&database, &small).await;
    let phone = app.phone().await;
    let ada = app.user("ada").await;
    let logins = (0..30).map(|_| app.challenge(&phone, &ada, &[]));
    let replies = join_all(logins).await;
    let busy: Vec<_> = replies.iter().filter(|reply| reply.status == 503).collect();
    assert!(!busy.is_empty());
    assert!(busy.iter().all(|reply| reply.header("retry-after") == "1"));
    app.login(&phone, &ada).await;
}

on_every_database! {
    async fn people_sign_up_where_that_is_switched_on(database) {
        let app = TestApp::start_with(&database, &[("TOKENSMITH_SIGNUP", "true")]).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let sign_up = async |name: &str, password: &str| {
            let own = [("prompt", "create"), ("username", name), ("password", password)];
            app.challenge(&phone, &ada, &own).await
        };
        let weak = sign_up("grace", "password123").await;
        assert_eq!(weak.error(), (400, "invalid_request".to_owned()));
        let taken = sign_up("ADA", "three otters in a canoe").await;
        assert_eq!(taken.error(), (400, "invalid_request".to_owned()));
        let done = sign_up("grace", "three otters in a canoe").await;
        let code = done.json()["authorization_code"].as_str().unwrap().to_owned();
        Tokens::of(&app.redeem(&phone, &code, VERIFIER).await);
    }
}

on_every_database! {
    async fn a_hash_is_renewed_at_login_when_the_setting_changes(database) {
        let mut app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        app.signal("TERM");
        app.exit().await;
        let stronger = [("TOKENSMITH_PASSWORDS_ITERATIONS", "3")];
        let app = TestApp::start_with(&database, &stronger).await;
        let store = database.open().await;
        let id = ada.id.parse().unwrap();
        let hash = async || {
            let account = store.find_account_by_id(id).await.unwrap().unwrap();
            account.password.unwrap().as_str().to_owned()
        };
        assert!(hash().await.contains("t=2"), "as it was made");
        app.login(&phone, &ada).await;
        assert!(hash().await.contains("t=3"));
        app.login(&phone, &ada).await;
    }
}

on_every_database! {
    async fn a_server_gets_an_id_token_at_each_refresh_and_a_phone_at_login_only(database) {
        let app = TestApp::start(&database).await;
        let ada = app.user("ada").await;
        let phone = app.phone().await;
        let server = app.app_for_people("server", &["--first-party"]).await;
        for (client, is_server) in [(&phone, false), (&server, true)] {
            let code = app.code(client, &ada).await;
            let login = app.redeem(client, &code, VERIFIER).await;
            let first = claims(login.json()["id_token"].as_str().unwrap());
            let tokens = Tokens::of(&login);
            let refreshed = app.refresh(client, &tokens.refresh_token, &[]).await.json();
            assert_eq!(refreshed["id_token"].is_string(), is_server);
            if is_server {
                // OpenID Connect Core section 12.2: the same person and login, without a nonce.
                let second = claims(refreshed["id_token"].as_str().unwrap());
                for name in ["iss", "sub", "aud", "auth_time", "sid"] {
                    assert_eq!(second[name], first[name], "{name}");
                }
                assert!(second["nonce"].is_null());
                assert_ne!(second["at_hash"], first["at_hash"]);
            }
        }
    }
}
