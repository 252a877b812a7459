use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokensmith_verify::revocation::{Frame, Position, sse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::domain::ports::NoEntropy;
use crate::revocation::Reader;
use crate::telemetry::metrics::FeedMetrics;

const EPOCH: u64 = 1_763_800_000_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// An upstream whose answers the test writes.
struct FakeUpstream(TcpListener);

/// A request that waits for its answer.
struct Asked {
    head: String,
    connection: TcpStream,
}

/// Pauses are as short as they can be.
struct Zeros;

impl Entropy for Zeros {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        buffer.fill(0);
        Ok(())
    }
}

impl FakeUpstream {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn relay(&self) -> Arc<Relay> {
        let url = format!("http://{}", self.0.local_addr().unwrap());
        let upstream = Upstream::new(&url, false).unwrap();
        let feed = Feed::new(FeedMetrics::default());
        Arc::new(Relay::new(upstream, feed, Arc::new(Zeros)))
    }

    async fn asked(&self) -> Asked {
        let accepted = timeout(PATIENCE, self.0.accept()).await;
        let (mut connection, _) = accepted.expect("the relay asks").unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        Asked { head, connection }
    }

    /// A relay that follows a stream of this upstream from 0, and the stream.
    async fn followed(&self) -> (Arc<Relay>, JoinHandle<()>, Asked) {
        let relay = self.relay();
        let following = follow(&relay);
        let mut first = self.asked().await;
        first.open_stream().await;
        first.send(&reset("new_epoch", at(0))).await;
        drop(first);
        let mut second = self.asked().await;
        assert_eq!(second.last_event_id(), at(0).to_string());
        second.open_stream().await;
        (relay, following, second)
    }
}

impl Asked {
    fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    fn last_event_id(&self) -> &str {
        let mut lines = self.head.lines();
        lines
            .find_map(|line| line.strip_prefix("last-event-id: "))
            .unwrap()
    }

    async fn open_stream(&mut self) {
        self.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            .await;
    }

    async fn send(&mut self, text: &str) {
        self.connection.write_all(text.as_bytes()).await.unwrap();
    }

    async fn answer(mut self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        self.send(&format!(
            "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ))
        .await;
    }
}

fn follow(relay: &Arc<Relay>) -> JoinHandle<()> {
    let relay = Arc::clone(relay);
    tokio::spawn(async move { relay.follow().await })
}

fn at(seq: u64) -> Position {
    Position { epoch: EPOCH, seq }
}

fn event(seq: u64) -> String {
    sse::frame(&Frame {
        position: at(seq),
        event: "delta".to_owned(),
        data: format!("{{\"list\":\"u\",\"idx\":[{seq}]}}"),
    })
}

fn reset(reason: &str, earliest: Position) -> String {
    format!("event: reset\ndata: {{\"reason\":\"{reason}\",\"earliest\":\"{earliest}\"}}\n\n")
}

/// A document of an epoch that nobody has signed.
fn document(epoch: u64) -> String {
    let claims = URL_SAFE_NO_PAD.encode(format!("{{\"epoch\":{epoch}}}"));
    format!("e30.{claims}.AAAA")
}

/// A snapshot with so many lists that nobody has signed.
fn snapshot(announced: u32) -> String {
    let claims = format!("{{\"epoch\":{EPOCH},\"announced\":{announced}}}");
    format!("e30.{}.AAAA", URL_SAFE_NO_PAD.encode(claims))
}

/// The next text for a reader.
async fn read(reader: &mut Reader) -> String {
    let text = timeout(PATIENCE, reader.next())
        .await
        .expect("something comes");
    String::from_utf8(text.unwrap().to_vec()).unwrap()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect(what);
}

#[tokio::test]
async fn a_relay_reads_all_that_the_upstream_has_and_passes_it_on_as_it_is() {
    let upstream = FakeUpstream::start().await;
    let relay = upstream.relay();
    let _following = follow(&relay);
    let mut first = upstream.asked().await;
    assert_eq!(
        (first.path(), first.last_event_id()),
        ("/revocation/stream", "0.0")
    );
    first.open_stream().await;
    first.send(&reset("new_epoch", at(7))).await;
    let mut second = upstream.asked().await;
    assert_eq!(second.last_event_id(), at(7).to_string());
    second.open_stream().await;
    assert!(!relay.is_current());
    // An event that nobody knows, too: readers know what to do with it.
    let unknown = event(9).replace("delta", "purge");
    let texts = [event(8), unknown, sse::heartbeat("a.b.c"), event(10)];
    for half in texts.concat().as_bytes().chunks(50) {
        second.connection.write_all(half).await.unwrap();
    }
    until("the events arrive", || {
        relay.feed.position() == Some(at(10))
    })
    .await;
    assert!(relay.is_current());
    let mut reader = relay.feed.reader(Some(at(7))).unwrap();
    let mut text = String::new();
    while text.len() < texts.concat().len() {
        text.push_str(&read(&mut reader).await);
    }
    assert_eq!(text, texts.concat());
}

#[tokio::test]
async fn a_relay_that_loses_its_upstream_goes_on_from_where_it_stands() {
    let upstream = FakeUpstream::start().await;
    let (relay, _following, mut stream) = upstream.followed().await;
    let mut reader = relay.feed.reader(Some(at(0))).unwrap();
    stream.send(&event(1)).await;
    assert_eq!(read(&mut reader).await, event(1));
    drop(stream);
    upstream.asked().await.answer("503 Busy", "", "").await;
    upstream
        .asked()
        .await
        .answer("200 OK", "content-type: text/html\r\n", "<html>")
        .await;
    let mut stream = upstream.asked().await;
    assert_eq!(stream.last_event_id(), at(1).to_string());
    stream.open_stream().await;
    stream.send(&event(2)).await;
    assert_eq!(read(&mut reader).await, event(2), "readers notice nothing");
}

#[tokio::test]
async fn a_silent_upstream_is_left() {
    let upstream = FakeUpstream::start().await;
    let (_relay, _following, stream) = upstream.followed().await;
    assert_eq!(upstream.asked().await.last_event_id(), at(0).to_string());
    drop(stream);
}

#[tokio::test]
async fn a_gap_is_not_passed_on_but_read_again() {
    let upstream = FakeUpstream::start().await;
    for wrong in [
        event(3),
        event(1),
        event(2).replace(&EPOCH.to_string(), "5"),
    ] {
        let (relay, following, mut stream) = upstream.followed().await;
        stream
            .send(&[event(1), wrong, sse::heartbeat("no")].concat())
            .await;
        let again = upstream.asked().await;
        assert_eq!(again.last_event_id(), at(1).to_string());
        assert_eq!(relay.feed.position(), Some(at(1)));
        assert!(!relay.is_current());
        following.abort();
    }
}

#[tokio::test]
async fn what_is_no_stream_of_events_is_not_passed_on() {
    let upstream = FakeUpstream::start().await;
    let long = format!("data: {}\n\n", "x".repeat(sse::MAX_LINE_BYTES));
    for wrong in ["event: purge\ndata: x\n\n", "data: \u{1}\nid: x\n\n", &long] {
        let (relay, following, mut stream) = upstream.followed().await;
        stream.send(wrong).await;
        assert_eq!(upstream.asked().await.last_event_id(), at(0).to_string());
        assert!(!relay.is_current());
        following.abort();
    }
}

#[tokio::test]
async fn a_new_epoch_reaches_readers_and_drops_what_was_fetched_before() {
    let upstream = FakeUpstream::start().await;
    let (relay, _following, mut stream) = upstream.followed().await;
    let mut reader = relay.feed.reader(Some(at(0))).unwrap();
    let fetching = relay.documents.get(Wanted::Snapshot);
    let headers = "cache-control: max-age=10\r\n";
    let (fetched, ()) = tokio::join!(fetching, async {
        upstream
            .asked()
            .await
            .answer("200 OK", headers, &document(EPOCH))
            .await;
    });
    assert_eq!(fetched.unwrap().body, document(EPOCH));

    let begun = Position {
        epoch: EPOCH + 1,
        seq: 4,
    };
    stream.send(&reset("new_epoch", begun)).await;
    assert_eq!(read(&mut reader).await, reset("new_epoch", begun));
    assert_eq!(relay.feed.position(), Some(begun));
    let mut stream = upstream.asked().await;
    assert_eq!(stream.last_event_id(), begun.to_string());
    stream.open_stream().await;

    // A replica of the upstream that is late is passed on, for readers to see, but not kept.
    for epoch in [EPOCH, EPOCH + 1] {
        let (fetched, ()) = tokio::join!(relay.documents.get(Wanted::Snapshot), async {
            upstream
                .asked()
                .await
                .answer("200 OK", headers, &document(epoch))
                .await;
        });
        assert_eq!(fetched.unwrap().body, document(epoch));
    }
    let kept = relay.documents.get(Wanted::Snapshot).await.unwrap();
    assert_eq!(kept.body, document(EPOCH + 1));
}

#[tokio::test]
async fn many_who_want_a_document_cause_one_request() {
    let upstream = FakeUpstream::start().await;
    let relay = upstream.relay();
    let wanting = (0..100).map(|_| relay.documents.get(Wanted::List(7)));
    let headers = "etag: \"x\"\r\ncontent-type: application/statuslist+jwt\r\nage: 2\r\n\
                   cache-control: public, max-age=10\r\n";
    let (fetched, ()) = tokio::join!(futures_util::future::join_all(wanting), async {
        let asked = upstream.asked().await;
        assert_eq!(asked.path(), "/revocation/snapshot");
        asked.answer("200 OK", "", &snapshot(8)).await;
        let asked = upstream.asked().await;
        assert_eq!(asked.path(), "/status-lists/7");
        asked.answer("200 OK", headers, "a.b.c").await;
    });
    for document in fetched {
        let document = document.unwrap();
        assert_eq!((document.status, &document.body[..]), (200, &b"a.b.c"[..]));
        assert_eq!(document.etag.as_deref(), Some("\"x\""));
        assert_eq!(
            document.content_type.as_deref(),
            Some("application/statuslist+jwt")
        );
        assert_eq!(
            document.cache_control.as_deref(),
            Some("public, max-age=10")
        );
        assert!(document.age() >= Duration::from_secs(2));
    }
}

#[tokio::test]
async fn an_upstream_that_fails_is_not_asked_by_everybody() {
    let upstream = FakeUpstream::start().await;
    let relay = upstream.relay();
    let wanting = (0..100).map(|_| relay.documents.get(Wanted::Lists));
    let (fetched, ()) = tokio::join!(futures_util::future::join_all(wanting), async {
        upstream.asked().await.answer("500 Oops", "", "").await;
    });
    assert!(
        fetched
            .into_iter()
            .all(|one| one.err() == Some(UpstreamFailed::Status(500)))
    );
    // A second later it may have recovered.
    let again = async {
        loop {
            if let Ok(document) = relay.documents.get(Wanted::Lists).await {
                return document;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (fetched, ()) = tokio::join!(again, async {
        upstream.asked().await.answer("200 OK", "", "{}").await;
    });
    assert_eq!(fetched.body, "{}");
}

#[tokio::test]
async fn numbers_without_a_list_cost_the_upstream_one_snapshot() {
    let upstream = FakeUpstream::start().await;
    let relay = upstream.relay();
    let headers = "cache-control: public, max-age=10\r\n";
    let numbers = [9, 10, 4_711, u32::MAX];
    let wanting = numbers.map(|number| relay.documents.get(Wanted::List(number)));
    let (fetched, ()) = tokio::join!(futures_util::future::join_all(wanting), async {
        let asked = upstream.asked().await;
        assert_eq!(asked.path(), "/revocation/snapshot");
        asked.answer("200 OK", headers, &snapshot(9)).await;
    });
    let statuses: Vec<_> = fetched.into_iter().map(|one| one.unwrap().status).collect();
    assert_eq!(statuses, [404; 4]);
    // One of those that there are is asked for without a further look.
    let (fetched, ()) = tokio::join!(relay.documents.get(Wanted::List(8)), async {
        let asked = upstream.asked().await;
        assert_eq!(asked.path(), "/status-lists/8");
        asked.answer("200 OK", headers, "a.b.c").await;
    });
    assert_eq!(fetched.unwrap().status, 200);
}

#[tokio::test]
async fn the_snapshot_does_not_wait_for_lists() {
    let upstream = FakeUpstream::start().await;
    let relay = upstream.relay();
    let first = async {
        upstream
            .asked()
            .await
            .answer("200 OK", "", &snapshot(100))
            .await;
    };
    let (known, ()) = tokio::join!(relay.documents.get(Wanted::Snapshot), first);
    known.unwrap();
    let lists = (0..50).map(|number| relay.documents.get(Wanted::List(number)));
    let lists = futures_util::future::join_all(lists);
    let unanswered = async {
        let mut asked = Vec::new();
        while asked.len() < 16 {
            asked.push(upstream.asked().await);
        }
        // What was kept is forgotten, and the next snapshot has to be fetched.
        relay.documents.forget_before(EPOCH + 1);
        let (fetched, ()) = tokio::join!(relay.documents.get(Wanted::Snapshot), async {
            let asked = upstream.asked().await;
            assert_eq!(asked.path(), "/revocation/snapshot");
            asked.answer("200 OK", "", &snapshot(101)).await;
        });
        fetched.unwrap().status
    };
    tokio::select! {
        _ = lists => panic!("nobody answers them"),
        status = unanswered => assert_eq!(status, 200),
    }
}

#[tokio::test]
async fn a_list_that_there_is_not_takes_no_place() {
    let upstream = FakeUpstream::start().await;
    let relay = upstream.relay();
    let first = async {
        upstream
            .asked()
            .await
            .answer("200 OK", "", &snapshot(10))
            .await;
    };
    let (known, ()) = tokio::join!(relay.documents.get(Wanted::Snapshot), first);
    known.unwrap();
    for _ in 0..2 {
        let (fetched, ()) = tokio::join!(relay.documents.get(Wanted::List(9)), async {
            upstream
                .asked()
                .await
                .answer("404 No", "cache-control: max-age=10\r\n", "")
                .await;
        });
        assert_eq!(fetched.unwrap().status, 404);
    }
}

#[tokio::test]
async fn a_document_without_end_is_not_read_to_its_end() {
    let upstream = FakeUpstream::start().await;
    let relay = upstream.relay();
    let (fetched, ()) = tokio::join!(relay.documents.get(Wanted::Snapshot), async {
        let mut asked = upstream.asked().await;
        asked.send("HTTP/1.1 200 OK\r\n\r\n").await;
        let part = vec![b'x'; 64 * 1024];
        while asked.connection.write_all(&part).await.is_ok() {}
    });
    assert_eq!(fetched.err(), Some(UpstreamFailed::TooLarge));
}
