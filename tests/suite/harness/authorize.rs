//! The authorization code flow through the hosted pages.

use url::Url;

use super::TestApp;
use super::app::TestClient;
use super::login::{TestUser, VERIFIER, s256};
use super::person::{Page, Person};

/// The redirect URI of the harness' apps (RFC 8252 §7.3: any port).
pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1/callback";

/// More pages than a login shows, redirects included.
const PAGES: usize = 10;

/// What an app sends the browser to the service with.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationRequest {
    pub(crate) parameters: Vec<(String, String)>,
}

/// What a browser brings back to the app.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Callback {
    pub(crate) code: Option<String>,
    pub(crate) state: Option<String>,
    /// RFC 9207.
    pub(crate) iss: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) error_description: Option<String>,
    /// All of them, as they came.
    pub(crate) parameters: Vec<(String, String)>,
}

impl AuthorizationRequest {
    /// A complete request of a client, whose code [`VERIFIER`] redeems.
    pub(crate) fn of(client: &TestClient) -> Self {
        let challenge = s256(VERIFIER);
        let own = [
            ("response_type", "code"),
            ("client_id", client.id.as_str()),
            ("redirect_uri", REDIRECT_URI),
            ("scope", "openid offline_access orders:read"),
            ("state", "af0ifjsldkj"),
            ("nonce", "n-0S6_WzA2Mj"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            parameters: own.into(),
        }
    }

    /// With a parameter, in place of one of the same name.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.without(name).with_another(name, value)
    }

    /// With parameters, in place of those of the same names.
    pub(crate) fn with_all(self, parameters: &[(&str, &str)]) -> Self {
        let parameters = parameters.iter();
        parameters.fold(self, |request, (name, value)| request.with(name, value))
    }

    /// Without a parameter.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.parameters.retain(|(known, _)| known != name);
        self
    }

    /// With a parameter beside one of the same name.
    pub(crate) fn with_another(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of a parameter; empty when it is not there.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        value_of(&self.parameters, name).unwrap_or_default()
    }

    /// The address that the app sends the browser to.
    pub(crate) fn url(&self, app: &TestApp) -> String {
        let mut url: Url = format!("{}/oauth/authorize", app.issuer).parse().unwrap();
        url.query_pairs_mut().extend_pairs(&self.parameters);
        url.into()
    }
}

impl Callback {
    /// Of the parameters, from the query or from a form.
    pub(crate) fn of(parameters: Vec<(String, String)>) -> Self {
        let value = |name| value_of(&parameters, name).map(str::to_owned);
        Self {
            code: value("code"),
            state: value("state"),
            iss: value("iss"),
            error: value("error"),
            error_description: value("error_description"),
            parameters,
        }
    }

    /// What a page sends the browser back to the app with, by redirect or by form
    /// (`response_mode=form_post`); `None` when it does not.
    pub(crate) fn from_page(page: &Page, redirect_uri: &str) -> Option<Self> {
        if let Some(location) = page.location() {
            let rest = location.as_str().strip_prefix(redirect_uri)?;
            let is_query = rest.is_empty() || rest.starts_with(['?', '&']);
            let pairs = location.query_pairs().into_owned();
            return is_query.then(|| Self::of(pairs.collect()));
        }
        let mut forms = page.forms().into_iter();
        let form = forms.find(|form| form.action == redirect_uri)?;
        Some(Self::of(form.fields))
    }

    /// The code.
    ///
    /// # Panics
    /// When an error came in its place.
    pub(crate) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_else(|| panic!("{self:?}"))
    }
}

impl TestApp {
    /// `GET /oauth/authorize`, to where the app, on a site of its own, sends the browser.
    pub(crate) async fn authorize(
        &self,
        person: &mut Person,
        request: &AuthorizationRequest,
    ) -> Page {
        person.cross_site_get(&request.url(self)).await
    }

    /// Fills the login page in.
    pub(crate) async fn sign_in(&self, person: &mut Person, page: &Page, user: &TestUser) -> Page {
        let is_ours = page.url.as_str().starts_with(&self.issuer);
        assert!(is_ours, "passwords are for the service: {}", page.url);
        let filled = [("username", &*user.name), ("password", &*user.password)];
        person.submit(page, "submit", &filled).await
    }

    /// The whole way from the app through login and consent, where they are asked for, and back.
    /// `further` replaces parameters of the request.
    ///
    /// # Panics
    /// When a page is neither login nor consent, with what it says.
    pub(crate) async fn code_in_browser(
        &self,
        person: &mut Person,
        client: &TestClient,
        user: &TestUser,
        further: &[(&str, &str)],
    ) -> Callback {
        let request = AuthorizationRequest::of(client).with_all(further);
        self.callback_in_browser(person, user, &request).await
    }

    /// As [`Self::code_in_browser`], for any request.
    pub(crate) async fn callback_in_browser(
        &self,
        person: &mut Person,
        user: &TestUser,
        request: &AuthorizationRequest,
    ) -> Callback {
        let page = self.authorize(person, request).await;
        let redirect_uri = request.parameter("redirect_uri");
        self.go_through(person, user, page, redirect_uri).await
    }

    /// As [`Self::code_in_browser`], from the page on that a request has led to.
    pub(crate) async fn go_through(
        &self,
        person: &mut Person,
        user: &TestUser,
        mut page: Page,
        redirect_uri: &str,
    ) -> Callback {
        for _ in 0..PAGES {
            if let Some(callback) = Callback::from_page(&page, redirect_uri) {
                return callback;
            }
            page = if let Some(location) = page.location() {
                person.follow(location.as_str()).await
            } else if page.has_id("allow") {
                person.submit(&page, "allow", &[]).await
            } else if page.has_id("submit") && !page.has_id("error") {
                self.sign_in(person, &page, user).await
            } else {
                panic!("{} {}:\n{}", page.url, page.status, page.text)
            };
        }
        panic!("round in circles, last to {}", page.url)
    }
}

fn value_of<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut parameters = parameters.iter();
    let found = parameters.find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}
