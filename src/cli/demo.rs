//! `tokensmith demo`: the whole story in one process, told with its timings.
//!
//! Everything goes over HTTP as it would from outside: an app that signs a person in, a thief, and an
//! API that verifies tokens by itself.

mod app;

use std::time::{Duration, Instant};

use clap::Args;
use reqwest::StatusCode;
use serde::Serialize;
use tokensmith_verify::revocation::{Freshness, Position};
use tokensmith_verify::{Reject, Verifier};
use tokio::time::{sleep, timeout};

use super::dev::{DEMO_APP, DEMO_AUDIENCE, DemoCredentials};
use super::{Failure, output};
use app::{App, expect, failed, position};

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
    app: App<'s>,
    /// What an API has: it verifies without asking anybody.
    api: Verifier,
    told: Vec<Step>,
    /// What the API had to hear for the step that is told next.
    heard: Option<Position>,
}

/// Something that happened.
#[derive(Serialize)]
struct Step {
    #[serde(rename = "step")]
    name: &'static str,
    what: String,
    took_microseconds: f64,
    /// Of the answer that revoked something.
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_seq: Option<Position>,
}

impl<'s> Story<'s> {
    async fn begin(arguments: &DemoArgs, stage: &'s Stage<'s>) -> Result<Self, Failure> {
        let app = App::new(stage)?;
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
            app,
            api,
            told: Vec::new(),
            heard: None,
        };
        story.headline("A service and an API that trusts it")?;
        story.say(
            "service_up",
            "the service is up, with a new database and a new key",
            stage.started_in,
        )?;
        story.say(
            "api_connected",
            "the API has fetched the keys and follows the revocations",
            connected_in,
        )?;
        Ok(story)
    }

    async fn verify_offline(&mut self) -> Result<(), Failure> {
        const TIMES: u32 = 1_000;
        self.headline("A person signs in; the API decides by itself")?;
        let start = Instant::now();
        let tokens = self.app.log_in("Ada's phone").await?;
        self.say(
            "signed_in",
            "Ada signs in on her phone: password, code, tokens",
            start.elapsed(),
        )?;
        let start = Instant::now();
        self.api.verify(&tokens.access).map_err(failed)?;
        self.say(
            "verified",
            "the API verifies her token, without a network call",
            start.elapsed(),
        )?;
        let start = Instant::now();
        for _ in 0..TIMES {
            self.api.verify(&tokens.access).map_err(failed)?;
        }
        let each = start.elapsed() / TIMES;
        self.say(
            "verified_again",
            "and again, a thousand times, each in",
            each,
        )
    }

    async fn lose_a_response(&mut self) -> Result<(), Failure> {
        self.headline("A phone in a tunnel: the answer to a refresh is lost")?;
        let before = self.app.log_in("Ada's phone").await?;
        let start = Instant::now();
        let lost = self.app.refresh(&before.refresh, "once").await?;
        self.say(
            "refreshed",
            "the phone refreshes, but never sees the answer",
            start.elapsed(),
        )?;
        let start = Instant::now();
        let retried = self.app.refresh(&before.refresh, "once").await?;
        if lost.refresh != retried.refresh {
            return Err(Failure::Message("the retry got another token".to_owned()));
        }
        self.say(
            "retried",
            "it tries again and gets the very same refresh token",
            start.elapsed(),
        )?;
        self.api.verify(&retried.access).map_err(failed)?;
        self.remark("Nobody was logged out.")
    }

    async fn log_out(&mut self) -> Result<(), Failure> {
        self.headline("Logout that an offline verifier honours")?;
        let tokens = self.app.log_in("Ada's laptop").await?;
        self.api.verify(&tokens.access).map_err(failed)?;
        let start = Instant::now();
        let form = [("client_id", DEMO_APP), ("token", &tokens.refresh)];
        let answer = self.app.post("/oauth/revoke", &form).await?;
        let answer = expect(answer, StatusCode::OK).await?;
        self.say(
            "signed_out",
            "Ada signs out; the service has answered",
            start.elapsed(),
        )?;
        let start = Instant::now();
        let position = position(&answer)?;
        self.hear(position).await?;
        self.wait_until_refused(&[&tokens.access]).await?;
        self.say(
            "refused_after_sign_out",
            "the API refuses her token, which has minutes to live",
            start.elapsed(),
        )?;
        self.remark(&format!(
            "The answer said Revocation-Seq: {position}; the API has read that far."
        ))
    }

    async fn catch_a_thief(&mut self) -> Result<(), Failure> {
        self.headline("A stolen refresh token")?;
        let stolen = self.app.log_in("Ada's phone").await?;
        let honest = self.app.refresh(&stolen.refresh, "first").await?;
        let honest = self.app.refresh(&honest.refresh, "second").await?;
        self.api.verify(&honest.access).map_err(failed)?;
        self.remark(
            "A thief has copied Ada's refresh token. Her phone has refreshed twice since.",
        )?;
        let start = Instant::now();
        let answer = self.app.post_refresh(&stolen.refresh, "thief").await?;
        let answer = expect(answer, StatusCode::BAD_REQUEST).await?;
        self.say(
            "theft_caught",
            "the thief presents the copy: refused, and the session is ended",
            start.elapsed(),
        )?;
        let start = Instant::now();
        self.hear(position(&answer)?).await?;
        self.wait_until_refused(&[&honest.access]).await?;
        self.say(
            "refused_after_theft",
            "every token of the session is dead at the API",
            start.elapsed(),
        )?;
        let answer = self.app.post_refresh(&honest.refresh, "third").await?;
        expect(answer, StatusCode::BAD_REQUEST).await?;
        self.remark("Neither of the two can refresh: Ada signs in again, the thief cannot.")
    }

    async fn sign_out_everywhere(&mut self) -> Result<(), Failure> {
        const DEVICES: usize = 5;
        self.headline("Signed out everywhere")?;
        let mut devices = Vec::new();
        for number in 1..=DEVICES {
            devices.push(self.app.log_in(&format!("Device {number}")).await?);
        }
        // First-party apps may ask for a token for the service itself.
        let own = self
            .app
            .refresh_for(&devices[..], self.stage.issuer)
            .await?;
        let start = Instant::now();
        let answer = self.app.end_all_sessions(&own).await?;
        let answer = expect(answer, StatusCode::NO_CONTENT).await?;
        self.say(
            "signed_out_everywhere",
            "Ada ends all her sessions, in one transaction",
            start.elapsed(),
        )?;
        let start = Instant::now();
        let tokens: Vec<&str> = devices
            .iter()
            .map(|device| device.access.as_str())
            .collect();
        self.hear(position(&answer)?).await?;
        self.wait_until_refused(&tokens).await?;
        self.say(
            "refused_everywhere",
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

    /// Waits until the API has read what an answer speaks of.
    async fn hear(&mut self, position: Position) -> Result<(), Failure> {
        let reader = self.api.revocation();
        let reader =
            reader.ok_or_else(|| Failure::Message("the API follows nothing".to_owned()))?;
        let late = |_| Failure::Message(format!("the API has not read as far as {position}"));
        timeout(PATIENCE, reader.reached(position))
            .await
            .map_err(late)?;
        self.heard = Some(position);
        Ok(())
    }

    /// Asks the API again and again, as its callers would.
    async fn wait_until_refused(&self, tokens: &[&str]) -> Result<(), Failure> {
        let start = Instant::now();
        // Only a token that is known to be dead counts, not one that cannot be checked.
        let is_dead = |token: &&str| {
            let verdict = self.api.verify(token);
            matches!(verdict, Err(Reject::Revoked | Reject::CutOff))
        };
        while !tokens.iter().all(is_dead) {
            if start.elapsed() > PATIENCE {
                let text = "the API has accepted a dead token for five seconds";
                return Err(Failure::Message(text.to_owned()));
            }
            sleep(Duration::from_micros(200)).await;
        }
        Ok(())
    }

    fn headline(&self, text: &str) -> Result<(), Failure> {
        self.print(&format!("\n{text}\n"))
    }

    fn remark(&self, text: &str) -> Result<(), Failure> {
        self.print(&format!("              {text}"))
    }

    fn say(&mut self, name: &'static str, what: &str, took: Duration) -> Result<(), Failure> {
        self.told.push(Step {
            name,
            what: what.to_owned(),
            took_microseconds: took.as_secs_f64() * 1e6,
            revocation_seq: self.heard.take(),
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

/// With the unit that suits it.
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
