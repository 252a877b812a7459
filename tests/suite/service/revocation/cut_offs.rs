//! Cut-offs: whatever is older than an instant.

use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_verify::revocation::{Watermark, WatermarkScope};

use crate::harness::authorize::AuthorizationRequest;
use crate::harness::login::{TestUser, Tokens, VERIFIER, claims};
use crate::harness::person::Person;
use crate::harness::revocation::{Log, position};
use crate::harness::{TestApp, now, on_every_database};

/// Nobody has this id, and no session.
const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const FAR_AHEAD: &str = "2999-01-01T00:00:00Z";

fn only(watermarks: &[Watermark]) -> &Watermark {
    let [watermark] = watermarks else {
        panic!("{watermarks:?}");
    };
    watermark
}

fn issued_at(token: &str) -> i64 {
    claims(token)["iat"].as_i64().unwrap()
}

async fn sessions_of(app: &TestApp, administrator: &str, user: &TestUser) -> Vec<Value> {
    let path = format!("/users/{}/sessions", user.id);
    let reply = app.admin(administrator, Method::GET, &path, None).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["sessions"].as_array().unwrap().clone()
}

async fn userinfo(app: &TestApp, token: &str) -> u16 {
    let request = app.request(Method::GET, "/oauth/userinfo");
    let reply = app.send(request.bearer_auth(token)).await;
    reply.status.as_u16()
}

/// Whether whoever is signed in in a browser is still.
async fn is_signed_in(person: &mut Person) -> bool {
    person.get("/account").await.status == 200
}

on_every_database! {
    async fn an_order_that_is_not_one_of_the_four_takes_nothing_back(database) {
        let app = TestApp::start(&database).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let administrator = app.admin_token().await;
        let tokens = app.login(&phone, &ada).await;
        let log = Log::begin(&app, &phone).await;
        let (user, sid, past) = (ada.id.as_str(), tokens.sid.as_str(), "2026-01-01T00:00:00Z");
        for (status, order) in [
            (400, json!({})),
            (400, json!({ "user_id": user, "sid": sid })),
            (400, json!({ "user_id": user, "before": past })),
            (400, json!({ "sid": sid, "before": past })),
            (400, json!({ "client_id": "phone", "user_id": user })),
            (400, json!({ "client_id": "phone", "sid": sid, "before": past })),
            (400, json!({ "before": "yesterday" })),
            (400, json!({ "before": FAR_AHEAD })),
            (400, json!({ "client_id": "phone", "before": FAR_AHEAD })),
            (400, json!({ "client_id": "phone", "until": past })),
            (404, json!({ "user_id": NOBODY })),
            (404, json!({ "sid": NOBODY })),
            (404, json!({ "client_id": "nobody" })),
            (404, json!({ "client_id": "nobody", "before": past })),
        ] {
            let reply = app.take_back(&administrator, order.clone()).await;
            let error = if status == 400 { "invalid_request" } else { "not_found" };
            assert_eq!(reply.error(), (status, error.to_owned()), "{order}");
        }
        let reply = app.revoke(&phone, "nothing").await;
        log.stands("nothing was taken back", &reply.headers);
        Tokens::of(&app.refresh(&phone, &tokens.refresh_token, &[]).await);
        let last = app.take_back(&administrator, json!({ "before": FAR_AHEAD })).await;
        let said = last.json()["error_description"].as_str().unwrap().to_owned();
        assert!(said.contains("must not lie in the future"), "{said}");
    }
}

on_every_database! {
    async fn who_signed_in_to_a_client_before_its_cut_off_has_to_do_so_again(database) {
        let app = TestApp::start(&database).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let tablet = app.app_for_people("tablet", &["--public", "--first-party"]).await;
        let api = app.client("api", &["--resource-server", "https://api.example.com"]).await;
        let administrator = app.admin_token().await;
        let before = app.login(&phone, &ada).await;
        let account = app.for_account(&phone, &before).await;
        let pending = app.code(&phone, &ada).await;
        let elsewhere = app.login(&tablet, &ada).await;
        let mut person = Person::new(&app);
        let page = person.get("/login").await;
        app.sign_in(&mut person, &page, &ada).await;
        assert!(app.is_good(&api, &before.access_token).await);
        assert_eq!(userinfo(&app, &before.access_token).await, 200);

        let mut log = Log::begin(&app, &phone).await;
        let asked_at = now();
        let reply = app.take_back(&administrator, json!({ "client_id": "phone" })).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.json()["revocation_seq"], reply.header("revocation-seq"));
        let dead = log.up_to(position(&reply.headers)).await;
        assert!(dead.bits.is_empty());
        let watermark = only(&dead.watermarks);
        assert_eq!(watermark.scope, WatermarkScope::Client("phone".into()));
        assert!((asked_at..=now() + 2).contains(&watermark.not_before));

        assert!(!app.is_good(&api, &before.access_token).await);
        assert!(!app.is_good(&api, &account.access_token).await);
        assert_eq!(userinfo(&app, &before.access_token).await, 401);
        let reply = app.me(&account.access_token, Method::GET, "", None).await;
        assert_eq!(reply.error(), (401, "invalid_token".to_owned()));
        let refused = app.refresh(&phone, &account.refresh_token, &[]).await;
        assert_eq!(refused.error(), (400, "invalid_grant".to_owned()));
        let refused = app.redeem(&phone, &pending, VERIFIER).await;
        assert_eq!(refused.error(), (400, "invalid_grant".to_owned()));
        let listed = sessions_of(&app, &administrator, &ada).await;
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert_eq!(listed[0]["sid"], elsewhere.sid.as_str());

        // Who does, is back; and others never noticed.
        let after = app.login(&phone, &ada).await;
        assert!(issued_at(&after.access_token) >= watermark.not_before);
        assert!(app.is_good(&api, &after.access_token).await);
        Tokens::of(&app.refresh(&phone, &after.refresh_token, &[]).await);
        assert_eq!(userinfo(&app, &after.access_token).await, 200);
        assert_eq!(sessions_of(&app, &administrator, &ada).await.len(), 2);
        assert!(app.is_good(&api, &elsewhere.access_token).await);
        Tokens::of(&app.refresh(&tablet, &elsewhere.refresh_token, &[]).await);
        assert!(is_signed_in(&mut person).await, "a login is of no client");
    }
}

on_every_database! {
    async fn a_cut_off_spares_who_signed_in_after_its_instant(database) {
        let app = TestApp::start(&database).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let api = app.client("api", &["--resource-server", "https://api.example.com"]).await;
        let administrator = app.admin_token().await;
        let early = app.login(&phone, &ada).await;
        let late = app.login(&phone, &ada).await;
        let path = format!("/users/{}", ada.id);
        let shown = app.admin(&administrator, Method::GET, &path, None).await.json();
        let before = shown["last_login_at"].clone();
        let order = json!({ "client_id": "phone", "before": before });
        assert_eq!(app.take_back(&administrator, order).await.status, 200);
        let refused = app.refresh(&phone, &early.refresh_token, &[]).await;
        assert_eq!(refused.error(), (400, "invalid_grant".to_owned()));
        let late = Tokens::of(&app.refresh(&phone, &late.refresh_token, &[]).await);
        assert!(app.is_good(&api, &late.access_token).await);
        let listed = sessions_of(&app, &administrator, &ada).await;
        assert_eq!(listed.len(), 1, "{listed:?}");
        // An earlier one adds nothing and takes nothing back.
        let order = json!({ "client_id": "phone", "before": "2020-01-01T00:00:00Z" });
        assert_eq!(app.take_back(&administrator, order).await.status, 200);
        let refused = app.refresh(&phone, &early.refresh_token, &[]).await;
        assert_eq!(refused.error(), (400, "invalid_grant".to_owned()));
        Tokens::of(&app.refresh(&phone, &late.refresh_token, &[]).await);
    }
}

on_every_database! {
    async fn a_cut_off_of_everything_leaves_nothing_from_before(database) {
        let app = TestApp::start(&database).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let (bob, orders) = (app.user("bob").await, app.orders().await);
        let admin = app.client("admin", &["--scope", "tokensmith:admin"]).await;
        let administrator = app.access_token(&admin).await;
        let api = app.client("api", &["--resource-server", "https://api.example.com"]).await;
        let of_a_service = app.access_token(&orders).await;
        let before = app.login(&phone, &ada).await;
        let pending = app.code(&phone, &ada).await;
        let mut person = Person::new(&app);
        let page = person.get("/login").await;
        app.sign_in(&mut person, &page, &ada).await;
        assert!(is_signed_in(&mut person).await);

        let mut log = Log::begin(&app, &phone).await;
        // Of the last thing that happened.
        app.login(&phone, &bob).await;
        let instant = sessions_of(&app, &administrator, &bob).await[0]["created_at"].clone();
        let reply = app.take_back(&administrator, json!({ "before": instant })).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.json()["revocation_seq"], reply.header("revocation-seq"));
        let dead = log.up_to(position(&reply.headers)).await;
        let watermark = only(&dead.watermarks);
        assert_eq!(watermark.scope, WatermarkScope::Issuer(app.issuer.clone()));
        assert!(watermark.not_before > issued_at(&of_a_service));

        for token in [&of_a_service, &before.access_token] {
            assert!(!app.is_good(&api, token).await);
        }
        let refused = app.admin(&administrator, Method::GET, "/clients", None).await;
        assert_eq!(refused.error(), (401, "invalid_token".to_owned()));
        assert_eq!(app.refresh(&phone, &before.refresh_token, &[]).await.status, 400);
        assert_eq!(app.redeem(&phone, &pending, VERIFIER).await.status, 400);
        assert!(!is_signed_in(&mut person).await);
        let silently = AuthorizationRequest::of(&phone).with("prompt", "none");
        let page = app.authorize(&mut person, &silently).await;
        let back = page.location().unwrap().to_string();
        assert!(back.contains("error=login_required"), "{back}");

        let administrator = app.access_token(&admin).await;
        assert_eq!(sessions_of(&app, &administrator, &ada).await, Vec::<Value>::new());
        assert!(app.is_good(&api, &app.access_token(&orders).await).await);
        let page = person.get("/login").await;
        app.sign_in(&mut person, &page, &ada).await;
        let devices = person.get("/account/devices").await;
        assert_eq!(devices.status, 200);
        assert!(!devices.has_id("end-others"), "only this browser: {}", devices.text);
        let after = app.login(&phone, &ada).await;
        assert!(app.is_good(&api, &after.access_token).await);
        Tokens::of(&app.refresh(&phone, &after.refresh_token, &[]).await);
        assert!(person.get("/account/devices").await.has_id("end-others"));
    }
}

on_every_database! {
    async fn references_and_administrators_are_cut_off_like_anybody(database) {
        let app = TestApp::start(&database).await;
        let arguments = ["--first-party", "--access-token-format", "reference"];
        let backend = app.app_for_people("backend", &arguments).await;
        let api = app.client("api", &["--resource-server", "https://api.example.com"]).await;
        let ada = app.user("ada").await;
        let administrator = app.admin_token().await;
        let before = app.login(&backend, &ada).await;
        assert!(app.is_good(&api, &before.access_token).await);
        assert_eq!(userinfo(&app, &before.access_token).await, 200);
        let reply = app.take_back(&administrator, json!({ "client_id": "backend" })).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert!(!app.is_good(&api, &before.access_token).await);
        assert!(!app.is_good(&backend, &before.refresh_token).await);
        assert_eq!(userinfo(&app, &before.access_token).await, 401);
        let after = app.login(&backend, &ada).await;
        assert!(app.is_good(&api, &after.access_token).await);

        let reply = app.take_back(&administrator, json!({ "client_id": "admin" })).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let refused = app.take_back(&administrator, json!({ "client_id": "backend" })).await;
        assert_eq!(refused.error(), (401, "invalid_token".to_owned()));
    }
}

on_every_database! {
    async fn an_access_token_that_is_cut_off_still_ends_its_session(database) {
        let app = TestApp::start(&database).await;
        let administrator = app.admin_token().await;
        let ada = app.user("ada").await;
        let reference = ["--first-party", "--access-token-format", "reference"];
        let backend = app.app_for_people("backend", &reference).await;
        for (client, id) in [(app.phone().await, "phone"), (backend, "backend")] {
            let ended = app.login(&client, &ada).await;
            let other = app.login(&client, &ada).await;
            for act in ["disable", "enable"] {
                let path = format!("/clients/{id}/{act}");
                let reply = app.admin(&administrator, Method::POST, &path, None).await;
                assert_eq!(reply.status, 200, "{}", reply.text);
            }
            assert_eq!(userinfo(&app, &ended.access_token).await, 401, "{id}");
            let reply = app.revoke(&client, &ended.access_token).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            let refused = app.refresh(&client, &ended.refresh_token, &[]).await;
            assert_eq!(refused.error(), (400, "invalid_grant".to_owned()), "{id}");
            Tokens::of(&app.refresh(&client, &other.refresh_token, &[]).await);
        }
    }
}
