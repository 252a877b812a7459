//! The log of revocations as readers of it see it: `docs/revocation.md`.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokensmith_verify::revocation::sse::{EventReader, Message, RawEvent};
use tokensmith_verify::revocation::{Frame, Position};

use crate::harness::{Database, TestApp, on_every_database, wait};

/// A stream that is being read.
pub(super) struct Reading {
    response: Response,
    reader: EventReader,
    waiting: VecDeque<RawEvent>,
}

impl Reading {
    pub(super) async fn begin(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            reader: EventReader::default(),
            waiting: VecDeque::new(),
        }
    }

    /// The next event; `None` when the stream has ended.
    pub(super) async fn next(&mut self) -> Option<Message> {
        while self.waiting.is_empty() {
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.response.chunk());
            let chunk = chunk.await.expect("something comes").unwrap()?;
            self.waiting.extend(self.reader.read(&chunk).unwrap());
        }
        Some(self.waiting.pop_front()?.into_message().unwrap())
    }

    /// The next event that is no heartbeat.
    pub(super) async fn next_of_the_log(&mut self) -> Option<Message> {
        loop {
            match self.next().await {
                Some(Message::Heartbeat(_)) => {}
                other => return other,
            }
        }
    }
}

/// Ends the session of somebody new, and answers where the log stands then.
pub(super) async fn revoke_something(app: &TestApp, name: &str) -> Position {
    let client = app
        .app_for_people(name, &["--public", "--first-party"])
        .await;
    let tokens = app.login(&client, &app.user(name).await).await;
    let reply = app.revoke(&client, &tokens.refresh_token).await;
    reply.header("revocation-seq").parse().unwrap()
}

/// A request for the stream from a place.
fn stream_after(app: &TestApp, after: &str) -> RequestBuilder {
    app.request(Method::GET, &format!("/revocation/stream?after={after}"))
}

fn stream(app: &TestApp) -> RequestBuilder {
    app.request(Method::GET, "/revocation/stream")
}

fn changes(app: &TestApp, query: &str) -> RequestBuilder {
    app.request(Method::GET, &format!("/revocation/changes?{query}"))
}

/// A short answer.
struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    async fn to(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// Status and error code.
    fn error(&self) -> (u16, String) {
        (
            self.status,
            self.json()["error"].as_str().unwrap().to_owned(),
        )
    }
}

on_every_database! {
    async fn a_reader_hears_of_a_revocation_and_can_go_on_from_anywhere(database) {
        let app = TestApp::start(&database).await;
        let mut reading = Reading::begin(stream(&app)).await;
        let headers = reading.response.headers();
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["x-accel-buffering"], "no");
        assert!(matches!(reading.next().await, Some(Message::Heartbeat(_))), "at once");
        let seq = revoke_something(&app, "ada").await;
        let mut events: Vec<Frame> = Vec::new();
        while events.last().is_none_or(|last| last.position < seq) {
            match reading.next_of_the_log().await {
                Some(Message::Frame(frame)) => events.push(frame),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(events.last().unwrap().event, "delta");

        let before = Position { seq: seq.seq - 1, ..seq };
        let first = Position { seq: 0, ..seq };
        // A browser that reconnects sends both, and the header is how far it has come.
        let again = stream_after(&app, &first.to_string()).header("last-event-id", before.to_string());
        let mut again = Reading::begin(again).await;
        assert_eq!(again.next_of_the_log().await, events.last().cloned().map(Message::Frame));

        let changes = changes(&app, &format!("after={before}&wait=20"));
        let changes = Answer::to(changes).await.json();
        assert_eq!(changes["events"][0]["id"], seq.to_string());
        assert_eq!(changes["events"][0]["data"], events.last().unwrap().data.as_str());
        assert!(changes["heartbeat"].is_string());
    }
}

#[tokio::test]
async fn a_place_that_the_log_does_not_know_is_reset_and_rubbish_is_refused() {
    let app = TestApp::start(&Database::sqlite()).await;
    let mut reading = Reading::begin(stream_after(&app, "17.4")).await;
    let Some(Message::Reset(reset)) = reading.next().await else {
        panic!("no reset");
    };
    assert_eq!(reset.reason, "new_epoch");
    assert_eq!(reading.next().await, None, "the stream ends");
    let answer = Answer::to(changes(&app, "after=17.4&wait=20")).await;
    assert_eq!(answer.error(), (410, "reset".to_owned()));
    for request in [
        stream_after(&app, "17"),
        stream_after(&app, "1.2&after=1.3"),
        changes(&app, "after=-1.2"),
        changes(&app, "after=1.2&wait=x"),
        stream(&app).header("last-event-id", "evil"),
    ] {
        let answer = Answer::to(request).await;
        assert_eq!(answer.error(), (400, "invalid_request".to_owned()));
    }
}

#[tokio::test]
async fn scripts_of_any_origin_may_read_along() {
    let app = TestApp::start(&Database::sqlite()).await;
    let origin = |request: RequestBuilder| request.header("origin", "https://a.example");
    let reading = Reading::begin(origin(stream(&app))).await;
    assert_eq!(
        reading.response.headers()["access-control-allow-origin"],
        "*"
    );
    for path in ["/revocation/stream", "/revocation/changes"] {
        let preflight = Answer::to(origin(app.request(Method::OPTIONS, path))).await;
        assert_eq!(preflight.status, 204);
        let allowed = &preflight.headers["access-control-allow-headers"];
        assert!(allowed.to_str().unwrap().contains("Last-Event-ID"));
        let head = Answer::to(app.request(Method::HEAD, path)).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
        assert_eq!(
            Answer::to(app.request(Method::POST, path)).await.status,
            405
        );
    }
}

#[tokio::test]
async fn an_address_holds_on_to_so_many_streams_and_no_more() {
    let settings = [
        ("TOKENSMITH_REVOCATION_STREAMS_PER_ADDRESS", "1"),
        ("TOKENSMITH_REVOCATION_MAX_STREAMS", "2"),
        ("TOKENSMITH_TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let app = TestApp::start_with(&Database::sqlite(), &settings).await;
    let from = |address: &str| stream(&app).header("x-forwarded-for", address);
    let first = Reading::begin(from("192.0.2.1")).await;
    let refused = Answer::to(from("192.0.2.1")).await;
    assert_eq!(refused.error(), (429, "temporarily_unavailable".to_owned()));
    assert_eq!(refused.headers["retry-after"], "30");
    let _other = Reading::begin(from("192.0.2.2")).await;
    let refused = Answer::to(from("192.0.2.3")).await;
    assert_eq!(refused.error(), (503, "temporarily_unavailable".to_owned()));
    assert_eq!(refused.headers["retry-after"], "5");
    assert!((app.metric("tokensmith_revocation_streams", "").await - 2.0).abs() < 0.1);
    drop(first);
    wait::until("the place is given back", || async {
        let status = from("192.0.2.1").send().await.unwrap().status();
        (status == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn streams_do_not_keep_a_process_that_is_told_to_stop() {
    let mut app = TestApp::start(&Database::sqlite()).await;
    let mut reading = Reading::begin(stream(&app)).await;
    assert!(reading.next().await.is_some());
    app.signal("TERM");
    assert_eq!(
        reading.next_of_the_log().await,
        None,
        "it ends, and not with a reset"
    );
    // Far below the ten seconds that running requests have.
    let exit = tokio::time::timeout(Duration::from_secs(5), app.exit()).await;
    assert_eq!(exit.expect("the process ends").code(), Some(0));
}
