//! The command line beside a running server and without one.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::harness::command::run;
use crate::harness::{Database, TestApp, on_every_database, tokensmith, wait};

on_every_database! {
    async fn a_change_on_the_command_line_is_seen_by_the_running_server(database) {
        let app = TestApp::start(&database).await;
        let client = app.orders().await;
        // A grant that does not exist shows who is asked first: the client, and then the grant.
        let status = async || app.token(&client, &[("grant_type", "unknown")]).await.status.as_u16();
        let within = std::time::Duration::from_secs(1);
        for (act, expected) in [("disable", 401), ("enable", 400), ("delete", 401)] {
            assert_eq!(app.run(&["client", act, "orders"]).code, 0);
            wait::within(within, act, || async { (status().await == expected).then_some(()) }).await;
            if act == "enable" {
                // Held back until it is younger than the cut-off of those from before.
                let late = tokio::time::timeout(3 * within, app.access_token(&client)).await;
                assert!(late.is_ok(), "no token within three seconds");
            }
        }
        let gone = app.run(&["client", "show", "orders"]);
        assert_eq!((gone.code, gone.err.as_str()), (1, "error: there is no client orders\n"));
    }
}

on_every_database! {
    async fn a_secret_is_rotated_without_an_outage(database) {
        let app = TestApp::start(&database).await;
        let first = app.orders().await;
        let rotated = app.run(&["client", "rotate-secret", "orders", "--overlap", "1h", "--json"]).json();
        let secrets = rotated["secrets"].as_array().unwrap();
        assert_eq!(secrets.len(), 2);
        assert!(secrets[0]["expires_at"].is_string() && secrets[1]["expires_at"].is_null());
        let second = crate::harness::app::TestClient {
            secret: rotated["client_secret"].as_str().unwrap().to_owned(),
            ..first.clone()
        };
        wait::until("the new secret works", || async {
            (app.token(&second, &[]).await.status == 200).then_some(())
        })
        .await;
        assert_eq!(app.token(&first, &[]).await.status, 200);
        let third = app.run(&["client", "rotate-secret", "orders"]);
        assert_eq!(third.code, 1);
        assert!(third.err.contains("two live secrets already"), "{}", third.err);
    }
}

on_every_database! {
    async fn a_token_is_looked_at_and_verified(database) {
        let app = TestApp::start(&database).await;
        let token = app.access_token(&app.orders().await).await;
        let inspected = app.run(&["token", "inspect", &token]);
        assert!(inspected.out.contains("The signature was NOT checked"), "{}", inspected.out);
        assert!(inspected.out.contains("(in 4m 5"), "times in words: {}", inspected.out);

        let issuer = app.issuer.as_str();
        let audience = "https://api.example.com";
        let verify = |arguments: &[&str]| {
            let mut all = vec!["token", "verify", "--issuer", issuer];
            all.extend(arguments);
            app.run(&all)
        };
        let online = verify(&["--audience", audience, &token]);
        assert_eq!(online.json()["sub"], "orders");
        let file = database.home.path().join("jwks.json");
        std::fs::write(&file, app.get("/.well-known/jwks.json").await.text).unwrap();
        let jwks = file.to_str().unwrap();
        let offline = verify(&["--audience", audience, "--jwks", jwks, &token]);
        assert_eq!(offline.json()["client_id"], "orders");

        let refused = verify(&["--audience", "https://other", "--jwks", jwks, &token]);
        assert_eq!((refused.code, refused.out.as_str()), (1, ""));
        assert!(refused.err.starts_with("error: the token is not valid: "), "{}", refused.err);
        let as_json = verify(&["--audience", "https://other", "--jwks", jwks, "--json", &token]);
        assert_eq!(as_json.code, 1);
        assert!(as_json.out.contains("\"valid\": false"), "{}", as_json.out);
        assert_eq!(app.run(&["token", "inspect", "nonsense"]).code, 1);
    }
}

on_every_database! {
    async fn keys_are_listed_rotated_imported_and_revoked(database) {
        let app = TestApp::start(&database).await;
        let states = |said: crate::harness::command::Said| -> Vec<String> {
            let keys = said.json();
            keys.as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap().into()).collect()
        };
        assert_eq!(states(app.run(&["keys", "list", "--json"])), ["active"]);
        assert_eq!(states(app.run(&["keys", "rotate", "--json"])), ["next", "active"]);
        app.run(&["keys", "rotate", "--now", "--json"]);
        wait::until("the key signs when every replica publishes it", || async {
            (states(app.run(&["keys", "list", "--json"])) == ["active", "retiring"]).then_some(())
        })
        .await;

        let pem = include_str!("../../../src/crypto/vault/fixtures/rsa2048-pkcs8.pem");
        let mut command = app.command(&["keys", "import", "-", "--now", "--json"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(pem.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let keys: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let kid = keys[0]["kid"].as_str().unwrap();
        assert_eq!(keys[0]["state"], "next");
        wait::until("the key signs when every replica publishes it", || async {
            (states(app.run(&["keys", "list", "--json"]))[0] == "active").then_some(())
        })
        .await;
        assert_eq!(states(app.run(&["keys", "revoke", kid, "--json"])), [
            "active", "revoked", "retiring", "retiring"
        ]);
        let again = app.run(&["keys", "revoke", kid]);
        assert_eq!(again.code, 1);
        wait::until("the server publishes what the command line did", || async {
            let jwks = app.get("/.well-known/jwks.json").await;
            (!jwks.text.contains(kid) && jwks.json()["keys"].as_array().unwrap().len() == 3)
                .then_some(())
        })
        .await;
    }
}

on_every_database! {
    async fn a_key_of_every_algorithm_signs_for_the_client_that_chose_it(database) {
        let app = TestApp::start(&database).await;
        for algorithm in ["PS256", "ES256", "Ed25519"] {
            let id = algorithm.to_lowercase();
            let arguments = ["--audience", "https://a.example", "--access-token-alg", algorithm];
            let client = app.client(&id, &arguments).await;
            let token = wait::until("the key is known", || async {
                let reply = app.token(&client, &[]).await;
                (reply.status == 200).then(|| reply.json()["access_token"].as_str().unwrap().to_owned())
            })
            .await;
            let arguments =
                ["token", "verify", "--issuer", &app.issuer, "--audience", "https://a.example", &token];
            assert_eq!(app.run(&arguments).json()["sub"], id.as_str());
            assert_eq!(app.run(&["token", "inspect", "--json", &token]).json()["header"]["alg"], algorithm);
        }
    }
}

on_every_database! {
    async fn the_doctor_finds_an_installation_healthy(database) {
        let app = TestApp::start(&database).await;
        let findings = app.run(&["doctor", "--json"]).json();
        for finding in findings.as_array().unwrap() {
            assert_eq!(finding["verdict"], "ok", "{finding}");
        }
        let broken = run(tokensmith(&["doctor"]).env("TOKENSMITH_LISTEN", "x"));
        assert_eq!(broken.code, 1);
        assert!(broken.out.starts_with("FAILED   settings"), "{}", broken.out);
    }
}

on_every_database! {
    async fn a_public_client_has_no_secret(database) {
        let app = TestApp::start(&database).await;
        let created = app.run(&[
            "client", "create", "--id", "phone", "--public", "--first-party",
            "--grant", "authorization_code", "--grant", "refresh_token",
            "--scope", "openid offline_access orders:read",
            "--redirect-uri", "http://127.0.0.1/callback",
            "--audience", "https://api.example.com", "--json",
        ]);
        let created = created.json();
        assert_eq!(created["token_endpoint_auth_method"], "none");
        assert_eq!(created["redirect_uris"][0], "http://127.0.0.1/callback");
        assert_eq!(created["first_party"], true);
        assert_eq!(created["pkce"], "required");
        assert_eq!(created["access_token_format"], "jwt");
        assert_eq!(created.get("client_secret"), None, "{created}");
        assert_eq!(created["secrets"].as_array().unwrap().len(), 0);

        let rotated = app.run(&["client", "rotate-secret", "phone", "--force"]);
        assert_eq!(
            (rotated.code, rotated.err.as_str()),
            (1, "error: client phone is public: it has no secret to rotate\n"),
        );
        let shown = app.run(&["client", "show", "phone"]);
        assert!(shown.out.contains("auth method    none"), "{}", shown.out);
        assert!(!shown.out.contains("secret"), "{}", shown.out);
    }
}

#[test]
fn a_client_is_shown_with_what_it_registered() {
    let database = Database::sqlite();
    let with = |arguments: &[&str]| run(tokensmith(arguments).envs(database.variables()));
    std::fs::create_dir_all(database.home.path().join("data")).unwrap();
    let created = with(&[
        "client",
        "create",
        "--id",
        "web",
        "--third-party",
        "--grant",
        "authorization_code",
        "--grant",
        "refresh_token",
        "--redirect-uri",
        "https://app.example.com/callback",
        "--redirect-uri",
        "com.example.app:/callback",
        "--pkce",
        "optional",
        "--access-token-format",
        "reference",
        "--retry-window",
        "1m",
        "--session-idle-ttl",
        "30d",
        "--session-ttl",
        "90d",
        "--rotate-refresh-tokens",
        "true",
        "--resource-server",
        "https://api.example.com",
        "--logo-uri",
        "https://app.example.com/logo.png",
        "--require-par",
        "--post-logout-redirect-uri",
        "https://app.example.com/bye",
        "--post-logout-redirect-uri",
        "com.example.app:/bye",
        "--backchannel-logout-uri",
        "https://app.example.com/logout",
    ]);
    assert_eq!(created.code, 0, "{}", created.err);
    assert!(
        created.out.contains("client_secret  tss1_"),
        "{}",
        created.out
    );
    let shown = with(&["client", "show", "web"]).out;
    for fact in [
        "grants         authorization_code refresh_token",
        "redirect URIs  https://app.example.com/callback com.example.app:/callback",
        "logo           https://app.example.com/logo.png",
        "logout URIs    https://app.example.com/bye com.example.app:/bye",
        "back-channel   https://app.example.com/logout",
        "PKCE           optional",
        "PAR            required",
        "token format   reference",
        "idle TTL       2592000s",
        "session TTL    7776000s",
        "rotates        true",
        "retry window   60s",
        "introspects    https://api.example.com",
    ] {
        assert!(shown.lines().any(|line| line == fact), "{fact}:\n{shown}");
    }
    assert!(!shown.contains("first-party"), "{shown}");
}

#[test]
fn a_registration_that_breaks_a_rule_is_refused_in_words() {
    let database = Database::sqlite();
    std::fs::create_dir_all(database.home.path().join("data")).unwrap();
    let refused = |flags: &str, words: &str, code: i32| {
        let mut command = tokensmith(&["client", "create", "--id", "x"]);
        let said = run(command.args(flags.split(' ')).envs(database.variables()));
        assert_eq!(said.code, code, "{flags}: {}{}", said.out, said.err);
        let one_line = said.err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(one_line.contains(words), "{flags}: {one_line}");
    };
    let login = "--grant authorization_code --redirect-uri https://a.example/";
    for (flags, words) in [
        (
            "--public --grant client_credentials",
            "a public client cannot have the grant client_credentials",
        ),
        (
            "--grant refresh_token",
            "the grant refresh_token needs the grant authorization_code as well",
        ),
        (
            "--grant authorization_code",
            "authorization_code needs at least one redirect URI, unless the client is first-party",
        ),
        (
            "LOGIN --public --pkce optional",
            "pkce cannot be optional for a public client",
        ),
        (
            "LOGIN --public --rotate-refresh-tokens false",
            "rotate_refresh_tokens cannot be false for a public client",
        ),
        (
            "LOGIN --public --resource-server https://api.example.com",
            "a public client cannot introspect tokens",
        ),
        (
            "--grant client_credentials --access-token-format reference",
            "a reference token stands for a session",
        ),
        (
            "LOGIN --redirect-uri https://a.example/",
            "redirect URI https://a.example/ is named twice",
        ),
        (
            "LOGIN --resource-server urn:a --resource-server urn:a",
            "resource server urn:a is named twice",
        ),
        (
            "LOGIN --retry-window 2h",
            "retry_window is 0 to 3600 seconds, not 7200",
        ),
        (
            "LOGIN --session-idle-ttl 59s",
            "session_idle_ttl is 60 to 315360000 seconds, not 59",
        ),
        (
            "LOGIN --session-ttl 5000d",
            "session_ttl is 60 to 315360000 seconds, not 432000000",
        ),
        (
            "LOGIN --session-idle-ttl 2h --session-ttl 1h",
            "session_idle_ttl (7200) is at most session_ttl (3600)",
        ),
    ] {
        refused(&flags.replace("LOGIN", login), words, 1);
    }
    for (flags, words) in [
        (
            "--grant password",
            "it offers authorization_code, refresh_token and client_credentials",
        ),
        ("--redirect-uri http://a.example/", "elsewhere use https"),
        ("--redirect-uri https://*.example/", "has no wildcard"),
        ("--redirect-uri javascript:alert(1)", "RFC 8252 section 7.1"),
        ("--pkce never", "use required or optional"),
        ("--access-token-format opaque", "use jwt or reference"),
        (
            "--auth-method private_key_jwt",
            "client_secret_basic, client_secret_post or none",
        ),
        (
            "--public --auth-method client_secret_post",
            "cannot be used with",
        ),
        ("--first-party --third-party", "cannot be used with"),
    ] {
        refused(&format!("{login} {flags}"), words, 2);
    }
}

#[test]
fn ids_that_start_with_a_hyphen_are_taken_as_ids() {
    let database = Database::sqlite();
    let with = |arguments: &[&str]| run(tokensmith(arguments).envs(database.variables()));
    std::fs::create_dir_all(database.home.path().join("data")).unwrap();
    let created = with(&[
        "client",
        "create",
        "--id",
        "-x",
        "--grant",
        "client_credentials",
        "--json",
    ]);
    assert_eq!(created.json()["client_id"], "-x");
    assert_eq!(
        with(&["client", "show", "-x", "--json"]).json()["client_id"],
        "-x"
    );
    assert_eq!(with(&["client", "delete", "-x"]).code, 0);
}

#[test]
fn a_command_that_only_looks_makes_no_installation() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        &["client", "list"][..],
        &["client", "show", "orders"],
        &["keys", "list"],
        &["doctor"],
    ] {
        let said = run(tokensmith(arguments).current_dir(home.path()));
        assert_eq!(said.code, 1);
        let words = format!("{}{}", said.out, said.err);
        assert!(
            words.contains("there is no installation at sqlite:./data/"),
            "{words}"
        );
    }
    assert_eq!(
        std::fs::read_dir(home.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

#[test]
fn exit_codes_tell_done_from_failed_from_bad_usage() {
    let code = |arguments: &[&str]| run(&mut tokensmith(arguments)).code;
    assert_eq!(code(&["config", "check"]), 0);
    assert_eq!(code(&["config", "check", "--listen", "nowhere"]), 1);
    assert_eq!(code(&["frobnicate"]), 2);
    assert_eq!(
        code(&[
            "client",
            "create",
            "--id",
            "a b",
            "--grant",
            "client_credentials"
        ]),
        2
    );
    assert_eq!(code(&["completions", "bash"]), 0);
    assert_eq!(code(&["--version"]), 0);
}

#[test]
fn a_wrong_setting_is_named_with_its_value_its_place_and_what_would_be_right() {
    let said = run(tokensmith(&["serve"]).env("TOKENSMITH_KEYS_LEAD_TIME", "1m"));
    assert_eq!(said.code, 1);
    assert_eq!(
        said.err,
        "error: keys.lead_time = \"1m\" (from variable TOKENSMITH_KEYS_LEAD_TIME) is not right, \
         must be at least 10m (twice jwks.max_age): expected a duration of at least twice \
         jwks.max_age\n",
    );
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("tokensmith.toml");
    std::fs::write(&file, "lisen = '127.0.0.1:1'").unwrap();
    let said = run(tokensmith(&["config", "check", "--config"]).arg(&file));
    assert!(
        said.err.contains("did you mean \"listen\"?"),
        "{}",
        said.err
    );
}

#[test]
fn production_wants_an_issuer_and_https() {
    let database = Database::sqlite();
    let serve = |arguments: &[&str]| {
        let listen = format!("127.0.0.1:{}", crate::harness::app::free_port());
        let mut command = tokensmith(&["serve", "--listen", &listen]);
        run(command.args(arguments).envs(database.variables()))
    };
    let missing = serve(&[]);
    assert!(missing.err.contains("issuer is not set"), "{}", missing.err);
    let plain = serve(&["--issuer", "http://login.example.com"]);
    assert!(plain.err.contains("an issuer uses https"), "{}", plain.err);
    let public = run(tokensmith(&["dev", "--listen", "0.0.0.0:0"]).envs(database.variables()));
    assert!(
        public.err.contains("dev serves on loopback addresses only"),
        "{}",
        public.err
    );
}

#[test]
fn a_place_that_cannot_hold_the_database_gives_one_clear_line() {
    let home = tempfile::tempdir().unwrap();
    let at = |url: &str| {
        let keys = home.path().join("keys");
        let mut command = tokensmith(&["client", "list", "--database-url", url]);
        let said = run(command.env("TOKENSMITH_KEYS_DIR", keys));
        assert_eq!(
            (said.code, said.err.lines().count()),
            (1, 1),
            "{}",
            said.err
        );
        said.err
    };
    let path = |name: &str| format!("sqlite:{}/{name}", home.path().display());
    assert!(at(&path("x.db?mode=rwc")).contains("takes no options after `?`"));
    assert!(at(&path("missing/x.db")).contains("does not exist; run: mkdir -p "));
    assert!(at(&path("")).contains("is a directory"));
    assert!(at("mysql://x").contains("sqlite:PATH or postgres://"));
    assert!(at("postgres://me:p?ss@127.0.0.1/x").contains("%3F"));
    let unreachable = at("postgres://me@127.0.0.1:1/x");
    assert!(
        unreachable.contains("cannot connect to postgres://127.0.0.1:1/x"),
        "{unreachable}"
    );

    let file = home.path().join("read-only.db");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).unwrap();
    assert!(at(&path("read-only.db")).contains("is read-only; run: chmod u+w "));
    let garbage = home.path().join("garbage.db");
    std::fs::write(
        &garbage,
        "not a database, but long enough to be read as one".repeat(100),
    )
    .unwrap();
    assert!(at(&path("garbage.db")).contains("garbage.db"));
}

on_every_database! {
    async fn a_wrong_or_missing_master_key_is_noticed_at_the_start(database) {
        drop(TestApp::start(&database).await);
        let list = || run(tokensmith(&["client", "list"]).envs(database.variables()));
        assert_eq!(list().code, 0);
        let key = database.home.path().join("keys/master.key");
        let kept = std::fs::read(&key).unwrap();
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);

        std::fs::remove_file(&key).unwrap();
        let missing = list();
        assert!(missing.err.contains("the master key is missing"), "{}", missing.err);
        assert!(!key.exists(), "no new key is made beside an old database");

        let mut other = tokensmith(&["client", "list"]);
        let other = run(other
            .envs(database.variables())
            .env("TOKENSMITH_MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
        assert!(other.err.contains("wrong master key"), "{}", other.err);

        std::fs::write(&key, kept).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
        let readable = list();
        assert!(readable.err.contains(&format!("chmod 600 {}", key.display())), "{}", readable.err);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(list().code, 0);
    }
}
