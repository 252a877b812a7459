//! What people do with their own account.

use reqwest::Method;
use serde_json::json;

use crate::harness::login::Tokens;
use crate::harness::{Database, TestApp, on_every_database};

on_every_database! {
    async fn sessions_are_listed_renamed_and_ended(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let (ada, bob) = (app.user("ada").await, app.user("bob").await);
        let his = app.login(&phone, &bob).await;
        let one = app.login(&phone, &ada).await;
        let two = app.login(&phone, &ada).await;
        let two = app.for_account(&phone, &two).await;
        let token = two.access_token.as_str();
        let list = async || {
            let reply = app.me(token, Method::GET, "/sessions", None).await;
            reply.json()["sessions"].as_array().unwrap().clone()
        };
        let sessions = list().await;
        let sids: Vec<_> = sessions.iter().map(|session| session["sid"].as_str().unwrap()).collect();
        assert_eq!(sids, [two.sid.as_str(), one.sid.as_str()], "newest first, only her own");
        assert_eq!((&sessions[0]["current"], &sessions[1]["current"]), (&json!(true), &json!(false)));
        assert_eq!(sessions[0]["address"], "127.0.0.1");

        let path = format!("/sessions/{}", one.sid);
        let named = json!({ "device": "Kitchen tablet" });
        let reply = app.me(token, Method::PATCH, &path, Some(named)).await;
        assert_eq!(reply.json()["device"], "Kitchen tablet");
        assert_eq!(list().await[1]["device"], "Kitchen tablet");
        let reply = app.me(token, Method::DELETE, &path, None).await;
        assert_eq!(reply.status, 204);
        assert_eq!(list().await.len(), 1);
        let refused = app.refresh(&phone, &one.refresh_token, &[]).await;
        assert_eq!(refused.error(), (400, "invalid_grant".to_owned()));

        for (method, body) in [(Method::DELETE, None), (Method::PATCH, Some(json!({ "device": "x" })))] {
            let path = format!("/sessions/{}", his.sid);
            let reply = app.me(token, method, &path, body).await;
            assert_eq!(reply.status, 404, "another person's session does not exist for her");
        }
        Tokens::of(&app.refresh(&phone, &his.refresh_token, &[]).await);
    }
}

on_every_database! {
    async fn all_others_or_all_sessions_end_at_once(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let (ada, bob) = (app.user("ada").await, app.user("bob").await);
        let his = app.login(&phone, &bob).await;
        let other = app.login(&phone, &ada).await;
        let mine = app.for_account(&phone, &app.login(&phone, &ada).await).await;
        let path = "/sessions?except=current";
        let reply = app.me(&mine.access_token, Method::DELETE, path, None).await;
        assert_eq!(reply.status, 204, "{}", reply.text);
        assert_eq!(app.refresh(&phone, &other.refresh_token, &[]).await.status, 400);
        let mine = app.for_account(&phone, &mine).await;
        let reply = app.me(&mine.access_token, Method::DELETE, "/sessions", None).await;
        assert_eq!(reply.status, 204);
        assert_eq!(app.refresh(&phone, &mine.refresh_token, &[]).await.status, 400);
        let reply = app.me(&mine.access_token, Method::GET, "", None).await;
        assert_eq!(reply.error(), (401, "invalid_token".to_owned()), "its token ends here, too");
        Tokens::of(&app.refresh(&phone, &his.refresh_token, &[]).await);
    }
}

on_every_database! {
    async fn changing_the_password_ends_all_other_sessions(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let mut ada = app.user("ada").await;
        let other = app.login(&phone, &ada).await;
        let pending = app.code(&phone, &ada).await;
        let mine = app.for_account(&phone, &app.login(&phone, &ada).await).await;
        let change = async |current: &str, new: &str| {
            let body = json!({ "current_password": current, "new_password": new });
            app.me(&mine.access_token, Method::PUT, "/password", Some(body)).await
        };
        for (current, new, error) in [
            ("wrong", "four storks by the pond", "wrong_password"),
            (ada.password.as_str(), "short", "unacceptable_password"),
            (ada.password.as_str(), "password123", "unacceptable_password"),
        ] {
            let reply = change(current, new).await;
            assert_eq!(reply.error(), (400, error.to_owned()));
        }
        let new = "four storks by the pond";
        let reply = change(&ada.password, new).await;
        assert_eq!(reply.status, 204, "{}", reply.text);
        assert_eq!(app.refresh(&phone, &other.refresh_token, &[]).await.status, 400);
        let verifier = crate::harness::login::VERIFIER;
        assert_eq!(app.redeem(&phone, &pending, verifier).await.status, 400, "nor a code");
        app.for_account(&phone, &mine).await;
        assert_eq!(app.challenge(&phone, &ada, &[]).await.status, 400, "the old one");
        new.clone_into(&mut ada.password);
        app.login(&phone, &ada).await;
    }
}

#[tokio::test]
async fn a_stolen_token_does_not_help_to_guess_the_password() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let phone = app.phone().await;
    let ada = app.user("ada").await;
    let stolen = app
        .for_account(&phone, &app.login(&phone, &ada).await)
        .await;
    let body = json!({ "current_password": "guess", "new_password": "four storks by the pond" });
    let guess = || {
        app.me(
            &stolen.access_token,
            Method::PUT,
            "/password",
            Some(body.clone()),
        )
    };
    for _ in 0..5 {
        assert_eq!(guess().await.status, 400);
    }
    assert_eq!(guess().await.status, 429);
    app.login(&phone, &ada).await;
}

on_every_database! {
    async fn only_a_persons_token_for_this_issuer_opens_the_account(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let tokens = app.login(&phone, &ada).await;
        let reply = app.me(&tokens.access_token, Method::GET, "", None).await;
        assert_eq!(reply.error(), (401, "invalid_token".to_owned()), "it is for an API");
        for bad in [&*tokens.refresh_token, "x"] {
            let reply = app.me(bad, Method::GET, "", None).await;
            assert_eq!(reply.status, 401, "{bad}");
        }
        let service = app.admin_token().await;
        let reply = app.me(&service, Method::GET, "", None).await;
        assert_eq!(reply.error(), (401, "invalid_token".to_owned()), "a service is no person");
        let own = app.for_account(&phone, &tokens).await;
        let reply = app.me(&own.access_token, Method::GET, "", None).await;
        assert_eq!(reply.json()["username"], "ada");
        let reply = app.admin(&own.access_token, Method::GET, "/users", None).await;
        assert_eq!(reply.status, 403, "a person is no administrator");
    }
}

on_every_database! {
    async fn administrators_see_and_end_the_sessions_of_people(database) {
        let app = TestApp::start(&database).await;
        let phone = app.phone().await;
        let ada = app.user("ada").await;
        let (one, two) = (app.login(&phone, &ada).await, app.login(&phone, &ada).await);
        let administrator = app.admin_token().await;
        let sessions = format!("/users/{}/sessions", ada.id);
        let reply = app.admin(&administrator, Method::GET, &sessions, None).await;
        assert_eq!(reply.json()["sessions"].as_array().unwrap().len(), 2);
        let conditional = format!("{sessions}?except=current");
        let reply = app.admin(&administrator, Method::DELETE, &conditional, None).await;
        assert_eq!(reply.status, 400, "what is not understood ends nothing");
        let by_name = app.admin(&administrator, Method::GET, "/users?login=ADA", None).await;
        assert_eq!(by_name.json()["users"][0]["user_id"], ada.id.as_str());
        let end = format!("/sessions/{}", one.sid);
        let named = Some(json!({ "device": "Lost phone" }));
        let reply = app.admin(&administrator, Method::PATCH, &end, named).await;
        assert_eq!(reply.json()["device"], "Lost phone");
        assert_eq!(app.admin(&administrator, Method::DELETE, &end, None).await.status, 204);
        assert_eq!(app.admin(&administrator, Method::DELETE, &end, None).await.status, 404);
        assert_eq!(app.refresh(&phone, &one.refresh_token, &[]).await.status, 400);
        assert_eq!(app.admin(&administrator, Method::DELETE, &sessions, None).await.status, 204);
        assert_eq!(app.refresh(&phone, &two.refresh_token, &[]).await.status, 400);
        let three = app.login(&phone, &ada).await;
        let user = format!("/users/{}", ada.id);
        assert_eq!(app.admin(&administrator, Method::DELETE, &user, None).await.status, 204);
        assert_eq!(app.refresh(&phone, &three.refresh_token, &[]).await.status, 400);
        assert_eq!(app.challenge(&phone, &ada, &[]).await.status, 400);
        app.user("ADA").await;
    }
}
