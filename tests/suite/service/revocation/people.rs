//! Sessions that end in a browser, and by administrators.

use reqwest::Method;
use serde_json::json;

use crate::harness::app::TestClient;
use crate::harness::login::{TestUser, Tokens, VERIFIER};
use crate::harness::person::{Page, Person};
use crate::harness::revocation::Log;
use crate::harness::{TestApp, on_every_database};

/// Ends with the browser: without `offline_access`.
const SCOPE: (&str, &str) = ("scope", "openid orders:read");

struct Visitor {
    person: Person,
    access_token: String,
    id_token: String,
}

impl Visitor {
    /// Somebody signed in in a browser of their own, with a session under it.
    async fn of(app: &TestApp, client: &TestClient, user: &TestUser) -> Self {
        let mut person = Person::new(app);
        let callback = app
            .code_in_browser(&mut person, client, user, &[SCOPE])
            .await;
        let reply = app.redeem(client, callback.code(), VERIFIER).await;
        let id_token = reply.json()["id_token"].as_str().unwrap().to_owned();
        let access_token = Tokens::of(&reply).access_token;
        Self {
            person,
            access_token,
            id_token,
        }
    }
}

fn csrf(account: &Page) -> String {
    let (form, _) = account.form_with("save-profile");
    let mut fields = form.fields.into_iter();
    fields.find(|(name, _)| name == "csrf").unwrap().1
}

on_every_database! {
    async fn what_ends_in_a_browser_is_dead(database) {
        let app = TestApp::start(&database).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let shop = app.app_for_people("shop", &["--public"]).await;
        let mut log = Log::begin(&app, &phone).await;

        let mut visitor = Visitor::of(&app, &phone, &ada).await;
        let account = visitor.person.get("/account").await;
        let page = visitor.person.submit(&account, "logout", &[]).await;
        log.ends("logout page", &page.headers, &[&visitor.access_token]).await;

        let mut visitor = Visitor::of(&app, &phone, &ada).await;
        let wish = format!("/oauth/logout?id_token_hint={}", visitor.id_token);
        let page = visitor.person.cross_site_get(&wish).await;
        log.ends("logout by an app", &page.headers, &[&visitor.access_token]).await;
        let page = visitor.person.cross_site_get(&wish).await;
        log.stands("nobody is signed in", &page.headers);

        let mut desk = Visitor::of(&app, &phone, &ada).await;
        let agreed = Visitor::of(&app, &shop, &ada).await;
        let account = desk.person.get("/account").await;
        let csrf = csrf(&account);
        let fields = [("csrf", csrf.as_str()), ("client_id", "shop")];
        let page = desk.person.post_form("/account/consents", &fields).await;
        log.ends("consent", &page.headers, &[&agreed.access_token]).await;

        let elsewhere = Visitor::of(&app, &phone, &ada).await;
        let new = "four storks by the pond";
        let change = [("current_password", ada.password.as_str()), ("new_password", new)];
        let page = desk.person.submit(&account, "change-password", &change).await;
        assert_eq!(page.status, 303, "{}", page.text);
        log.ends("password", &page.headers, &[&elsewhere.access_token]).await;

        let ada = TestUser { password: new.into(), ..ada };
        let elsewhere = Visitor::of(&app, &phone, &ada).await;
        let in_an_app = app.login(&phone, &ada).await;
        let fields = [("csrf", csrf.as_str()), ("end", "others")];
        let page = desk.person.post_form("/account/devices", &fields).await;
        let others = [&*elsewhere.access_token, &in_an_app.access_token];
        log.ends("other devices", &page.headers, &others).await;
        log.agrees_with_the_lists().await;
    }
}

on_every_database! {
    async fn what_an_administrator_ends_is_dead(database) {
        let app = TestApp::start(&database).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let administrator = app.admin_token().await;
        let mut log = Log::begin(&app, &phone).await;
        let of_ada = |path: &str| format!("/users/{}{path}", ada.id);
        let password = json!({ "password": ada.password });
        let session = |tokens: &Tokens| format!("/sessions/{}", tokens.sid);
        for (method, path, body) in [
            (Method::PUT, of_ada("/password"), Some(password)),
            (Method::DELETE, of_ada("/sessions"), None),
            (Method::POST, "/revocations".into(), Some(json!({ "user_id": ada.id }))),
            (Method::POST, of_ada("/disable"), None),
            (Method::DELETE, of_ada(""), None),
        ] {
            let enable = of_ada("/enable");
            app.admin(&administrator, Method::POST, &enable, None).await;
            let tokens = [app.login(&phone, &ada).await, app.login(&phone, &ada).await];
            let reply = app.admin(&administrator, method, &path, body.clone()).await;
            assert!(reply.status.is_success(), "{path}: {}", reply.text);
            let tokens = tokens.each_ref().map(|tokens| tokens.access_token.as_str());
            log.ends(&path, &reply.headers, &tokens).await;
        }
        let ada = app.user("ada").await;
        let (one, two) = (app.login(&phone, &ada).await, app.login(&phone, &ada).await);
        let reply = app.admin(&administrator, Method::DELETE, &session(&one), None).await;
        log.ends("session", &reply.headers, &[&one.access_token]).await;
        let reply = app.take_back(&administrator, json!({ "sid": two.sid })).await;
        log.ends("sid", &reply.headers, &[&two.access_token]).await;
        assert_eq!(reply.json()["revocation_seq"], reply.header("revocation-seq"));

        for path in ["/disable", "/disable"] {
            let path = format!("/users/{}{path}", ada.id);
            let reply = app.admin(&administrator, Method::POST, &path, None).await;
            log.stands("nothing was there to end", &reply.headers);
        }
        let reply = app.take_back(&administrator, json!({ "user_id": ada.id })).await;
        log.stands("nor now", &reply.headers);
        log.agrees_with_the_lists().await;
    }
}

on_every_database! {
    async fn what_a_command_ends_is_dead(database) {
        let app = TestApp::start(&database).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let mut log = Log::begin(&app, &phone).await;
        for command in [
            &["session", "end", "SID"][..],
            &["session", "end", "--user", "ada"],
            &["user", "disable", "ada"],
            &["user", "delete", "ada"],
        ] {
            let tokens = app.login(&phone, &ada).await;
            let command = command.iter().map(|word| match *word {
                "SID" => tokens.sid.as_str(),
                word => word,
            });
            let command: Vec<&str> = command.collect();
            let said = app.run(&command);
            assert_eq!(said.code, 0, "{command:?}: {}", said.err);
            let watermarks = log.ends_by_command(&[&tokens.access_token]).await;
            assert_eq!(watermarks, [], "{command:?}");
            app.run(&["user", "enable", "ada"]);
        }
        log.agrees_with_the_lists().await;
    }
}
