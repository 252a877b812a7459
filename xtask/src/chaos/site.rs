//! What the people and programs of a run have in common: the requests, each of which is recorded, and the
//! verifiers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tokensmith_cluster::Cable;
use tokensmith_verify::{Freshness, NoCustomClaims, Verifier};

use super::ChaosError;
use super::fleet::Fleet;
use super::history::{Answer, Event, Recorder, name_of};

/// The API that tokens are for.
pub(super) const AUDIENCE: &str = "https://api.example.com";
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// All that clients share.
pub(super) struct Site {
    pub(super) recorder: Arc<Recorder>,
    pub(super) verifiers: Vec<Verifier>,
    pub(super) verifier_names: Vec<String>,
    pub(super) issuer: String,
    http: reqwest::Client,
    doors: Arc<Vec<Cable>>,
    is_over: AtomicBool,
}

/// A client that shows a secret.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) id: String,
    pub(super) secret: String,
}

/// An answer and what is needed to record it.
pub(super) struct Reply {
    pub(super) began: u64,
    pub(super) answer: Answer,
    pub(super) body: Value,
    pub(super) position: Option<String>,
}

/// A request before it is sent.
pub(super) struct Request<'a> {
    pub(super) method: reqwest::Method,
    pub(super) path: &'a str,
    pub(super) content: Content<'a>,
    pub(super) bearer: Option<&'a str>,
    pub(super) credentials: Option<&'a Credentials>,
    pub(super) idempotency_key: Option<&'a str>,
}

/// What it carries.
pub(super) enum Content<'a> {
    Nothing,
    Form(&'a [(&'a str, &'a str)]),
    Json(&'a Value),
}

impl<'a> Request<'a> {
    pub(super) fn form(path: &'a str, form: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            content: Content::Form(form),
            ..Self::new(reqwest::Method::POST, path)
        }
    }

    pub(super) fn new(method: reqwest::Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            content: Content::Nothing,
            bearer: None,
            credentials: None,
            idempotency_key: None,
        }
    }
}

impl Site {
    pub(super) async fn over(fleet: &Fleet, recorder: Arc<Recorder>) -> Result<Self, ChaosError> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .map_err(|error| ChaosError::Http(error.to_string()))?;
        let issuer = fleet.issuer();
        let mut ways = vec![(issuer.clone(), "through the balancer".to_owned())];
        for (number, address) in fleet.addresses().iter().enumerate() {
            ways.push((address.clone(), format!("at replica {number}")));
        }
        for (number, door) in fleet.doors.iter().enumerate() {
            let address = format!("http://127.0.0.1:{}", door.port);
            ways.push((address, format!("through the door of replica {number}")));
        }
        let mut verifiers = Vec::new();
        for (address, _) in &ways {
            verifiers.push(verifier(&issuer, address).await?);
        }
        Ok(Self {
            recorder,
            verifiers,
            verifier_names: ways.into_iter().map(|(_, name)| name).collect(),
            issuer,
            http,
            doors: Arc::clone(&fleet.doors),
            is_over: AtomicBool::new(false),
        })
    }

    pub(super) fn replicas(&self) -> usize {
        self.doors.len()
    }

    /// Whether everybody is to come to an end.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// The next request with these bytes arrives at this replica, and its answer gets lost.
    pub(super) fn lose_the_answer(&self, replica: usize, to: &str) {
        if let Some(door) = self.doors.get(replica) {
            door.lose_the_answer_to(to.as_bytes());
        }
    }

    /// Sends a request to a replica, through its door.
    pub(super) async fn send(&self, replica: usize, request: Request<'_>) -> Reply {
        let began = self.recorder.now();
        let port = self.doors.get(replica).map_or(0, |door| door.port);
        let url = format!("http://127.0.0.1:{port}{}", request.path);
        let mut builder = self.http.request(request.method, url);
        builder = match request.content {
            Content::Nothing => builder,
            Content::Form(form) => builder.form(form),
            Content::Json(json) => builder
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                .body(json.to_string()),
        };
        if let Some(token) = request.bearer {
            builder = builder.bearer_auth(token);
        }
        if let Some(client) = request.credentials {
            builder = builder.basic_auth(&client.id, Some(&client.secret));
        }
        if let Some(key) = request.idempotency_key {
            builder = builder.header("Idempotency-Key", key);
        }
        match received(builder).await {
            Ok((status, body, position)) => Reply {
                began,
                answer: Answer {
                    replica,
                    status,
                    error: text(&body, "error").map(ToOwned::to_owned),
                },
                body,
                position,
            },
            Err(error) => Reply {
                began,
                answer: Answer {
                    replica,
                    status: 0,
                    error: Some(in_short(&error)),
                },
                body: Value::Null,
                position: None,
            },
        }
    }

    /// Asks a verifier about an access token.
    pub(super) async fn verify(
        &self,
        who: &str,
        verifier: usize,
        access: &Access,
    ) -> Option<String> {
        let began = self.recorder.now();
        let asked = self.verifiers.get(verifier)?;
        let verified = asked.verify_waiting::<NoCustomClaims>(&access.token).await;
        let reject = verified.err().map(|reject| reject.reason().to_owned());
        let event = access.verified(verifier, reject.clone());
        self.recorder.record(began, who, event);
        reject
    }
}

/// A member of a JSON object that is text.
pub(super) fn text<'a>(object: &'a Value, member: &str) -> Option<&'a str> {
    object.get(member)?.as_str()
}

/// An access token, and of which session it is.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) token: String,
    pub(super) session: Option<String>,
}

impl Access {
    pub(super) fn verified(&self, verifier: usize, reject: Option<String>) -> Event {
        Event::Verify {
            verifier,
            session: self.session.clone(),
            access: name_of(&self.token),
            reject,
        }
    }

    /// The claims, unverified.
    pub(super) fn claims(&self) -> Option<Value> {
        let payload = self.token.split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}

/// One that follows the log of revocations at an address and believes nothing that is old.
async fn verifier(issuer: &str, address: &str) -> Result<Verifier, ChaosError> {
    let verifier = Verifier::discover(issuer)
        .jwks_uri(format!("{address}/.well-known/jwks.json"))
        .audience(AUDIENCE)
        .refetch_cooldown(Duration::from_secs(1))
        .revocation(Freshness::Strict)
        .revocation_from(address);
    let connected = verifier.connect().await;
    connected.map_err(|error| ChaosError::Http(error.to_string()))
}

type Received = (u16, Value, Option<String>);

async fn received(request: reqwest::RequestBuilder) -> Result<Received, reqwest::Error> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let position = response.headers().get("revocation-seq");
    let position = position.and_then(|value| Some(value.to_str().ok()?.to_owned()));
    let body = response.bytes().await?;
    // Not every answer has one that is JSON; a status list is text.
    let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| text());
    Ok((status, body, position))
}

/// The last cause says what happened.
fn in_short(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timeout".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
