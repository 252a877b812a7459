//! People who log in, and what an app does for them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::app::{Reply, TestApp, TestClient};
use super::command::run_with_input;

/// The PKCE verifier of every login here (RFC 7636 appendix B).
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A person with an account.
#[derive(Clone, Debug)]
pub(crate) struct TestUser {
    pub(crate) id: String,
    /// The username.
    pub(crate) name: String,
    pub(crate) password: String,
}

/// What an app has after a login or a refresh.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    /// Empty for a client without the grant.
    pub(crate) refresh_token: String,
    pub(crate) sid: String,
}

/// The `code_challenge` of a verifier (RFC 7636 §4.2).
pub(crate) fn s256(verifier: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
    URL_SAFE_NO_PAD.encode(digest)
}

/// The claims of a JWT, unverified.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    let payload = URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

impl Tokens {
    /// The tokens in an answer of the token endpoint.
    pub(crate) fn of(reply: &Reply) -> Self {
        assert_eq!(reply.status, 200, "{}", reply.text);
        let body = reply.json();
        let text = |name| body[name].as_str().unwrap_or_default().to_owned();
        let access_token = text("access_token");
        let sid = session_of(&access_token);
        Self {
            access_token,
            refresh_token: text("refresh_token"),
            sid,
        }
    }
}

/// A JWT says it; a reference begins with it.
fn session_of(access_token: &str) -> String {
    match access_token.strip_prefix("tsa1_") {
        None => claims(access_token)["sid"].as_str().unwrap().to_owned(),
        Some(reference) => {
            let bytes = URL_SAFE_NO_PAD.decode(reference).unwrap();
            uuid::Uuid::from_slice(&bytes[..16]).unwrap().to_string()
        }
    }
}

impl TestApp {
    /// Registers an app on the command line, with what an app for people needs and further
    /// arguments, and waits until the service knows it.
    pub(crate) async fn app_for_people(&self, id: &str, further: &[&str]) -> TestClient {
        let mut arguments = vec!["--grant", "authorization_code", "--grant", "refresh_token"];
        arguments.extend(["--scope", "openid offline_access orders:read"]);
        arguments.extend(["--redirect-uri", "http://127.0.0.1/callback"]);
        arguments.extend(["--audience", "https://api.example.com"]);
        arguments.extend(further);
        self.register(id, &arguments).await
    }

    /// The issuer's own app on a phone: public, first-party, for `https://api.example.com`.
    pub(crate) async fn phone(&self) -> TestClient {
        self.app_for_people("phone", &["--public", "--first-party"])
            .await
    }

    /// Makes an account on the command line, beside the running service.
    pub(crate) async fn user(&self, name: &str) -> TestUser {
        let password = "seven herons at dawn";
        self.secrets.note("password", password);
        let arguments = [
            "user",
            "create",
            "--username",
            name,
            "--password-stdin",
            "--json",
        ];
        let mut command = self.command(&arguments);
        // The service goes on meanwhile.
        let created = tokio::task::spawn_blocking(move || run_with_input(&mut command, password));
        let created = created.await.unwrap().json();
        TestUser {
            id: created["user_id"].as_str().unwrap().to_owned(),
            name: name.to_owned(),
            password: password.to_owned(),
        }
    }

    /// The form with which an app logs a person in. `further` replaces what has the same name; an
    /// empty value counts as left out (RFC 6749 §3.2).
    pub(crate) fn login_form<'a>(
        user: &'a TestUser,
        further: &[(&'a str, &'a str)],
    ) -> Vec<(&'a str, String)> {
        let challenge = s256(VERIFIER);
        let own = [
            ("response_type", "code"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("username", user.name.as_str()),
            ("password", user.password.as_str()),
        ];
        own.iter()
            .filter(|(name, _)| !further.iter().any(|(other, _)| other == name))
            .chain(further)
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect()
    }

    /// `POST /oauth/challenge`
    pub(crate) async fn challenge(
        &self,
        client: &TestClient,
        user: &TestUser,
        further: &[(&str, &str)],
    ) -> Reply {
        let form = Self::login_form(user, further);
        self.send(self.form(client, "/oauth/challenge", &form))
            .await
    }

    /// A code for a person; good for [`VERIFIER`].
    pub(crate) async fn code(&self, client: &TestClient, user: &TestUser) -> String {
        let reply = self.challenge(client, user, &[]).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let code = reply.json()["authorization_code"].clone();
        code.as_str().unwrap().to_owned()
    }

    /// The grant `authorization_code`.
    pub(crate) async fn redeem(&self, client: &TestClient, code: &str, verifier: &str) -> Reply {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", verifier),
        ];
        self.token(client, &form).await
    }

    /// Logs a person in and redeems the code.
    pub(crate) async fn login(&self, client: &TestClient, user: &TestUser) -> Tokens {
        let code = self.code(client, user).await;
        Tokens::of(&self.redeem(client, &code, VERIFIER).await)
    }

    /// The grant `refresh_token`, as a request.
    pub(crate) fn refresh_request(
        &self,
        client: &TestClient,
        refresh_token: &str,
        further: &[(&str, &str)],
    ) -> RequestBuilder {
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        form.extend(further);
        self.form(client, "/oauth/token", &form)
    }

    /// The grant `refresh_token` without an `Idempotency-Key`.
    pub(crate) async fn refresh(
        &self,
        client: &TestClient,
        refresh_token: &str,
        further: &[(&str, &str)],
    ) -> Reply {
        self.send(self.refresh_request(client, refresh_token, further))
            .await
    }

    /// The grant `refresh_token` with an `Idempotency-Key`.
    pub(crate) async fn refresh_with_key(
        &self,
        client: &TestClient,
        refresh_token: &str,
        key: &str,
    ) -> Reply {
        let request = self.refresh_request(client, refresh_token, &[]);
        self.send(request.header("idempotency-key", key)).await
    }

    /// Refreshes for an access token with which the person manages the account.
    pub(crate) async fn for_account(&self, client: &TestClient, tokens: &Tokens) -> Tokens {
        let issuer = [("resource", self.issuer.as_str())];
        Tokens::of(&self.refresh(client, &tokens.refresh_token, &issuer).await)
    }

    /// `POST /oauth/revoke`
    pub(crate) async fn revoke(&self, client: &TestClient, token: &str) -> Reply {
        let form = [("token", token)];
        self.send(self.form(client, "/oauth/revoke", &form)).await
    }

    /// `POST /oauth/introspect`
    pub(crate) async fn introspect(&self, client: &TestClient, token: &str) -> Reply {
        let form = [("token", token)];
        self.send(self.form(client, "/oauth/introspect", &form))
            .await
    }

    /// A request to `/api/me` and below, with a JSON body where there is one.
    pub(crate) async fn me(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Reply {
        self.with_token(token, method, &format!("/api/me{path}"), body)
            .await
    }
}
