//! People sign in with a real browser. What every walk here holds besides what its name says: nothing
//! on the console, so no violation of the Content-Security-Policy; and every page that is looked at
//! can be read and used in light and dark, on a desk, on a phone and at 320 pixels.

mod account;
mod consent;
mod devices;
mod languages;
mod login;
mod sign_out;
mod sign_up;
mod stale_pages;
mod way_back;

use crate::harness::app::TestClient;
use crate::harness::authorize::AuthorizationRequest;
use crate::harness::browser::TestBrowser;
use crate::harness::client_site::{Arrival, ClientSite, document};
use crate::harness::login::TestUser;
use crate::harness::{Database, TestApp};

/// The service, the web site of apps, and Ada, who has an account.
struct Scene {
    app: TestApp,
    site: ClientSite,
    ada: TestUser,
    _database: Database,
}

impl Scene {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With further variables of the service.
    async fn with(variables: &[(&str, &str)]) -> Self {
        let database = Database::sqlite();
        let app = TestApp::start_with(&database, variables).await;
        Self {
            ada: app.user("ada").await,
            site: ClientSite::start(),
            app,
            _database: database,
        }
    }

    /// The issuer's own app.
    async fn own_app(&self) -> TestClient {
        let arguments = ["--public", "--first-party", "--name", "Larder"];
        self.app.app_for_people("larder", &arguments).await
    }

    /// Somebody else's app, with a logo.
    async fn foreign_app(&self) -> TestClient {
        let logo = self.site.logo();
        let arguments = ["--name", "Recipe Box", "--logo-uri", &logo];
        self.app.app_for_people("recipes", &arguments).await
    }

    /// What an app sends the browser with, to have it back at its site.
    fn request(&self, client: &TestClient) -> AuthorizationRequest {
        AuthorizationRequest::of(client).with("redirect_uri", &self.site.callback())
    }

    /// Clicks "Sign in" at an app, which is on a site of its own.
    async fn arrive(&self, browser: &TestBrowser, request: &AuthorizationRequest) {
        self.follow(browser, &request.url(&self.app)).await;
    }

    /// Follows a link on a page of an app.
    async fn follow(&self, browser: &TestBrowser, url: &str) {
        let link = format!(
            r#"<a id="go" href="{}">Go on</a>"#,
            url.replace('&', "&amp;")
        );
        self.site.show("/", &document("The app", &link));
        browser.goto(&self.site.foreign_address).await;
        browser.click("go").await;
    }

    /// Fills the login page in as Ada.
    async fn sign_in(&self, browser: &TestBrowser) {
        browser.type_into("username", &self.ada.name).await;
        browser.type_into("password", &self.ada.password).await;
        browser.click("submit").await;
    }

    /// Opens a page of the service.
    async fn open(&self, browser: &TestBrowser, path: &str) {
        browser.goto(&format!("{}{path}", self.app.issuer)).await;
    }

    /// Opens Ada's account, signing in.
    async fn open_account(&self, browser: &TestBrowser) {
        self.open(browser, "/account").await;
        self.sign_in(browser).await;
        assert_eq!(browser.text_of("profile-title").await, "Profile");
    }

    /// The browser is back at the app with a code.
    async fn arrived_with_code(&self, browser: &TestBrowser) -> Arrival {
        browser.text_of("arrived").await;
        let arrival = self.site.arrival().await;
        assert!(arrival.callback.code.is_some(), "{arrival:?}");
        assert_eq!(arrival.path, "/callback");
        arrival
    }
}
