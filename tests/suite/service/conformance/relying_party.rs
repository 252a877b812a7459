//! What the suite is to the server: a client that somebody else has registered, and a person with a
//! browser.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::harness::app::TestClient;
use crate::harness::authorize::{AuthorizationRequest, Callback, REDIRECT_URI};
use crate::harness::command::run_with_input;
use crate::harness::login::TestUser;
use crate::harness::person::{Page, Person};
use crate::harness::{Database, TestApp, now};

/// Every scope that the suite asks for.
pub(super) const SCOPE: &str = "openid profile email address phone offline_access";

/// Where the browser goes after a logout.
pub(super) const LOGGED_OUT: &str = "http://127.0.0.1/logged-out";

/// A client with all that the suite's modules take for granted, at a server of its own.
pub(super) struct RelyingParty {
    pub(super) app: TestApp,
    pub(super) client: TestClient,
    pub(super) ada: TestUser,
    pub(super) person: Person,
    pub(super) database: Database,
}

/// What the token endpoint has answered, with the claims of an ID token that has passed every check.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) access_token: String,
    pub(super) refresh_token: String,
    pub(super) id_token: String,
    pub(super) claims: Value,
}

/// An answer as any client reads it, our contract or not.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) challenge: String,
    pub(super) text: String,
}

impl RelyingParty {
    /// On a database of its own, with `client_secret_basic`.
    pub(super) async fn start() -> Self {
        Self::start_with(Database::sqlite(), &[], &[]).await
    }

    /// The same with settings, and with further arguments of the registration.
    pub(super) async fn start_with(
        database: Database,
        settings: &[(&str, &str)],
        registration: &[&str],
    ) -> Self {
        let app = TestApp::start_with(&database, settings).await;
        let client = register(&app, "suite", registration).await;
        Self {
            ada: ada(&app).await,
            person: Person::new(&app),
            app,
            client,
            database,
        }
    }

    /// The suite's plain request: without PKCE, which Basic OP does not know.
    pub(super) fn request(&self) -> AuthorizationRequest {
        request_of(&self.client)
    }

    /// Sends the browser to the server, where ada does what it asks for, and back.
    pub(super) async fn callback(&mut self, request: &AuthorizationRequest) -> Callback {
        let app = &self.app;
        app.callback_in_browser(&mut self.person, &self.ada, request)
            .await
    }

    /// The first page that ada sees, or the redirect to the client.
    pub(super) async fn first_page(&mut self, request: &AuthorizationRequest) -> Page {
        let page = self.app.authorize(&mut self.person, request).await;
        match page.location() {
            Some(within) if within.as_str().starts_with(&self.app.issuer) => {
                self.person.follow(within.as_str()).await
            }
            _ => page,
        }
    }

    /// From a page on to the end.
    pub(super) async fn go_on(&mut self, request: &AuthorizationRequest, page: Page) -> Granted {
        let (app, person) = (&self.app, &mut self.person);
        let redirect_uri = request.parameter("redirect_uri");
        let callback = app.go_through(person, &self.ada, page, redirect_uri).await;
        self.exchange(request, &callback).await
    }

    /// The whole flow.
    pub(super) async fn log_in(&mut self, request: &AuthorizationRequest) -> Granted {
        let callback = self.callback(request).await;
        self.exchange(request, &callback).await
    }

    /// Checks the answer of the authorization endpoint and exchanges the code.
    pub(super) async fn exchange(
        &self,
        request: &AuthorizationRequest,
        callback: &Callback,
    ) -> Granted {
        assert_eq!(
            callback.state.as_deref().unwrap_or_default(),
            request.parameter("state")
        );
        assert_eq!(callback.iss.as_ref(), Some(&self.app.issuer));
        let redemption = self.redemption(callback.code(), &[]);
        let answer = Answer::to(redemption).await;
        self.granted(request, &answer).await
    }

    /// The token request for a code.
    pub(super) fn redemption(&self, code: &str, further: &[(&str, &str)]) -> RequestBuilder {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
        ];
        form.extend(further);
        self.app.form(&self.client, "/oauth/token", &form)
    }

    /// What the suite checks about every answer of the token endpoint.
    pub(super) async fn granted(&self, request: &AuthorizationRequest, answer: &Answer) -> Granted {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(
            answer.content_type.starts_with("application/json"),
            "{answer:?}"
        );
        let body = answer.json();
        assert_eq!(body["token_type"], "Bearer");
        assert!(body["expires_in"].as_u64().is_some_and(|it| it > 0));
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let granted = Granted {
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
            claims: self.verified(&text("id_token")).await,
            id_token: text("id_token"),
        };
        let claims = &granted.claims;
        let nonce = request.parameter("nonce");
        assert_eq!(claims["nonce"].as_str().unwrap_or_default(), nonce);
        assert_eq!(claims["at_hash"], left_half_hash(&granted.access_token));
        granted
    }

    /// The claims of an ID token after every check of `OpenID` Connect Core §3.1.3.7.
    pub(super) async fn verified(&self, id_token: &str) -> Value {
        let keys = self.get("/.well-known/jwks.json").await;
        let keys: JwkSet = serde_json::from_str(&keys.text).unwrap();
        let header = jsonwebtoken::decode_header(id_token).unwrap();
        assert_eq!(header.alg, Algorithm::RS256);
        let key = keys.find(header.kid.as_deref().unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[&self.app.issuer]);
        validation.set_audience(&[&self.client.id]);
        validation.set_required_spec_claims(&["iss", "sub", "aud", "exp", "iat"]);
        let key = DecodingKey::from_jwk(key).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a verifier other than ours")]
        let claims: Value = jsonwebtoken::decode(id_token, &key, &validation)
            .unwrap()
            .claims;
        assert_eq!(claims["sub"], self.ada.id.as_str());
        assert_eq!(claims["aud"], self.client.id.as_str(), "nobody else");
        let at = |name: &str| claims[name].as_i64().unwrap();
        assert!((now() - at("iat")).abs() < 60);
        assert!(at("auth_time") <= at("iat") && at("iat") < at("exp"));
        claims
    }

    /// `GET` a path.
    pub(super) async fn get(&self, path: &str) -> Answer {
        Answer::to(self.app.request(Method::GET, path)).await
    }

    /// What userinfo tells to an access token.
    pub(super) async fn userinfo(&self, access_token: &str) -> Answer {
        let request = self.app.request(Method::GET, "/oauth/userinfo");
        Answer::to(request.bearer_auth(access_token)).await
    }

    /// The address of the end session endpoint.
    pub(super) fn end_session(&self, parameters: &[(&str, &str)]) -> String {
        let url = format!("{}/oauth/logout", self.app.issuer);
        let mut url: url::Url = url.parse().unwrap();
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        url.into()
    }

    /// Whether the browser is signed in, as any client can find out.
    pub(super) async fn is_signed_in(&mut self) -> bool {
        let silent = self.request().with("prompt", "none");
        let page = self.app.authorize(&mut self.person, &silent).await;
        let callback = Callback::from_page(&page, REDIRECT_URI).unwrap();
        match callback.error.as_deref() {
            None => true,
            Some("login_required") => false,
            Some(other) => panic!("{other}"),
        }
    }
}

/// A request of a client for `openid`, with state and nonce and nothing else.
pub(super) fn request_of(client: &TestClient) -> AuthorizationRequest {
    AuthorizationRequest::of(client)
        .without("code_challenge")
        .without("code_challenge_method")
        .with("scope", "openid")
}

/// A client of somebody else that need not use PKCE.
pub(super) async fn register(app: &TestApp, id: &str, further: &[&str]) -> TestClient {
    let mut arguments = vec!["--grant", "authorization_code", "--grant", "refresh_token"];
    arguments.extend(["--scope", SCOPE, "--redirect-uri", REDIRECT_URI]);
    arguments.extend(["--post-logout-redirect-uri", LOGGED_OUT]);
    arguments.extend(["--pkce", "optional"]);
    arguments.extend(further);
    app.register(id, &arguments).await
}

/// An account about which everything is known that a scope covers.
async fn ada(app: &TestApp) -> TestUser {
    let password = "seven herons at dawn";
    let mut command = app.command(&[
        "user",
        "create",
        "--username",
        "ada",
        "--email",
        "ada@example.com",
        "--email-verified",
        "--name",
        "Ada Lovelace",
        "--phone",
        "+442079460000",
        "--address",
        "12 St James's Square\nLondon",
        "--password-stdin",
        "--json",
    ]);
    let created = tokio::task::spawn_blocking(move || run_with_input(&mut command, password));
    let created = created.await.unwrap().json();
    TestUser {
        id: created["user_id"].as_str().unwrap().to_owned(),
        name: "ada".to_owned(),
        password: password.to_owned(),
    }
}

impl Answer {
    /// To a request.
    pub(super) async fn to(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let header = |name: &str| {
            let value = response.headers().get(name);
            value.map_or("", |value| value.to_str().unwrap()).to_owned()
        };
        Self {
            status: response.status().as_u16(),
            content_type: header("content-type"),
            challenge: header("www-authenticate"),
            text: response.text().await.unwrap(),
        }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// Status and `error`.
    pub(super) fn error(&self) -> (u16, String) {
        let error = self.json()["error"].as_str().unwrap_or_default().to_owned();
        (self.status, error)
    }
}

/// `at_hash` (`OpenID` Connect Core §3.1.3.6).
fn left_half_hash(access_token: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16])
}
