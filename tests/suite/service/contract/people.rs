//! Login, sessions and accounts: the answers about people.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Case, Scene, too_long, with};
use crate::harness::app::TestClient;
use crate::harness::contract::Documented;
use crate::harness::login::{TestUser, Tokens, VERIFIER};
use crate::harness::{Database, TestApp, on_every_database, wait};

/// Nobody has this id, and no session.
const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// Who is there.
pub(super) struct People {
    pub(super) phone: TestClient,
    pub(super) ada: TestUser,
    /// Ada's on her phone, for this issuer.
    pub(super) tokens: Tokens,
    /// Ada's on another device.
    elsewhere: Tokens,
    /// Somebody whom administrators deal with.
    grace: TestUser,
    of_grace: Tokens,
    /// Somebody who is not remembered.
    bob: TestUser,
    /// Bob's for another API.
    pub(super) for_an_api: String,
    /// Bob's for this issuer in somebody else's app, without a scope for it.
    pub(super) of_a_third_party: String,
    /// Bob's, narrowed to a scope of an API.
    pub(super) without_openid: String,
}

impl People {
    pub(super) async fn set(app: &TestApp, database: &Database) -> Self {
        let phone = app.phone().await;
        let (ada, grace) = (app.user("ada").await, app.user("grace").await);
        let bob = app.user("bob").await;
        let of_bob = app.login(&phone, &bob).await;
        let narrower = [("scope", "orders:read")];
        let narrowed = app.refresh(&phone, &of_bob.refresh_token, &narrower).await;
        Self {
            tokens: app
                .for_account(&phone, &app.login(&phone, &ada).await)
                .await,
            elsewhere: app.login(&phone, &ada).await,
            of_grace: app.login(&phone, &grace).await,
            for_an_api: of_bob.access_token,
            without_openid: Tokens::of(&narrowed).access_token,
            of_a_third_party: token_of_a_third_party(app, database, &bob).await,
            phone,
            ada,
            grace,
            bob,
        }
    }
}

/// A third party cannot take passwords, so somebody logs in to an app that becomes one.
async fn token_of_a_third_party(app: &TestApp, database: &Database, user: &TestUser) -> String {
    let client = app
        .app_for_people("partner", &["--public", "--first-party"])
        .await;
    let tokens = app
        .for_account(&client, &app.login(&client, user).await)
        .await;
    database
        .execute(
            "UPDATE watched_versions SET version = version + 1 WHERE name = 'clients'; \
             UPDATE clients SET \
             metadata = replace(metadata, '\"first_party\":true', '\"first_party\":false'), \
             version = (SELECT version FROM watched_versions WHERE name = 'clients') \
             WHERE id = 'partner'",
        )
        .await;
    wait::until("the service knows the app for a third party's", || async {
        let reply = app.me(&tokens.access_token, Method::GET, "", None).await;
        (reply.status == 403).then_some(())
    })
    .await;
    tokens.access_token
}

impl Scene {
    /// What the endpoints for people answer, in an order in which one prepares the next.
    pub(super) fn people_cases(&self) -> Vec<Case> {
        let mut cases = self.login_cases();
        cases.extend(self.token_cases());
        cases.extend(self.account_cases());
        cases.extend(self.user_cases());
        cases
    }

    fn login_cases(&self) -> Vec<Case> {
        let log_in = |client: &TestClient, further: &[(&str, &str)]| {
            let form = TestApp::login_form(&self.people.ada, further);
            self.app.form(client, "/oauth/challenge", &form)
        };
        let phone = &self.people.phone;
        vec![
            ("logIn", 200, log_in(phone, &[])),
            ("logIn", 400, log_in(phone, &[("password", "")])),
            ("logIn", 401, log_in(&nobody(), &[])),
            ("logIn", 413, log_in(phone, &[("pad", &too_long())])),
        ]
    }

    fn token_cases(&self) -> Vec<Case> {
        let revoke = |client: &TestClient, fields: &[(&str, &str)]| {
            self.app.form(client, "/oauth/revoke", fields)
        };
        let introspect = |client: &TestClient, fields: &[(&str, &str)]| {
            self.app.form(client, "/oauth/introspect", fields)
        };
        let (phone, client) = (&self.people.phone, &self.client);
        let (token, pad) = (("token", "unknown"), too_long());
        let pad = ("pad", pad.as_str());
        vec![
            ("revokeToken", 200, revoke(phone, &[token])),
            ("revokeToken", 400, revoke(phone, &[])),
            ("revokeToken", 401, revoke(&nobody(), &[token])),
            ("revokeToken", 413, revoke(phone, &[token, pad])),
            ("introspectToken", 200, introspect(client, &[token])),
            ("introspectToken", 400, introspect(client, &[])),
            ("introspectToken", 401, introspect(phone, &[token])),
            ("introspectToken", 413, introspect(client, &[token, pad])),
        ]
    }

    fn account_cases(&self) -> Vec<Case> {
        let me = |method, path: &str| self.me(method, path);
        let session = |sid: &str| format!("/sessions/{sid}");
        let own = session(&self.people.tokens.sid);
        let (elsewhere, unknown) = (session(&self.people.elsewhere.sid), session(NOBODY));
        let name = json!({ "device": "Kitchen tablet" });
        let too_long = json!({ "device": too_long() });
        let change = json!({
            "current_password": self.people.ada.password,
            "new_password": "eight herons at noon",
        });
        vec![
            ("showMe", 200, me(Method::GET, "")),
            ("listMySessions", 200, me(Method::GET, "/sessions")),
            ("renameMySession", 200, with(me(Method::PATCH, &own), &name)),
            (
                "renameMySession",
                404,
                with(me(Method::PATCH, &unknown), &name),
            ),
            (
                "renameMySession",
                413,
                with(me(Method::PATCH, &own), &too_long),
            ),
            ("endMySession", 204, me(Method::DELETE, &elsewhere)),
            ("endMySession", 404, me(Method::DELETE, &elsewhere)),
            (
                "changeMyPassword",
                413,
                with(me(Method::PUT, "/password"), &too_long),
            ),
            (
                "changeMyPassword",
                204,
                with(me(Method::PUT, "/password"), &change),
            ),
            (
                "endMySessions",
                204,
                me(Method::DELETE, "/sessions?except=current"),
            ),
        ]
    }

    fn user_cases(&self) -> Vec<Case> {
        let new = json!({ "username": "new", "email": "new@example.com" });
        let too_much = json!({ "username": too_long() });
        let mut cases = vec![
            (
                "createUser",
                201,
                with(self.admin(Method::POST, "/users"), &new),
            ),
            (
                "createUser",
                409,
                with(self.admin(Method::POST, "/users"), &new),
            ),
            (
                "createUser",
                413,
                with(self.admin(Method::POST, "/users"), &too_much),
            ),
            ("listUsers", 200, self.admin(Method::GET, "/users?limit=1")),
            (
                "listAuditRecords",
                200,
                self.admin(Method::GET, "/audit?event=user_created&limit=1"),
            ),
            (
                "setUserPassword",
                413,
                with(self.of_user(NOBODY, Method::PUT, "/password"), &too_much),
            ),
        ];
        let sid = &self.people.of_grace.sid;
        let rename = |sid: &str, body: &Value| {
            let request = self.admin(Method::PATCH, &format!("/sessions/{sid}"));
            with(request, body)
        };
        let name = json!({ "device": "Kitchen tablet" });
        let too_long = json!({ "device": too_long() });
        cases.push(("renameUserSession", 200, rename(sid, &name)));
        cases.push(("renameUserSession", 404, rename(NOBODY, &name)));
        cases.push(("renameUserSession", 413, rename(sid, &too_long)));
        for (operation, method, path, status) in [
            ("showUser", Method::GET, "", 200),
            ("listUserSessions", Method::GET, "/sessions", 200),
            ("endUserSession", Method::DELETE, "", 204),
            ("endUserSessions", Method::DELETE, "/sessions", 204),
            ("setUserPassword", Method::PUT, "/password", 204),
            ("disableUser", Method::POST, "/disable", 200),
            ("enableUser", Method::POST, "/enable", 200),
            ("deleteUser", Method::DELETE, "", 204),
        ] {
            let request = |user: &str, sid: &str| match operation {
                "endUserSession" => self.admin(Method::DELETE, &format!("/sessions/{sid}")),
                "setUserPassword" => {
                    let body = json!({ "password": "nine herons at dusk" });
                    with(self.of_user(user, method.clone(), path), &body)
                }
                _ => self.of_user(user, method.clone(), path),
            };
            let known = request(&self.people.grace.id, &self.people.of_grace.sid);
            cases.push((operation, status, known));
            cases.push((operation, 404, request(NOBODY, NOBODY)));
        }
        cases
    }

    /// What whoever guesses passwords is answered.
    pub(super) async fn provoke_waits(&self) -> BTreeSet<Documented> {
        let guess = || {
            let form = TestApp::login_form(&self.people.bob, &[("password", "wrong")]);
            self.app.form(&self.people.phone, "/oauth/challenge", &form)
        };
        let change = || {
            let body = json!({
                "current_password": "wrong",
                "new_password": "eight herons at noon",
            });
            with(self.me(Method::PUT, "/password"), &body)
        };
        let mut refused: BTreeSet<_> =
            [self.until_429(guess).await, self.until_429(change).await].into();
        for path in [
            "/oauth/token",
            "/oauth/revoke",
            "/oauth/introspect",
            "/oauth/par",
        ] {
            // Each from a neighbour of its own, so that the others are not turned away.
            let neighbour = format!("192.0.2.{}", path.len());
            let stranger = || {
                let request = self.app.request(Method::POST, path);
                let form = [("client_id", "nobody")];
                request.header("x-forwarded-for", &neighbour).form(&form)
            };
            refused.insert(self.until_429(stranger).await);
        }
        refused
    }

    async fn until_429(&self, request: impl Fn() -> RequestBuilder) -> Documented {
        let refused = wait::until("further guesses have to wait", || async {
            let reply = self.app.send(request()).await;
            (reply.status == 429).then_some(reply)
        });
        refused.await.documented.unwrap()
    }

    /// What only works with the database, beside the operations with a bearer.
    pub(super) fn outage_cases(&self) -> Vec<Case> {
        let (app, phone) = (&self.app, &self.people.phone);
        let token = [("token", self.people.tokens.refresh_token.as_str())];
        let login = TestApp::login_form(&self.people.ada, &[]);
        vec![
            ("logIn", 503, app.form(phone, "/oauth/challenge", &login)),
            (
                "issueToken",
                503,
                app.refresh_request(phone, token[0].1, &[]),
            ),
            ("revokeToken", 503, app.form(phone, "/oauth/revoke", &token)),
            (
                "introspectToken",
                503,
                app.form(&self.client, "/oauth/introspect", &token),
            ),
        ]
    }

    fn me(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.app.request(method, &format!("/api/me{path}"));
        request.bearer_auth(&self.people.tokens.access_token)
    }

    fn of_user(&self, user: &str, method: Method, path: &str) -> RequestBuilder {
        self.admin(method, &format!("/users/{user}{path}"))
    }
}

fn nobody() -> TestClient {
    TestClient {
        id: "nobody".into(),
        secret: String::new(),
    }
}

on_every_database! {
    async fn a_session_is_documented_from_its_beginning_to_its_end(database) {
        let app = TestApp::start(&database).await;
        let (phone, ada) = (app.phone().await, app.user("ada").await);
        let reader = app
            .client("api", &["--resource-server", "https://api.example.com"])
            .await;
        let code = app.code(&phone, &ada).await;
        let first = Tokens::of(&app.redeem(&phone, &code, VERIFIER).await);
        let known = app.introspect(&reader, &first.access_token).await.json();
        assert_eq!(
            (&known["active"], &known["sub"], &known["sid"]),
            (&json!(true), &json!(ada.id), &json!(first.sid)),
        );
        let second = app.refresh_with_key(&phone, &first.refresh_token, "a").await;
        let again = app.refresh_with_key(&phone, &first.refresh_token, "a").await;
        assert_eq!(again.json()["refresh_token"], second.json()["refresh_token"]);
        let tokens = app.for_account(&phone, &Tokens::of(&second)).await;
        let sessions = app.me(&tokens.access_token, Method::GET, "/sessions", None).await;
        assert_eq!(sessions.json()["sessions"][0]["current"], true, "{}", sessions.text);

        let revoked = app.revoke(&phone, &tokens.refresh_token).await;
        assert_eq!((revoked.status.as_u16(), revoked.text.as_str()), (200, ""));
        let refused = app.refresh(&phone, &tokens.refresh_token, &[]).await;
        assert_eq!(refused.error(), (400, "invalid_grant".into()));
        let known = app.introspect(&reader, &first.access_token).await;
        assert_eq!(known.json(), json!({ "active": false }));
        let query = format!("/audit?sid={}", first.sid);
        let records = app.admin(&app.admin_token().await, Method::GET, &query, None).await.json();
        let records = records["records"].as_array().unwrap();
        let events: Vec<&Value> = records.iter().map(|record| &record["event"]).collect();
        assert_eq!(events, ["refresh_refused", "session_ended", "session_started"]);
    }
}

on_every_database! {
    async fn a_reference_says_only_to_its_api_what_it_stands_for(database) {
        let app = TestApp::start(&database).await;
        let further = ["--first-party", "--access-token-format", "reference"];
        let (site, ada) = (app.app_for_people("site", &further).await, app.user("ada").await);
        let served = ["--resource-server", "https://api.example.com"];
        let (reader, other) = (app.client("api", &served).await, app.client("other", &[]).await);
        let tokens = app.login(&site, &ada).await;
        for token in [&tokens.access_token, &tokens.refresh_token] {
            let known = app.introspect(&site, token).await.json();
            assert_eq!(
                (&known["active"], &known["sub"], &known["sid"]),
                (&json!(true), &json!(ada.id), &json!(tokens.sid)),
            );
            let unknown = app.introspect(&other, token).await.json();
            assert_eq!(unknown, json!({ "active": false }));
        }
        let known = app.introspect(&reader, &tokens.access_token).await.json();
        assert_eq!(known["aud"], "https://api.example.com");
        let own = app.introspect(&reader, &app.access_token(&reader).await).await.json();
        assert_eq!((&own["sub"], own.get("sid")), (&json!("api"), None));
    }
}

on_every_database! {
    async fn a_sign_up_is_refused_in_words_that_oauth_allows(database) {
        let app = TestApp::start_with(&database, &[("TOKENSMITH_SIGNUP", "true")]).await;
        let phone = app.phone().await;
        let new = |name: &str, password: &str| TestUser {
            id: String::new(),
            name: name.into(),
            password: password.into(),
        };
        let ada = new("ada", "seven herons at dawn");
        let create = [("prompt", "create")];
        assert_eq!(app.challenge(&phone, &ada, &create).await.status, 200);
        assert!(!app.login(&phone, &ada).await.sid.is_empty());
        for refused in [
            new("ADA", "seven herons at dusk"),
            new("eve", "short"),
            new("eve", "abcabcabcabc"),
            new("eve\n", "seven herons at dusk"),
        ] {
            let reply = app.challenge(&phone, &refused, &create).await;
            assert_eq!(reply.error(), (400, "invalid_request".into()), "{refused:?}");
        }
    }
}
