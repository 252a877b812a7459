//! `tokensmith session cut-off`, the end of a restore.

use serde_json::json;

use super::{create_ada, on};
use crate::harness::command::run;
use crate::harness::login::Tokens;
use crate::harness::{Database, TestApp, on_every_database, wait};

on_every_database! {
    async fn whoever_signed_in_before_the_instant_signs_in_again(database) {
        let app = TestApp::start(&database).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let tablet = app.app_for_people("tablet", &["--public", "--first-party"]).await;
        let before = app.login(&phone, &ada).await;
        let elsewhere = app.login(&tablet, &ada).await;
        let last_login = || {
            let shown = app.run(&["user", "show", "ada", "--json"]).json();
            shown["last_login_at"].as_str().unwrap().to_owned()
        };
        // Of that on the tablet: what is not older stays.
        let instant = last_login();
        let cut_off = |further: &[&str]| {
            let mut all = vec!["session", "cut-off", "--before", instant.as_str()];
            all.extend(further);
            app.run(&all)
        };
        let said = cut_off(&["--client", "phone", "--json"]).json();
        assert_eq!(said, json!({ "before": instant, "client_id": "phone" }));
        let refused = app.refresh(&phone, &before.refresh_token, &[]).await;
        assert_eq!(refused.error(), (400, "invalid_grant".to_owned()));
        Tokens::of(&app.refresh(&tablet, &elsewhere.refresh_token, &[]).await);

        let again = app.login(&phone, &ada).await;
        let listed = app.run(&["session", "list", "ada", "--json"]).json();
        let sids: Vec<_> = listed.as_array().unwrap().iter().map(|one| &one["sid"]).collect();
        assert_eq!(sids, [&json!(again.sid), &json!(elsewhere.sid)]);

        let instant = last_login();
        let said = app.run(&["session", "cut-off", "--before", &instant]);
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(said.out.starts_with("Cut off all tokens from before "), "{}", said.out);
        assert!(said.out.ends_with("has to sign in again.\n"), "{}", said.out);
        let refused = app.refresh(&tablet, &elsewhere.refresh_token, &[]).await;
        assert_eq!(refused.error(), (400, "invalid_grant".to_owned()));
        Tokens::of(&app.refresh(&phone, &again.refresh_token, &[]).await);
        let records = app.run(&["audit", "list", "--event", "tokens_cut_off", "--json"]).json();
        let records = records.as_array().unwrap();
        assert_eq!((&records[0]["actor"], &records[1]["client_id"]), (&json!("command_line"), &json!("phone")));
        assert!(records[0]["detail"].as_str().unwrap().starts_with("before "), "{}", records[0]);
    }
}

on_every_database! {
    async fn a_cut_off_is_known_to_a_server_that_starts_after_it(database) {
        let issuer = format!("http://127.0.0.1:{}", crate::harness::app::free_port());
        let settings = [("TOKENSMITH_ISSUER", issuer.as_str())];
        let app = TestApp::start_with(&database, &settings).await;
        let (orders, api) = (
            app.orders().await,
            app.client("api", &["--resource-server", "https://api.example.com"]).await,
        );
        let token = app.access_token(&orders).await;
        drop(app);
        let app = TestApp::start_with(&database, &settings).await;
        assert_eq!(app.introspect(&api, &token).await.json()["active"], true);
        // So that the token is of a second before this one.
        let issued_at = crate::harness::login::claims(&token)["iat"].as_i64().unwrap();
        wait::until("the next second", || async {
            (crate::harness::now() > issued_at).then_some(())
        })
        .await;
        drop(app);
        let instant = format!("@{}", issued_at + 1);
        let refused = run(&mut on(&database, &["session", "cut-off", "--before", &instant]));
        assert_eq!(refused.code, 2, "not an instant: {}", refused.out);
        let instant = chrono::DateTime::from_timestamp(issued_at + 1, 0).unwrap().to_rfc3339();
        let said = run(&mut on(&database, &["session", "cut-off", "--before", &instant]));
        assert_eq!(said.code, 0, "{}", said.err);
        let app = TestApp::start_with(&database, &settings).await;
        let answer = app.introspect(&api, &token).await.json();
        assert_eq!(answer, json!({ "active": false }));
        let new = app.access_token(&orders).await;
        assert_eq!(app.introspect(&api, &new).await.json()["active"], true);
    }
}

#[test]
fn a_cut_off_that_cannot_be_is_refused_in_words() {
    let database = Database::sqlite();
    create_ada(&database);
    let said = |arguments: &[&str]| {
        let mut all = vec!["session", "cut-off"];
        all.extend(arguments);
        run(&mut on(&database, &all))
    };
    let ahead = said(&["--before", "2999-01-01T00:00:00Z"]);
    let line = "error: the instant of a cut-off must not lie in the future\n";
    assert_eq!((ahead.code, ahead.err.as_str()), (1, line));
    let past = "2026-01-01T00:00:00Z";
    let nobody = said(&["--before", past, "--client", "nobody"]);
    let line = "error: there is no client nobody\n";
    assert_eq!((nobody.code, nobody.err.as_str()), (1, line));
    for usage in [
        &[][..],
        &["--client", "phone"],
        &["--before", "yesterday"],
        &["--before", "2026-01-01"],
        &["--before", past, "--client", "a b"],
        &["--before", past, "--user", "ada"],
    ] {
        assert_eq!(said(usage).code, 2, "{usage:?}");
    }
}
