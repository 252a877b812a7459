//! An issuer on a real socket that keeps a log of revocations, and everything that can go wrong
//! on the way to the reader.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokensmith_verify::revocation::{
    Chain, Changes, Event, Frame, HEARTBEAT_TYP, LIST_BYTES, LIST_SIZE, LIST_TYP, ListAnnouncement,
    Position, SNAPSHOT_TYP, Watermark, deflate, sse,
};
use tokensmith_verify::testing::Forge;
use tokensmith_verify::{Discovery, Freshness, Verifier, VerifierBuilder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::issuer::{AUDIENCE, METADATA};

/// Five times as often as the real one, so that tests need not wait.
const BEAT: Duration = Duration::from_millis(100);
const TICK: Duration = Duration::from_millis(5);

pub(crate) struct LogServer {
    pub(crate) url: String,
    shared: Arc<Mutex<Log>>,
}

/// What stands between the log and the reader.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Path {
    Open,
    /// Whatever is streamed is collected and never comes.
    Buffering,
    /// Connections stay open and nothing moves any more, not even new ones.
    Partitioned,
}

pub(crate) struct Log {
    pub(crate) epoch: u64,
    pub(crate) events: Vec<Frame>,
    /// After how many events, what.
    chains: Vec<Chain>,
    pub(crate) announced: u32,
    bits: HashMap<u32, Vec<u8>>,
    pub(crate) watermarks: Vec<Watermark>,
    pub(crate) forge: Forge,
    /// What is published.
    pub(crate) published: Vec<Forge>,
    pub(crate) path: Path,
    /// Answers in the place of the right ones: status, content coding, body.
    pub(crate) answers: HashMap<String, (u16, Option<&'static str>, Vec<u8>)>,
    /// What is written in the place of heartbeats.
    pub(crate) heartbeat: Option<String>,
    /// The latest heartbeat, and how many events were before it, where polls get that one.
    latest_beat: Option<(String, usize)>,
    /// Text for all open streams, by number.
    injected: Vec<String>,
    /// Streams older than this are frozen, or cut.
    pub(crate) frozen_below: usize,
    cut_below: usize,
    pub(crate) streams: usize,
    pub(crate) open_streams: usize,
    pub(crate) requests: Vec<String>,
}

impl LogServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let forge = Forge::for_issuer(url.as_str());
        let shared = Arc::new(Mutex::new(Log {
            epoch: 1_000,
            events: Vec::new(),
            chains: vec![Chain::START],
            announced: 1,
            bits: HashMap::new(),
            watermarks: Vec::new(),
            published: vec![forge.clone()],
            forge,
            path: Path::Open,
            answers: HashMap::new(),
            heartbeat: None,
            latest_beat: None,
            injected: Vec::new(),
            frozen_below: 0,
            cut_below: 0,
            streams: 0,
            open_streams: 0,
            requests: Vec::new(),
        }));
        let server = Self {
            url,
            shared: Arc::clone(&shared),
        };
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, Arc::clone(&shared)));
            }
        });
        server
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.shared.lock().unwrap()
    }

    pub(crate) fn builder(&self, freshness: Freshness) -> VerifierBuilder<Discovery> {
        Verifier::discover(self.url.as_str())
            .audience(AUDIENCE)
            .revocation(freshness)
    }

    pub(crate) async fn connect(&self, freshness: Freshness) -> Verifier {
        self.builder(freshness).connect().await.unwrap()
    }

    /// A token with this bit of list 0.
    pub(crate) fn token(&self, idx: u32) -> String {
        let forge = self.log().forge.clone();
        forge.issue("ada").audience(AUDIENCE).status(0, idx).sign()
    }

    pub(crate) fn revoke(&self, idx: u32) -> Position {
        let uri = self.log().uri(0);
        self.append("delta", &json!({ "list": uri, "idx": [idx] }).to_string())
    }

    pub(crate) fn append_event(&self, event: &Event) -> Position {
        self.append(event.name(), &event.to_json().unwrap())
    }

    pub(crate) fn append(&self, event: &str, data: &str) -> Position {
        let mut log = self.log();
        let frame = log.next_frame(event, data);
        log.push(frame.clone());
        frame.position
    }

    /// An event that the server never wrote, on every open stream.
    pub(crate) fn forge_event(&self, event: &str, data: &str) {
        let mut log = self.log();
        let frame = log.next_frame(event, data);
        log.injected.push(sse::frame(&frame));
    }

    pub(crate) fn inject(&self, text: impl Into<String>) {
        self.log().injected.push(text.into());
    }

    /// Cuts all open streams off.
    pub(crate) fn cut(&self) {
        let mut log = self.log();
        log.cut_below = log.streams;
    }

    /// Signs a heartbeat, which polls get until the next one.
    pub(crate) fn beat(&self) {
        let mut log = self.log();
        log.latest_beat = Some((log.heartbeat(), log.events.len()));
    }

    /// A restart without memory of the log, but with that of the bits.
    pub(crate) fn begin_epoch(&self, epoch: u64) {
        let mut log = self.log();
        log.epoch = epoch;
        log.events.clear();
        log.chains = vec![Chain::START];
        log.cut_below = log.streams;
    }

    pub(crate) fn requested(&self, path: &str) -> usize {
        let log = self.log();
        let requests = log.requests.iter();
        requests
            .filter(|request| request.split(' ').nth(1).unwrap().starts_with(path))
            .count()
    }
}

impl Log {
    pub(crate) fn uri(&self, list: u32) -> String {
        format!("{}/status-lists/{list}", self.forge.issuer())
    }

    pub(crate) fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            seq: self.events.len() as u64,
        }
    }

    fn chain(&self) -> Chain {
        *self.chains.last().unwrap()
    }

    fn next_frame(&self, event: &str, data: &str) -> Frame {
        let mut position = self.position();
        position.seq += 1;
        Frame {
            position,
            event: event.to_owned(),
            data: data.to_owned(),
        }
    }

    fn push(&mut self, frame: Frame) {
        self.chains
            .push(self.chain().with(&frame.event, &frame.data));
        match frame.event() {
            Ok(Event::Delta(delta)) => {
                let list = delta.list.rsplit('/').next().unwrap().parse().unwrap();
                for idx in delta.idx {
                    self.set(list, idx);
                }
            }
            Ok(Event::Watermark(watermark)) => self.watermarks.push(watermark),
            Ok(Event::List(_)) => self.announced += 1,
            Err(_) => {}
        }
        self.events.push(frame);
    }

    /// Sets a bit behind the log's back.
    pub(crate) fn set(&mut self, list: u32, idx: u32) {
        let bits = self.bits.entry(list).or_insert_with(|| vec![0; LIST_BYTES]);
        bits[idx as usize / 8] |= 1 << (idx % 8);
    }

    pub(crate) fn sign(&self, typ: &str, payload: &serde_json::Value) -> String {
        let kid = self.forge.jwk()["kid"].clone();
        let header = json!({ "alg": "RS256", "typ": typ, "kid": kid }).to_string();
        self.forge.sign_raw(&header, payload.to_string().as_bytes())
    }

    pub(crate) fn heartbeat(&self) -> String {
        self.heartbeat
            .clone()
            .unwrap_or_else(|| self.sign(HEARTBEAT_TYP, &self.heartbeat_claims()))
    }

    pub(crate) fn heartbeat_claims(&self) -> serde_json::Value {
        json!({
            "iss": self.forge.issuer(),
            "epoch": self.epoch,
            "seq": self.events.len(),
            "chain": self.chain(),
            "as_of": now_millis(),
        })
    }

    pub(crate) fn snapshot_claims(&self) -> serde_json::Value {
        let now = now_millis() / 1_000;
        let lists: Vec<_> = self.bits.keys().map(|list| self.uri(*list)).collect();
        json!({
            "iss": self.forge.issuer(), "iat": now, "exp": now + 300,
            "epoch": self.epoch, "seq": self.events.len(), "chain": self.chain(),
            "announced": self.announced, "lists": lists, "watermarks": self.watermarks,
        })
    }

    pub(crate) fn list_claims(&self, list: u32) -> serde_json::Value {
        let now = now_millis() / 1_000;
        let zeros = vec![0; LIST_BYTES];
        let lst = deflate(self.bits.get(&list).unwrap_or(&zeros)).unwrap();
        json!({
            "iss": self.forge.issuer(), "sub": self.uri(list), "iat": now, "exp": now + 300,
            "ttl": 10, "status_list": { "bits": 1, "lst": lst },
            "epoch": self.epoch, "seq": self.events.len(), "chain": self.chain(),
        })
    }

    fn document(&self, path: &str) -> Option<String> {
        match path {
            METADATA => {
                let issuer = self.forge.issuer();
                let jwks_uri = format!("{issuer}/jwks.json");
                Some(json!({ "issuer": issuer, "jwks_uri": jwks_uri }).to_string())
            }
            "/jwks.json" => {
                let forges: Vec<_> = self.published.iter().collect();
                Some(crate::issuer::jwks_of(&forges))
            }
            "/revocation/snapshot" => Some(self.sign(SNAPSHOT_TYP, &self.snapshot_claims())),
            _ => {
                let list = path.strip_prefix("/status-lists/")?.parse().ok()?;
                Some(self.sign(LIST_TYP, &self.list_claims(list)))
            }
        }
    }
}

pub(crate) fn now_millis() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "what the server signs must be of the time at which the verifier reads it"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

pub(crate) fn list_event(server: &LogServer, list: u32) -> Event {
    let uri = server.log().uri(list);
    Event::List(ListAnnouncement {
        uri,
        size: LIST_SIZE,
    })
}

async fn serve(mut socket: TcpStream, shared: Arc<Mutex<Log>>) {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => head.extend_from_slice(&buffer[..length]),
        }
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    shared.lock().unwrap().requests.push(head.clone());
    while shared.lock().unwrap().path == Path::Partitioned {
        tokio::time::sleep(TICK).await;
    }
    match path {
        "/revocation/stream" => {
            let after = head
                .lines()
                .find_map(|line| line.strip_prefix("last-event-id: "));
            let after = after.unwrap().parse().unwrap();
            shared.lock().unwrap().open_streams += 1;
            stream(&mut socket, &shared, after).await;
            shared.lock().unwrap().open_streams -= 1;
        }
        "/revocation/changes" => {
            let after = query
                .strip_prefix("after=")
                .unwrap()
                .split('&')
                .next()
                .unwrap();
            let answer = changes(&shared, after.parse().unwrap()).await;
            respond(&mut socket, answer).await;
        }
        path => {
            let answer = {
                let log = shared.lock().unwrap();
                let answer = log.answers.get(path).cloned();
                answer.unwrap_or_else(|| match log.document(path) {
                    Some(body) => (200, None, body.into_bytes()),
                    None => (404, None, Vec::new()),
                })
            };
            respond(&mut socket, answer).await;
        }
    }
}

async fn respond(socket: &mut TcpStream, answer: (u16, Option<&'static str>, Vec<u8>)) {
    let (status, coding, body) = answer;
    let coding = coding.map_or(String::new(), |coding| {
        format!("content-encoding: {coding}\r\n")
    });
    let head = format!(
        "HTTP/1.1 {status} x\r\nconnection: close\r\n{coding}content-length: {}\r\n\r\n",
        body.len()
    );
    // The client may have hung up on purpose.
    let _ = socket.write_all(&[head.as_bytes(), &body].concat()).await;
    let _ = socket.shutdown().await;
}

async fn changes(shared: &Mutex<Log>, after: Position) -> (u16, Option<&'static str>, Vec<u8>) {
    for _ in 0..50 {
        {
            let log = shared.lock().unwrap();
            if log.epoch != after.epoch {
                return (410, None, b"{\"error\":\"reset\"}".to_vec());
            }
            if log.position() > after {
                break;
            }
        }
        tokio::time::sleep(TICK).await;
    }
    let log = shared.lock().unwrap();
    let seq = usize::try_from(after.seq).unwrap();
    let (heartbeat, before) = match &log.latest_beat {
        Some(latest) => latest.clone(),
        None => (log.heartbeat(), log.events.len()),
    };
    // As the server does: up to the heartbeat where that is later, else all there is.
    let up_to = if before > seq {
        before
    } else {
        log.events.len()
    };
    let changes = Changes {
        events: log.events[seq..up_to].to_vec(),
        heartbeat,
    };
    (200, None, serde_json::to_vec(&changes).unwrap())
}

async fn stream(socket: &mut TcpStream, shared: &Mutex<Log>, after: Position) {
    let number = {
        let mut log = shared.lock().unwrap();
        log.streams += 1;
        log.streams - 1
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let _ = socket.write_all(head.as_bytes()).await;
    let mut sent = usize::try_from(after.seq).unwrap();
    let mut injected = shared.lock().unwrap().injected.len();
    let mut next_beat = tokio::time::Instant::now();
    loop {
        let mut text = String::new();
        {
            let log = shared.lock().unwrap();
            if number < log.cut_below {
                return;
            }
            let is_frozen = number < log.frozen_below || log.path != Path::Open;
            if !is_frozen {
                if log.epoch != after.epoch || sent > log.events.len() {
                    text.push_str(&sse::reset("position_unknown"));
                } else {
                    log.events[sent..]
                        .iter()
                        .for_each(|frame| text.push_str(&sse::frame(frame)));
                    sent = log.events.len();
                }
                text.push_str(&log.injected[injected..].concat());
                injected = log.injected.len();
                if next_beat <= tokio::time::Instant::now() {
                    text.push_str(&sse::heartbeat(&log.heartbeat()));
                    next_beat = tokio::time::Instant::now() + BEAT;
                }
            }
        }
        if !text.is_empty() && socket.write_all(text.as_bytes()).await.is_err() {
            return;
        }
        if text.starts_with("event: reset") {
            return;
        }
        // A reader that is gone is noticed also when there is nothing to write.
        let mut byte = [0];
        if let Ok(Ok(0)) = tokio::time::timeout(TICK, socket.read(&mut byte)).await {
            return;
        }
    }
}
