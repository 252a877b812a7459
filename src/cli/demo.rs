//! `tokensmith demo`: the whole story in one process, told with its timings.
//!
//! Everything goes over HTTP as it would from outside: an app that signs a person in, a thief, and an
//! API that verifies tokens by itself.

use std::time::{Duration, Instant};

use clap::Args;
use reqwest::{Client, Response, StatusCode};
use serde::Serialize;
use serde_json::Value;
use tokensmith_verify::Verifier;
use tokensmith_verify::revocation::{Freshness, Position};
use url::form_urlencoded;

use super::dev::{CHALLENGE, DEMO_APP, DEMO_AUDIENCE, DEMO_USER, DemoCredentials, VERIFIER};
use super::{Failure, output};

/// `tokensmith demo`
#[derive(Args)]
pub struct DemoArgs {
    /// Print the steps as JSON when all is told
    #[arg(long)]
    json: bool,
}

/// The service that the story happens in.
pub struct Stage<'s> {
    /// Where it is.
    pub url: &'s str,
    /// The issuer of its tokens.
    pub issuer: &'s str,
    /// Who may sign in.
    pub demo: &'s DemoCredentials,
    /// How long it took to start, with a new database and a new key.
    pub started_in: Duration,
}

/// Tells the story.
///
/// # Errors
/// When something does not happen as it is told.
pub async fn tell(arguments: &DemoArgs, stage: &Stage<'_>) -> Result<(), Failure> {
    let mut story = Story::begin(arguments, stage).await?;
    story.verify_offline().await?;
    story.lose_a_response().await?;
    story.log_out().await?;
    story.catch_a_thief().await?;
    story.sign_out_everywhere().await?;
    story.end()
}

/// How long the API is waited for to refuse a token.
const PATIENCE: Duration = Duration::from_secs(5);

struct Story<'s> {
    stage: &'s Stage<'s>,
    json: bool,
    http: Client,
    /// What an API has: it verifies without asking anybody.
    api: Verifier,
    told: Vec<Step>,
}

/// Something that happened.
#[derive(Serialize)]
struct Step {
    what: String,
    took_microseconds: u128,
}

/// What an app holds after a login or a refresh.
struct Tokens {
    access: String,
    refresh: String,
}

impl<'s> Story<'s> {
    async fn begin(arguments: &DemoArgs, stage: &'s Stage<'s>) -> Result<Self, Failure> {
        let http = Client::builder().no_proxy().build().map_err(failed)?;
        let start = Instant::now();
        let api = Verifier::discover(stage.issuer)
            .audience(DEMO_AUDIENCE)
            .revocation(Freshness::Strict)
            .token_cache(100)
            .connect()
            .await
            .map_err(failed)?;
        let connected_in = start.elapsed();
        let mut story = Self {
            stage,
            json: arguments.json,
            http,
            api,
            told: Vec::new(),
        };
        story.headline("A service and an API that trusts it")?;
        story.say(
            "the service is up, with a new database and a new key",
            stage.started_in,
        )?;
        story.say(
            "the API has fetched the keys and follows the revocations",
            connected_in,
        )?;
        Ok(story)
    }

    async fn verify_offline(&mut self) -> Result<(), Failure> {
        const TIMES: u32 = 1_000;
        self.headline("A person signs in; the API decides by itself")?;
        let start = Instant::now();
        let tokens = self.log_in("Ada's phone").await?;
        self.say(
            "Ada signs in on her phone: password, code, tokens",
            start.elapsed(),
        )?;
        let start = Instant::now();
        self.api.verify(&tokens.access).map_err(failed)?;
        self.say(
            "the API verifies her token, without a network call",
            start.elapsed(),
        )?;
        let start = Instant::now();
        for _ in 0..TIMES {
            self.api.verify(&tokens.access).map_err(failed)?;
        }
        let each = start.elapsed() / TIMES;
        self.say("and again, a thousand times, each in", each)
    }

    async fn lose_a_response(&mut self) -> Result<(), Failure> {
        self.headline("A phone in a tunnel: the answer to a refresh is lost")?;
        let before = self.log_in("Ada's phone").await?;
        let start = Instant::now();
        let lost = self.refresh(&before.refresh, "once").await?;
        self.say(
            "the phone refreshes, but never sees the answer",
            start.elapsed(),
        )?;
        let start = Instant::now();
        let retried = self.refresh(&before.refresh, "once").await?;
        if lost.refresh != retried.refresh {
            return Err(Failure::Message("the retry got another token".to_owned()));
        }
        self.say(
            "it tries again and gets the very same refresh token",
            start.elapsed(),
        )?;
        self.api.verify(&retried.access).map_err(failed)?;
        self.remark("Nobody was logged out.")
    }

    async fn log_out(&mut self) -> Result<(), Failure> {
        self.headline("Logout that an offline verifier honours")?;
        let tokens = self.log_in("Ada's laptop").await?;
        self.api.verify(&tokens.access).map_err(failed)?;
        let start = Instant::now();
        let form = [("client_id", DEMO_APP), ("token", &tokens.refresh)];
        let answer = self.post("/oauth/revoke", &form).await?;
        let answer = expect(answer, StatusCode::OK).await?;
        self.say("Ada signs out; the service has answered", start.elapsed())?;
        let start = Instant::now();
        let position = position(&answer)?;
        self.wait_until_refused(&[&tokens.access]).await?;
        self.say(
            "the API refuses her token, which has minutes to live",
            start.elapsed(),
        )?;
        self.remark(&format!(
            "The answer said Revocation-Seq: {position}; the API has read that far."
        ))
    }

    async fn catch_a_thief(&mut self) -> Result<(), Failure> {
        self.headline("A stolen refresh token")?;
        let stolen = self.log_in("Ada's phone").await?;
        let honest = self.refresh(&stolen.refresh, "first").await?;
        let honest = self.refresh(&honest.refresh, "second").await?;
        self.api.verify(&honest.access).map_err(failed)?;
        self.remark(
            "A thief has copied Ada's refresh token. Her phone has refreshed twice since.",
        )?;
        let start = Instant::now();
        let answer = self.post_refresh(&stolen.refresh, "thief").await?;
        expect(answer, StatusCode::BAD_REQUEST).await?;
        self.say(
            "the thief presents the copy: refused, and the session is ended",
            start.elapsed(),
        )?;
        let start = Instant::now();
        self.wait_until_refused(&[&honest.access]).await?;
        self.say(
            "every token of the session is dead at the API",
            start.elapsed(),
        )?;
        let answer = self.post_refresh(&honest.refresh, "third").await?;
        expect(answer, StatusCode::BAD_REQUEST).await?;
        self.remark("Neither of the two can refresh: Ada signs in again, the thief cannot.")
    }

    async fn sign_out_everywhere(&mut self) -> Result<(), Failure> {
        const DEVICES: usize = 5;
        self.headline("Signed out everywhere")?;
        let mut devices = Vec::new();
        for number in 1..=DEVICES {
            devices.push(self.log_in(&format!("Device {number}")).await?);
        }
        // First-party apps may ask for a token for the service itself.
        let own = self.refresh_for(&devices[..], self.stage.issuer).await?;
        let start = Instant::now();
        let answer = self
            .http
            .delete(format!("{}/api/me/sessions", self.stage.url))
            .bearer_auth(&own)
            .send()
            .await
            .map_err(failed)?;
        expect(answer, StatusCode::NO_CONTENT).await?;
        self.say(
            "Ada ends all her sessions, in one transaction",
            start.elapsed(),
        )?;
        let start = Instant::now();
        let tokens: Vec<&str> = devices
            .iter()
            .map(|device| device.access.as_str())
            .collect();
        self.wait_until_refused(&tokens).await?;
        self.say(
            "the API refuses the tokens of all five devices",
            start.elapsed(),
        )
    }

    fn end(self) -> Result<(), Failure> {
        if self.json {
            return Ok(output::json(&self.told)?);
        }
        Ok(output::line(
            "\nThat was one process with a database that is deleted now. To try it yourself:\n\n  \
             tokensmith dev\n",
        )?)
    }

    /// Signs in as an app of one's own would (draft-ietf-oauth-first-party-apps).
    async fn log_in(&self, device: &str) -> Result<Tokens, Failure> {
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

    async fn refresh(&self, token: &str, key: &str) -> Result<Tokens, Failure> {
        tokens(self.post_refresh(token, key).await?).await
    }

    async fn post_refresh(&self, token: &str, key: &str) -> Result<Response, Failure> {
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
    async fn refresh_for(&self, devices: &[Tokens], resource: &str) -> Result<String, Failure> {
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

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Response, Failure> {
        self.request(path, form).send().await.map_err(failed)
    }

    fn request(&self, path: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        self.http
            .post(format!("{}{path}", self.stage.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    }

    /// Asks the API again and again, as its callers would.
    async fn wait_until_refused(&self, tokens: &[&str]) -> Result<(), Failure> {
        let start = Instant::now();
        while tokens.iter().any(|token| self.api.verify(token).is_ok()) {
            if start.elapsed() > PATIENCE {
                let text = "the API has accepted a dead token for five seconds";
                return Err(Failure::Message(text.to_owned()));
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        Ok(())
    }

    fn headline(&self, text: &str) -> Result<(), Failure> {
        self.print(&format!("\n{text}\n"))
    }

    fn remark(&self, text: &str) -> Result<(), Failure> {
        self.print(&format!("              {text}"))
    }

    fn say(&mut self, what: &str, took: Duration) -> Result<(), Failure> {
        self.told.push(Step {
            what: what.to_owned(),
            took_microseconds: took.as_micros(),
        });
        self.print(&format!("  {:>10}  {what}", shown(took)))
    }

    fn print(&self, text: &str) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        Ok(output::line(text)?)
    }
}

/// Three figures, with the unit that suits them.
fn shown(took: Duration) -> String {
    let microseconds = took.as_secs_f64() * 1e6;
    if microseconds < 1_000.0 {
        format!("{microseconds:.2} µs")
    } else if microseconds < 1_000_000.0 {
        format!("{:.1} ms", microseconds / 1e3)
    } else {
        format!("{:.2} s", microseconds / 1e6)
    }
}

async fn expect(response: Response, status: StatusCode) -> Result<Response, Failure> {
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

fn position(response: &Response) -> Result<Position, Failure> {
    let value = response.headers().get("revocation-seq");
    let value = value.and_then(|value| value.to_str().ok()?.parse().ok());
    value.ok_or_else(|| Failure::Message("the answer has no Revocation-Seq".to_owned()))
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Message(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_shown_in_the_unit_that_suits_it() {
        for (microseconds, text) in [(3, "3.00 µs"), (1_250, "1.2 ms"), (2_500_000, "2.50 s")] {
            assert_eq!(shown(Duration::from_micros(microseconds)), text);
        }
    }
}
