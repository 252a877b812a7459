//! The app that the story is about: what it asks the service over HTTP.

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokensmith_verify::revocation::Position;
use url::form_urlencoded;

use super::Stage;
use crate::cli::Failure;
use crate::cli::dev::{CHALLENGE, DEMO_APP, DEMO_USER, VERIFIER};

/// Ada's app, on whichever device.
pub(super) struct App<'s> {
    stage: &'s Stage<'s>,
    http: Client,
}

/// What an app holds after a login or a refresh.
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: String,
}

impl<'s> App<'s> {
    pub(super) fn new(stage: &'s Stage<'s>) -> Result<Self, Failure> {
        let http = Client::builder().no_proxy().build().map_err(failed)?;
        Ok(Self { stage, http })
    }

    /// Signs in as an app of one's own would (draft-ietf-oauth-first-party-apps).
    pub(super) async fn log_in(&self, device: &str) -> Result<Tokens, Failure> {
        let password = self.stage.demo.password.as_deref().unwrap_or_default();
        let form = [
            ("client_id", DEMO_APP),
            ("response_type", "code"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("username", DEMO_USER),
            ("password", password),
        ];
        let request = self.request("/oauth/challenge", &form);
        let answer = request.header("user-agent", device).send().await;
        let answer = json(expect(answer.map_err(failed)?, StatusCode::OK).await?).await?;
        let form = [
            ("client_id", DEMO_APP),
            ("grant_type", "authorization_code"),
            ("code", member(&answer, "authorization_code")?),
            ("code_verifier", VERIFIER),
        ];
        tokens(self.post("/oauth/token", &form).await?).await
    }

    pub(super) async fn refresh(&self, token: &str, key: &str) -> Result<Tokens, Failure> {
        tokens(self.post_refresh(token, key).await?).await
    }

    pub(super) async fn post_refresh(&self, token: &str, key: &str) -> Result<Response, Failure> {
        let form = [
            ("client_id", DEMO_APP),
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
        ];
        let request = self.request("/oauth/token", &form);
        let request = request.header("idempotency-key", key);
        request.send().await.map_err(failed)
    }

    /// An access token of the first device for another API.
    pub(super) async fn refresh_for(
        &self,
        devices: &[Tokens],
        resource: &str,
    ) -> Result<String, Failure> {
        let first = devices.first().map(|device| device.refresh.as_str());
        let form = [
            ("client_id", DEMO_APP),
            ("grant_type", "refresh_token"),
            ("refresh_token", first.unwrap_or_default()),
            ("resource", resource),
        ];
        Ok(tokens(self.post("/oauth/token", &form).await?)
            .await?
            .access)
    }

    pub(super) async fn post(
        &self,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<Response, Failure> {
        self.request(path, form).send().await.map_err(failed)
    }

    fn request(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        self.http
            .post(format!("{}{path}", self.stage.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    }

    /// Ends all sessions of the person whose token it is.
    pub(super) async fn end_all_sessions(&self, own: &str) -> Result<Response, Failure> {
        let request = self
            .http
            .delete(format!("{}/api/me/sessions", self.stage.url))
            .bearer_auth(own);
        request.send().await.map_err(failed)
    }
}

pub(super) async fn expect(response: Response, status: StatusCode) -> Result<Response, Failure> {
    if response.status() == status {
        return Ok(response);
    }
    let text = format!(
        "the service answered {} instead of {status}",
        response.status()
    );
    let body = response.text().await.unwrap_or_default();
    Err(Failure::Message(format!("{text}: {body}")))
}

async fn tokens(response: Response) -> Result<Tokens, Failure> {
    let body = json(expect(response, StatusCode::OK).await?).await?;
    Ok(Tokens {
        access: member(&body, "access_token")?.to_owned(),
        refresh: member(&body, "refresh_token")?.to_owned(),
    })
}

async fn json(response: Response) -> Result<Value, Failure> {
    let body = response.bytes().await.map_err(failed)?;
    serde_json::from_slice(&body).map_err(failed)
}

fn member<'v>(body: &'v Value, name: &str) -> Result<&'v str, Failure> {
    let text = body.get(name).and_then(Value::as_str);
    text.ok_or_else(|| Failure::Message(format!("the answer has no {name}")))
}

pub(super) fn position(response: &Response) -> Result<Position, Failure> {
    let value = response.headers().get("revocation-seq");
    let value = value.and_then(|value| value.to_str().ok()?.parse().ok());
    value.ok_or_else(|| Failure::Message("the answer has no Revocation-Seq".to_owned()))
}

pub(super) fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Message(error.to_string())
}
