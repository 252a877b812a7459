//! What browsers are answered, and what clients do around it.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::{Case, People, Scene, too_long};
use crate::harness::app::TestClient;
use crate::harness::authorize::{AuthorizationRequest, REDIRECT_URI};
use crate::harness::contract::{Contract, Documented, Operation};
use crate::harness::login::{TestUser, VERIFIER, claims};
use crate::harness::person::{Page, Person, Visit};
use crate::harness::{Database, TestApp, wait};

/// Where browsers go after a logout.
const SIGNED_OUT: &str = "http://127.0.0.1/signed-out";
/// A form that ends in the middle of a character.
const UNREADABLE: &str = "a=%";

/// Who comes with a browser.
pub(super) struct Visitors {
    /// Somebody else's app.
    shop: TestClient,
    /// A web site with a secret: what it pushes is kept.
    site: TestClient,
    /// Somebody who does what there is to do.
    walter: TestUser,
    /// The header of a browser in which somebody else is signed in throughout.
    cookies: String,
}

impl Visitors {
    pub(super) async fn set(app: &TestApp, people: &People) -> Self {
        let arguments = ["--public", "--post-logout-redirect-uri", SIGNED_OUT];
        let (vera, mut person) = (app.user("vera").await, Person::new(app));
        let request = AuthorizationRequest::of(&people.phone);
        let page = app.authorize(&mut person, &request).await;
        app.sign_in(&mut person, &page, &vera).await;
        let cookies = person.cookies.iter();
        let cookies = cookies.map(|cookie| format!("{}={}", cookie.name, cookie.value));
        Self {
            shop: app.app_for_people("shop", &arguments).await,
            site: app.app_for_people("site", &[]).await,
            walter: app.user("walter").await,
            cookies: cookies.collect::<Vec<_>>().join("; "),
        }
    }
}

impl Scene {
    /// What a single request is answered.
    pub(super) fn browser_cases(&self) -> Vec<Case> {
        let mut cases = self.page_cases();
        cases.extend(self.form_cases());
        cases.extend(self.client_cases_around_pages());
        cases
    }

    fn page_cases(&self) -> Vec<Case> {
        let get = |path: &str| self.app.request(Method::GET, path);
        let signed_in = |path| self.signed_in(Method::GET, path);
        let asks = AuthorizationRequest::of(&self.people.phone);
        let asks_silently = asks.clone().with("prompt", "none");
        let authorize = |request: &AuthorizationRequest| {
            let url = request.url(&self.app);
            get(url.strip_prefix(&self.app.issuer).unwrap())
        };
        let shop = &self.visitors.shop.id;
        let back = format!("client_id={shop}&post_logout_redirect_uri={SIGNED_OUT}");
        let back = get(&format!("/oauth/logout?{back}"));
        vec![
            ("authorize", 200, authorize(&asks)),
            ("authorize", 303, authorize(&asks_silently)),
            ("authorize", 400, get("/oauth/authorize")),
            ("endSession", 200, get("/oauth/logout")),
            ("endSession", 303, back),
            ("endSession", 400, get("/oauth/logout?id_token_hint=none")),
            ("showLogin", 200, get("/login")),
            ("showLogin", 303, signed_in("/login")),
            ("showLogin", 400, get("/login?request=none")),
            ("showSignUp", 200, get("/signup")),
            ("showSignUp", 400, get("/signup?request=none")),
            ("showConsent", 200, get("/consent")),
            ("showConsent", 303, signed_in("/consent")),
            ("showConsent", 400, get("/consent?request=none")),
            ("showAccount", 200, signed_in("/account?done=profile")),
            ("showAccount", 303, get("/account")),
            ("showDevices", 200, signed_in("/account/devices")),
            ("showDevices", 303, get("/account/devices")),
            ("showLogout", 200, signed_in("/logout")),
            ("visitProfile", 303, get("/account/profile")),
            ("visitPassword", 303, get("/account/password")),
            ("visitConsents", 303, get("/account/consents")),
            ("readPageStyle", 200, get("/pages.css")),
            ("readFormPostScript", 200, get("/form-post.js")),
            ("readAccountScript", 200, get("/account.js")),
            ("readLogo", 200, get("/logo")),
        ]
    }

    /// What every form is answered that is not as it should be, and what forms are that lead on.
    fn form_cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for operation in for_browsers().filter(|operation| operation.method == Method::POST) {
            let post = |body: String| form(self.signed_in(Method::POST, operation.path), body);
            let too_large = post(format!("pad={}", too_long()));
            cases.push((operation.id, 413, too_large));
            cases.push((operation.id, 400, post(UNREADABLE.to_owned())));
            if operation.definition["responses"].get("403").is_some() {
                let elsewhere = post("a=b".into()).header("sec-fetch-site", "cross-site");
                cases.push((operation.id, 403, elsewhere));
            }
        }
        let asks = AuthorizationRequest::of(&self.people.phone);
        let post = |path| self.app.request(Method::POST, path);
        let begins = post("/oauth/authorize").form(&asks.parameters);
        let too_much = asks.with("response_mode", "form_post");
        let too_much = too_much.with("state", &"s".repeat(4_096));
        let begins_in_vain = post("/oauth/authorize").form(&too_much.parameters);
        let ends = post("/oauth/logout").form(&[("client_id", &self.visitors.shop.id)]);
        cases.push(("authorizeByForm", 200, begins_in_vain));
        cases.push(("authorizeByForm", 303, begins));
        cases.push(("endSessionByForm", 303, ends));
        cases
    }

    fn client_cases_around_pages(&self) -> Vec<Case> {
        let phone = &self.people.phone;
        let asks = AuthorizationRequest::of(phone).without("client_id");
        let asks_in_vain = asks.clone().without("redirect_uri");
        let asks_for_much = asks.clone().with("pad", &too_long());
        let stranger = TestClient {
            id: "nobody".into(),
            secret: String::new(),
        };
        let push = |client, request: &AuthorizationRequest| self.push(client, request);
        let userinfo = |method| self.app.request(method, "/oauth/userinfo");
        let token = &self.people.for_an_api;
        let form = [("access_token", token)];
        vec![
            ("pushRequest", 201, push(phone, &asks)),
            ("pushRequest", 400, push(phone, &asks_in_vain)),
            ("pushRequest", 401, push(&stranger, &asks)),
            ("pushRequest", 413, push(phone, &asks_for_much)),
            (
                "readUserinfo",
                200,
                userinfo(Method::GET).bearer_auth(token),
            ),
            (
                "readUserinfoByForm",
                200,
                userinfo(Method::POST).form(&form),
            ),
        ]
    }

    /// What takes more than one step.
    pub(super) async fn provoke_pages(&self, database: &Database) -> BTreeSet<Documented> {
        let mut pages = self.log_in().await;
        pages.extend(self.agree().await);
        pages.extend(self.sign_up().await);
        pages.extend(self.look_after_the_account().await);
        pages.extend(self.log_out().await);
        let mut provoked: BTreeSet<_> = pages.into_iter().map(documented).collect();
        let closed = TestApp::start(database).await;
        let refused = closed.get("/signup").await;
        provoked.extend(refused.documented);
        provoked
    }

    async fn log_in(&self) -> Vec<Page> {
        let mut person = Person::new(&self.app);
        let page = person.get("/login").await;
        let done = self.enter(&mut person, &page).await;
        let mut stranger = Person::new(&self.app);
        let by_form =
            AuthorizationRequest::of(&self.people.phone).with("response_mode", "form_post");
        let page = self.app.authorize(&mut stranger, &by_form).await;
        let guess = [("username", "no-such-person"), ("password", "a guess")];
        let mut wrong = stranger.submit(&page, "submit", &guess).await;
        let first = wrong.clone();
        while wrong.status == 400 {
            wrong = stranger.submit(&page, "submit", &guess).await;
        }
        let done_by_form = self.enter(&mut stranger, &page).await;
        vec![done, first, wrong, done_by_form]
    }

    async fn agree(&self) -> Vec<Page> {
        let mut person = self.signed_in_person().await;
        let asks = AuthorizationRequest::of(&self.visitors.shop);
        let by_form = asks.clone().with("response_mode", "form_post");
        let mut pages = Vec::new();
        for request in [asks, by_form] {
            let page = self.app.authorize(&mut person, &request).await;
            pages.push(person.submit(&page, "allow", &[]).await);
        }
        pages
    }

    async fn sign_up(&self) -> Vec<Page> {
        let asks = AuthorizationRequest::of(&self.people.phone).with("prompt", "create");
        let by_form = asks.clone().with("response_mode", "form_post");
        let mut pages = Vec::new();
        for (name, request) in [("wendy", &asks), ("winston", &by_form), ("wendy", &asks)] {
            let mut person = Person::new(&self.app);
            let page = self.app.authorize(&mut person, request).await;
            let filled = [("username", name), ("password", "three otters in a canoe")];
            pages.push(person.submit(&page, "submit", &filled).await);
        }
        let mut person = Person::new(&self.app);
        let page = self.app.authorize(&mut person, &asks).await;
        let (form, _) = page.form_with("submit");
        let fields: Vec<_> = form
            .fields
            .into_iter()
            .map(|(name, value)| match name.as_str() {
                "username" | "password" => (name, "short".to_owned()),
                _ => (name, value),
            })
            .collect();
        let send = Visit::post("/signup", &fields).header("x-forwarded-for", "192.0.2.7");
        let mut refused = person.send(send.clone()).await;
        while refused.status == 400 {
            refused = person.send(send.clone()).await;
        }
        pages.push(refused);
        pages
    }

    async fn look_after_the_account(&self) -> Vec<Page> {
        let mut person = self.signed_in_person().await;
        let account = person.get("/account").await;
        let csrf = csrf(&account);
        let shop = self.visitors.shop.id.as_str();
        let post = async |person: &mut Person, path: &str, field: (&str, &str)| {
            person
                .post_form(path, &[("csrf", csrf.as_str()), field])
                .await
        };
        let name = [("name", "Walter")];
        let change = [
            ("current_password", self.visitors.walter.password.as_str()),
            ("new_password", "eight herons at noon"),
        ];
        let mut pages = vec![
            person.submit(&account, "save-profile", &name).await,
            post(&mut person, "/account/consents", ("client_id", shop)).await,
            post(&mut person, "/account/devices", ("end", "others")).await,
            person.submit(&account, "change-password", &change).await,
        ];
        let mut wrong = person.submit(&account, "change-password", &change).await;
        while wrong.status == 400 {
            wrong = person.submit(&account, "change-password", &change).await;
        }
        pages.push(wrong);
        let back = ("current_password", "eight herons at noon");
        let password = self.visitors.walter.password.as_str();
        // As it was, once the wait is over.
        wait::until("the password is as it was", || async {
            let mut person = Person::new(&self.app);
            let page = person.get("/login").await;
            let filled = [("username", "walter"), ("password", back.1)];
            let done = person.submit(&page, "submit", &filled).await;
            if done.status != 303 {
                return None;
            }
            let account = person.get("/account").await;
            let change = [back, ("new_password", password)];
            let done = person.submit(&account, "change-password", &change).await;
            (done.status == 303).then_some(())
        })
        .await;
        pages
    }

    async fn log_out(&self) -> Vec<Page> {
        let mut person = self.signed_in_person().await;
        let in_another_tab = person.get("/logout").await;
        let account = person.get("/account").await;
        let done = person.submit(&account, "logout", &[]).await;
        vec![done, person.submit(&in_another_tab, "logout", &[]).await]
    }

    /// What is answered while the database is away, to whoever says to be signed in.
    pub(super) fn browser_outage_cases(&self) -> Vec<Case> {
        let site = &self.visitors.site;
        let asks = AuthorizationRequest::of(site).without("client_id");
        let mut cases = vec![("pushRequest", 503, self.push(site, &asks))];
        cases.extend(for_browsers().map(|operation| {
            let request = self.signed_in(operation.method.clone(), operation.path);
            let request = match operation.method {
                Method::POST => form(request, "a=b".into()),
                _ => request,
            };
            (operation.id, 503, request)
        }));
        cases
    }

    fn push(&self, client: &TestClient, request: &AuthorizationRequest) -> RequestBuilder {
        let fields = request.parameters.iter();
        let fields = fields.map(|(name, value)| (name.as_str(), value.as_str()));
        self.app
            .form(client, "/oauth/par", &fields.collect::<Vec<_>>())
    }

    fn signed_in(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.app.request(method, path);
        request.header("cookie", &self.visitors.cookies)
    }

    async fn signed_in_person(&self) -> Person {
        let mut person = Person::new(&self.app);
        let page = person.get("/login").await;
        let done = self.enter(&mut person, &page).await;
        assert_eq!(done.status, 303, "{}", done.text);
        person
    }

    async fn enter(&self, person: &mut Person, page: &Page) -> Page {
        self.app.sign_in(person, page, &self.visitors.walter).await
    }
}

/// What people visit, and what their browsers send: whatever answers a page when the database is away.
fn for_browsers() -> impl Iterator<Item = Operation<'static>> {
    let contract = Contract::committed();
    contract.operations().filter(move |operation| {
        let outage = contract.resolve(&operation.definition["responses"]["503"]);
        outage["content"].get("text/html").is_some()
    })
}

fn form(request: RequestBuilder, body: String) -> RequestBuilder {
    let content_type = "application/x-www-form-urlencoded";
    request.header("content-type", content_type).body(body)
}

fn csrf(account: &Page) -> String {
    let (form, _) = account.form_with("save-profile");
    let mut fields = form.fields.into_iter();
    fields.find(|(name, _)| name == "csrf").unwrap().1
}

fn documented(page: Page) -> Documented {
    page.documented.unwrap()
}

#[tokio::test]
async fn the_claims_of_an_id_token_and_of_userinfo_are_the_documented_ones() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let mut arguments = vec!["--grant", "authorization_code", "--public", "--first-party"];
    arguments.extend(["--scope", "openid profile", "--redirect-uri", REDIRECT_URI]);
    let (shop, ada) = (
        app.register("shop", &arguments).await,
        app.user("ada").await,
    );
    let names = r#"{"id_token":{"preferred_username":null}}"#;
    let further = [("scope", "openid profile"), ("claims", names)];
    let mut person = Person::new(&app);
    let callback = app
        .code_in_browser(&mut person, &shop, &ada, &further)
        .await;
    // Every answer is held against the contract as it is read.
    let tokens = app.redeem(&shop, callback.code(), VERIFIER).await.json();
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    let of_the_id_token = claims(&text("id_token"));
    let schema = json!({ "$ref": "#/components/schemas/IdTokenClaims" });
    let contract = Contract::committed();
    contract.check_value(&schema, &of_the_id_token).unwrap();
    assert_eq!(of_the_id_token["preferred_username"], "ada");
    let request = app.request(Method::GET, "/oauth/userinfo");
    let told = app.send(request.bearer_auth(text("access_token"))).await;
    let expected = json!({ "sub": ada.id, "preferred_username": "ada" });
    assert_eq!(told.json(), expected);
}

#[tokio::test]
async fn scripts_of_any_site_may_call_what_acts_without_cookies_and_nothing_else() {
    let database = Database::sqlite();
    let app = TestApp::start(&database).await;
    let origin = |request: RequestBuilder| request.header("origin", "https://app.example.com");
    for path in [
        "/oauth/token",
        "/oauth/revoke",
        "/oauth/par",
        "/oauth/userinfo",
    ] {
        let asked = app.send(origin(app.request(Method::OPTIONS, path))).await;
        assert_eq!(asked.status, 204, "{path}");
        assert_eq!(asked.header("access-control-allow-origin"), "*", "{path}");
        let methods = asked.header("access-control-allow-methods");
        assert!(methods.contains("POST"), "{path}: {methods}");
        let headers = asked.header("access-control-allow-headers");
        assert!(headers.contains("Authorization"), "{path}: {headers}");
        // The script has to be able to read what is wrong.
        let refused = app.send(origin(app.request(Method::POST, path))).await;
        assert!(refused.status.is_client_error(), "{path}");
        assert_eq!(refused.header("access-control-allow-origin"), "*", "{path}");
        let exposed = refused.header("access-control-expose-headers");
        assert!(exposed.contains("Revocation-Seq"), "{path}: {exposed}");
    }
    for path in ["/oauth/authorize", "/oauth/challenge", "/login", "/account"] {
        let asked = app.send(origin(app.request(Method::OPTIONS, path))).await;
        assert_eq!(asked.status, 405, "{path}");
        let reply = app.send(origin(app.request(Method::POST, path))).await;
        assert_eq!(reply.header("access-control-allow-origin"), "", "{path}");
    }
}
