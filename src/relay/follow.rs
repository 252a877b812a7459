//! Follows the stream of the upstream and publishes it here, as it came.
//!
//! Nothing is verified but that no number is missing: for readers to go on from here, each event has
//! to follow the one before. Whatever else is wrong they notice by themselves.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use tokensmith_verify::revocation::sse::{EventReader, MalformedStream, Message, RawEvent};
use tokensmith_verify::revocation::{Frame, Position, sse};
use tokio::time::{sleep, timeout};

use super::{Relay, UpstreamFailed};

/// Heartbeats come twice a second: after so long without anything the connection is dead.
const SILENCE: Duration = Duration::from_secs(2);
/// How long the head of the answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The first pause before another try, and the longest. Each is drawn at random below that, so that
/// relays that lost their upstream together do not come back together.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why the stream is over.
#[derive(Debug, thiserror::Error)]
enum Over {
    #[error(transparent)]
    Failed(#[from] UpstreamFailed),
    #[error("what the upstream sends is no stream of events")]
    NotAStream,
    #[error(transparent)]
    Malformed(#[from] MalformedStream),
    #[error("nothing came for two seconds")]
    Silent,
    #[error("the upstream ended the stream")]
    Ended,
    #[error("events are missing before {0}")]
    Gap(Position),
    /// It goes on from elsewhere.
    #[error("the log begins anew at {0}")]
    Reset(Position),
    #[error("the upstream does not say where its log begins; it is older than this relay")]
    NoBeginning,
}

impl Relay {
    /// Follows the upstream, and finds it again whenever it is lost. Never returns.
    pub async fn follow(&self) {
        let mut failures = 0;
        loop {
            let mut has_beaten = false;
            let over = self.follow_once(&mut has_beaten).await;
            if has_beaten {
                failures = 0;
            }
            match over {
                Over::Reset(at) => tracing::info!(%at, "the log of revocations begins anew"),
                over if failures == 0 => {
                    self.is_lost.store(true, Ordering::Relaxed);
                    tracing::warn!(cause = %over, "lost the upstream; trying again");
                }
                over => tracing::debug!(cause = %over, "the upstream is still away"),
            }
            sleep(self.pause(failures)).await;
            failures += 1;
        }
    }

    /// Reads one stream to its end.
    async fn follow_once(&self, has_beaten: &mut bool) -> Over {
        let mut response = match self.open().await {
            Ok(response) => response,
            Err(over) => return over,
        };
        let mut events = EventReader::default();
        loop {
            let chunk = match timeout(SILENCE, response.chunk()).await {
                Err(_) => return Over::Silent,
                Ok(Err(error)) => return UpstreamFailed::from(error).into(),
                Ok(Ok(None)) => return Over::Ended,
                Ok(Ok(Some(chunk))) => chunk,
            };
            let outcome = events
                .read(&chunk)
                .map_err(Over::from)
                .and_then(|events| self.take(events, has_beaten));
            if let Err(over) = outcome {
                return over;
            }
        }
    }

    async fn open(&self) -> Result<Response, Over> {
        // A relay that has just started asks for what came before any log there is. It is told where
        // the upstream's begins (`earliest`), and reads it from there: so its readers find all that
        // the upstream still has, and not only what came since the relay started.
        let place = self.feed.position().unwrap_or_default();
        let request = self
            .upstream
            .get("/revocation/stream")
            .header(ACCEPT, sse::MEDIA_TYPE)
            .header("last-event-id", place.to_string())
            .send();
        let response = match timeout(ANSWER_TIMEOUT, request).await {
            Err(_) => return Err(Over::Silent),
            Ok(answer) => answer.map_err(UpstreamFailed::from)?,
        };
        if response.status() != StatusCode::OK {
            return Err(UpstreamFailed::Status(response.status().as_u16()).into());
        }
        let media_type = response.headers().get(CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok());
        if media_type.is_some_and(|given| given.starts_with(sse::MEDIA_TYPE)) {
            Ok(response)
        } else {
            Err(Over::NotAStream)
        }
    }

    /// Publishes what has come.
    fn take(&self, events: Vec<RawEvent>, has_beaten: &mut bool) -> Result<(), Over> {
        let mut frames: Vec<Frame> = Vec::new();
        let mut place = self.feed.position();
        let outcome = events.into_iter().try_for_each(|event| {
            let is_reset = event.id.is_none() && event.event == "reset";
            if is_reset {
                return Err(self.begin_anew(&event.data));
            }
            match event.into_message()? {
                Message::Frame(frame) => {
                    if place.map(after) != Some(frame.position) {
                        return Err(Over::Gap(frame.position));
                    }
                    place = Some(frame.position);
                    frames.push(frame);
                }
                Message::Heartbeat(signed) => {
                    self.feed.publish(&std::mem::take(&mut frames));
                    self.feed.beat(&signed);
                    *has_beaten = true;
                    if self.is_lost.swap(false, Ordering::Relaxed) {
                        tracing::info!("the upstream is back");
                    }
                }
                Message::Reset(_) => return Err(Over::NoBeginning),
            }
            Ok(())
        });
        if !matches!(outcome, Err(Over::Reset(_))) {
            self.feed.publish(&frames);
        }
        outcome
    }

    fn begin_anew(&self, reset: &str) -> Over {
        #[derive(Deserialize)]
        struct Reset {
            earliest: String,
        }
        let earliest = serde_json::from_str::<Reset>(reset)
            .ok()
            .and_then(|reset| reset.earliest.parse::<Position>().ok());
        let Some(earliest) = earliest else {
            return Over::NoBeginning;
        };
        // In this order: readers that are told to begin again fetch documents at once.
        self.documents.forget_before(earliest.epoch);
        self.feed.restart(earliest);
        Over::Reset(earliest)
    }

    fn pause(&self, failures: u32) -> Duration {
        let most = FIRST_PAUSE
            .saturating_mul(2_u32.saturating_pow(failures))
            .min(LONGEST_PAUSE);
        let mut random = [0; 4];
        // Without random bytes the pause is the whole one.
        let part = match self.entropy.fill(&mut random) {
            Ok(()) => f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX),
            Err(_) => 1.0,
        };
        most.mul_f64(part)
    }
}

fn after(place: Position) -> Position {
    Position {
        seq: place.seq + 1,
        ..place
    }
}
