//! The requests of honest clients, each on a connection of its own: what is refused or broken is seen, and
//! nothing repeats it in secret.

use std::error::Error;
use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use super::clients::{AUDIENCE, Clients, PASSWORD, PHONE, Person};
use crate::Failure;

/// Longer than anything here takes.
const TIMEOUT: Duration = Duration::from_secs(10);
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The service as a client sees it.
#[derive(Clone)]
pub(super) struct Service {
    url: String,
    http: reqwest::Client,
}

/// What an app has.
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: String,
}

impl Service {
    pub(super) fn at(url: &str) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| Failure::Service(error.to_string()))?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            http,
        })
    }

    /// A service asks for a token.
    pub(super) async fn service_token(&self, clients: &Clients) -> Result<String, String> {
        let (id, secret) = &clients.service;
        let request = self
            .post("/oauth/token", &[("grant_type", "client_credentials")])
            .basic_auth(id, Some(secret));
        text(&answer(request).await?, "access_token")
    }

    /// A person logs in on a screen of the app.
    pub(super) async fn login(&self, person: &Person) -> Result<Tokens, String> {
        let form = [
            ("client_id", PHONE),
            ("response_type", "code"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("username", person.name.as_str()),
            ("password", PASSWORD),
        ];
        let code = answer(self.post("/oauth/challenge", &form)).await?;
        let code = text(&code, "authorization_code")?;
        let form = [
            ("client_id", PHONE),
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("code_verifier", VERIFIER),
        ];
        Tokens::of(&answer(self.post("/oauth/token", &form)).await?)
    }

    /// The app refreshes.
    pub(super) async fn refresh(&self, token: &str, key: &str) -> Result<Tokens, String> {
        Tokens::of(&answer(self.refreshing(token).header("idempotency-key", key)).await?)
    }

    /// The person logs out.
    pub(super) async fn logout(&self, token: &str) -> Result<(), String> {
        let form = [("client_id", PHONE), ("token", token)];
        let response = send(self.post("/oauth/revoke", &form)).await?;
        expect(response, 200).await.map(drop)
    }

    /// The session is over.
    pub(super) async fn is_refused(&self, token: &str) -> Result<(), String> {
        let response = send(self.refreshing(token)).await?;
        expect(response, 400).await.map(drop)
    }

    /// A published document.
    pub(super) async fn read(&self, path: &str) -> Result<(), String> {
        let response = send(self.http.get(format!("{}{path}", self.url))).await?;
        expect(response, 200).await.map(drop)
    }

    fn refreshing(&self, token: &str) -> RequestBuilder {
        let form = [
            ("client_id", PHONE),
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("resource", AUDIENCE),
        ];
        self.post("/oauth/token", &form)
    }

    fn post(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.url)).form(form)
    }
}

impl Tokens {
    fn of(answer: &Value) -> Result<Self, String> {
        Ok(Self {
            access: text(answer, "access_token")?,
            refresh: text(answer, "refresh_token")?,
        })
    }
}

async fn answer(request: RequestBuilder) -> Result<Value, String> {
    let body = expect(send(request).await?, 200).await?;
    serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))
}

async fn send(request: RequestBuilder) -> Result<Response, String> {
    request.send().await.map_err(|error| with_causes(&error))
}

async fn expect(response: Response, wanted: u16) -> Result<String, String> {
    let status = response.status();
    let body = response.text().await.map_err(|error| with_causes(&error))?;
    if status == wanted {
        Ok(body)
    } else {
        Err(format!("{status}: {body}"))
    }
}

fn text(answer: &Value, name: &str) -> Result<String, String> {
    let value = answer.get(name).and_then(Value::as_str);
    value
        .map(str::to_owned)
        .ok_or_else(|| format!("no {name} in the answer"))
}

fn with_causes(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(because) = cause {
        said = format!("{said}: {because}");
        cause = because.source();
    }
    said
}
