//! Sessions that end through an app, and by theft.

use reqwest::Method;
use serde_json::json;

use crate::harness::login::{Tokens, VERIFIER};
use crate::harness::revocation::Log;
use crate::harness::{TestApp, on_every_database};

on_every_database! {
    async fn what_an_app_gives_back_is_dead(database) {
        let app = TestApp::start(&database).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let mut log = Log::begin(&app, &phone).await;
        for by_refresh_token in [true, false] {
            let tokens = app.login(&phone, &ada).await;
            let token = if by_refresh_token { &tokens.refresh_token } else { &tokens.access_token };
            let reply = app.revoke(&phone, token).await;
            log.ends("revoke", &reply.headers, &[&tokens.access_token]).await;
            let reply = app.revoke(&phone, token).await;
            log.stands("it was over", &reply.headers);
        }
        log.agrees_with_the_lists().await;
    }
}

on_every_database! {
    async fn what_a_person_ends_in_an_app_is_dead(database) {
        let app = TestApp::start(&database).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let mut log = Log::begin(&app, &phone).await;
        let mine = app.for_account(&phone, &app.login(&phone, &ada).await).await;
        let me = async |method, path: &str, body| {
            let reply = app.me(&mine.access_token, method, path, body).await;
            assert_eq!(reply.status, 204, "{path}: {}", reply.text);
            reply
        };

        let one = app.login(&phone, &ada).await;
        let reply = me(Method::DELETE, &format!("/sessions/{}", one.sid), None).await;
        log.ends("one", &reply.headers, &[&one.access_token]).await;

        let others = [app.login(&phone, &ada).await, app.login(&phone, &ada).await];
        let reply = me(Method::DELETE, "/sessions?except=current", None).await;
        let tokens = others.each_ref().map(|other| other.access_token.as_str());
        log.ends("others", &reply.headers, &tokens).await;
        let reply = me(Method::DELETE, "/sessions?except=current", None).await;
        log.stands("there are no others", &reply.headers);

        let other = app.login(&phone, &ada).await;
        let new = "four storks by the pond";
        let change = json!({ "current_password": ada.password, "new_password": new });
        let reply = me(Method::PUT, "/password", Some(change)).await;
        log.ends("password", &reply.headers, &[&other.access_token]).await;

        let ada = crate::harness::login::TestUser { password: new.into(), ..ada };
        let others = [app.login(&phone, &ada).await, app.login(&phone, &ada).await];
        let reply = me(Method::DELETE, "/sessions", None).await;
        let [one, two] = others.each_ref().map(|other| other.access_token.as_str());
        log.ends("everywhere", &reply.headers, &[one, two, &mine.access_token]).await;
        let reply = app.me(&mine.access_token, Method::GET, "", None).await;
        assert_eq!(reply.error(), (401, "invalid_token".to_owned()));
        log.agrees_with_the_lists().await;
    }
}

on_every_database! {
    async fn a_refresh_token_that_comes_again_ends_its_session(database) {
        let app = TestApp::start(&database).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let mut log = Log::begin(&app, &phone).await;
        let first = app.login(&phone, &ada).await;
        let second = Tokens::of(&app.refresh(&phone, &first.refresh_token, &[]).await);
        let third = Tokens::of(&app.refresh(&phone, &second.refresh_token, &[]).await);
        let never = app.refresh(&phone, "tsr1_never", &[]).await;
        assert_eq!(never.error(), (400, "invalid_grant".to_owned()));
        log.stands("it never was one", &never.headers);
        let again = app.refresh(&phone, &first.refresh_token, &[]).await;
        assert_eq!(again.error(), (400, "invalid_grant".to_owned()));
        log.ends("reuse", &again.headers, &[&third.access_token]).await;
        let over = app.refresh(&phone, &third.refresh_token, &[]).await;
        assert_eq!(over.error(), (400, "invalid_grant".to_owned()));
        log.stands("it was over", &over.headers);
        log.agrees_with_the_lists().await;
    }
}

on_every_database! {
    async fn a_code_that_comes_again_ends_its_session(database) {
        let app = TestApp::start(&database).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let mut log = Log::begin(&app, &phone).await;
        let code = app.code(&phone, &ada).await;
        let tokens = Tokens::of(&app.redeem(&phone, &code, VERIFIER).await);
        let again = app.redeem(&phone, &code, VERIFIER).await;
        assert_eq!(again.error(), (400, "invalid_grant".to_owned()));
        log.ends("replay", &again.headers, &[&tokens.access_token]).await;
        let again = app.redeem(&phone, &code, VERIFIER).await;
        log.stands("it was over", &again.headers);
        log.agrees_with_the_lists().await;
    }
}
