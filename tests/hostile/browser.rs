//! What an attacker tries where people log in in a browser. A test is named after the attack of
//! `docs/attacks.md` that it tries.

mod codes;
mod cookies;
mod logout;
mod markup;
mod pages;
mod pollution;
mod pushed;
mod redirects;
mod strangers;
mod tokens;

use reqwest::StatusCode;

use crate::harness::app::{Reply, TestClient};
use crate::harness::authorize::{AuthorizationRequest, Callback, REDIRECT_URI};
use crate::harness::login::{TestUser, VERIFIER};
use crate::harness::person::{Page, Person};
use crate::harness::{Database, TestApp};

/// The scopes of [`Scene::shop`] that need no consent and end with the login.
const BRIEF: (&str, &str) = ("scope", "openid orders:read");

/// The service, an app of its own with a secret, and Ada, who has an account.
struct Scene {
    app: TestApp,
    /// Confidential and first-party: nobody is asked for consent.
    shop: TestClient,
    ada: TestUser,
    database: Database,
}

impl Scene {
    async fn new() -> Self {
        Self::on(Database::sqlite(), &[]).await
    }

    /// With further variables of the service.
    async fn with(variables: &[(&str, &str)]) -> Self {
        Self::on(Database::sqlite(), variables).await
    }

    async fn on(database: Database, variables: &[(&str, &str)]) -> Self {
        let app = TestApp::start_with(&database, variables).await;
        Self {
            shop: app.app_for_people("shop", &["--first-party"]).await,
            ada: app.user("ada").await,
            app,
            database,
        }
    }

    /// A complete request of the shop.
    fn request(&self) -> AuthorizationRequest {
        AuthorizationRequest::of(&self.shop)
    }

    /// A browser in which a person is signed in.
    async fn browser_of(&self, user: &TestUser) -> Person {
        let mut person = Person::new(&self.app);
        let page = person.get("/login").await;
        let page = self.app.sign_in(&mut person, &page, user).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        assert!(is_signed_in(&mut person).await);
        person
    }

    /// What a request leads to for somebody who need not be asked anything.
    async fn answer(&self, person: &mut Person, request: &AuthorizationRequest) -> Callback {
        let page = self.app.authorize(person, request).await;
        callback(&page, request)
    }

    /// A code for the shop, with parameters in place of its own.
    async fn code(&self, person: &mut Person, further: &[(&str, &str)]) -> String {
        let request = self.request().with_all(further);
        self.answer(person, &request).await.code().to_owned()
    }

    /// Redeems a code with further parameters; an empty value counts as left out.
    async fn redeem(&self, client: &TestClient, code: &str, further: &[(&str, &str)]) -> Reply {
        let mut form = vec![("grant_type", "authorization_code"), ("code", code)];
        if !further.iter().any(|(name, _)| *name == "code_verifier") {
            form.push(("code_verifier", VERIFIER));
        }
        form.extend(further);
        self.app.token(client, &form).await
    }

    /// The shop's tokens for a person who is signed in, as the token endpoint has answered.
    async fn tokens(&self, person: &mut Person, further: &[(&str, &str)]) -> serde_json::Value {
        let code = self.code(person, further).await;
        let reply = self.redeem(&self.shop, &code, &[]).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()
    }
}

/// What the page brings back to the app.
fn callback(page: &Page, request: &AuthorizationRequest) -> Callback {
    let callback = Callback::from_page(page, request.parameter("redirect_uri"));
    callback.unwrap_or_else(|| panic!("not answered: {} {}", page.status, page.text))
}

async fn is_signed_in(person: &mut Person) -> bool {
    person.get("/account").await.status == StatusCode::OK
}

/// Only the person is told, and nobody gets the browser.
fn assert_shown(page: &Page, what: &str) {
    assert_eq!(
        page.status,
        StatusCode::BAD_REQUEST,
        "{what}: {}",
        page.text
    );
    assert!(page.has_id("error"), "{what}: {}", page.text);
    assert_eq!(page.header("location"), "", "{what}");
    assert_eq!(page.header("refresh"), "", "{what}");
}

fn refused(code: &str) -> (u16, String) {
    (400, code.to_owned())
}
