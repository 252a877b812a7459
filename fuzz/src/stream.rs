//! The stream of revocations: events as text, and a reader that follows them.
//!
//! The input is the text of a stream, or, behind `+`, what somebody between server and reader makes
//! of an honest stream. However bytes are cut up on the way, the events are the same; and a reader
//! that thinks itself up to date has applied the server's log, all of it and nothing else.

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::json;
use tokensmith::domain::ports::TokenKind;
use tokensmith_verify::fuzzing::{Heard, Rehearsal, Source};
use tokensmith_verify::revocation::sse::{
    self, EventReader, MAX_EVENT_BYTES, MalformedStream, Message, RawEvent,
};
use tokensmith_verify::revocation::{Chain, Event, Frame, Position, Snapshot};

use crate::choices::{Choices, edit};
use crate::signed::{ISSUER, KEYS, NOW};

const EPOCH: u64 = 7;
/// The first heartbeat, in milliseconds since 1970.
const FIRST_BEAT: i64 = NOW * 1_000;

static SOURCE: LazyLock<Source> = LazyLock::new(|| {
    Source::new(ISSUER, KEYS.key_set(), Duration::from_secs(30)).expect("the issuer is a URL")
});
static LOG: LazyLock<Log> = LazyLock::new(Log::new);

/// What the server has to say.
struct Log {
    frames: Vec<Frame>,
    /// One for each place in the log, from before the first event on.
    heartbeats: Vec<String>,
    /// What looks like them and is not.
    forgeries: Vec<String>,
}

/// Holds every property of the stream.
pub fn check(data: &[u8]) {
    match data.split_first() {
        Some((b'+', script)) => check_follower(&mut Choices::new(script)),
        _ => check_text(data),
    }
}

fn check_text(text: &[u8]) {
    let whole = events(&[text]);
    let (first, second) = text.split_at(text.len() / 2);
    assert_eq!(events(&[first, second]), whole, "a cut changes nothing");
    let bytes: Vec<_> = text.chunks(1).collect();
    assert_eq!(events(&bytes), whole, "cuts everywhere change nothing");
    let (read, error) = whole;
    if error.is_none() {
        assert_eq!(
            Some(&read),
            naive_events(text).as_ref(),
            "two readings agree"
        );
    }
    for event in read {
        assert!(
            event.data.len() <= MAX_EVENT_BYTES,
            "an event has its bounds"
        );
        check_event(event);
    }
}

fn check_event(event: RawEvent) {
    let id = event.id.clone();
    let Ok(message) = event.into_message() else {
        return;
    };
    let printed = match &message {
        Message::Frame(frame) => {
            assert_eq!(
                Some(frame.position.to_string()),
                id,
                "a position has one spelling"
            );
            let _ = frame.event();
            sse::frame(frame)
        }
        Message::Heartbeat(signed) => sse::heartbeat(signed),
        Message::Reset(reset) => sse::reset(&reset.reason),
    };
    let (mut again, error) = events(&[printed.as_bytes()]);
    assert_eq!(
        (again.len(), error),
        (1, None),
        "one event is printed as one"
    );
    let again = again.remove(0).into_message();
    // A line feed in the data is printed as a space.
    let expected = match message {
        Message::Frame(frame) => Message::Frame(Frame {
            data: frame.data.replace('\n', " "),
            ..frame
        }),
        Message::Heartbeat(signed) => Message::Heartbeat(signed.replace('\n', " ")),
        reset @ Message::Reset(_) => reset,
    };
    assert_eq!(again, Ok(expected), "parse then print is the identity");
}

fn events(chunks: &[&[u8]]) -> (Vec<RawEvent>, Option<MalformedStream>) {
    let mut reader = EventReader::default();
    let mut all = Vec::new();
    for chunk in chunks {
        match reader.read(chunk) {
            Ok(events) => all.extend(events),
            // How much was read before depends on the cut; that there is an error does not.
            Err(error) => return (Vec::new(), Some(error)),
        }
    }
    (all, None)
}

/// WHATWG HTML §9.2.6, on the whole text at once.
fn naive_events(text: &[u8]) -> Option<Vec<RawEvent>> {
    let lines = lines_of(text);
    let mut events = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let line = std::str::from_utf8(line).ok()?;
        let line = line
            .strip_prefix('\u{feff}')
            .filter(|_| number == 0)
            .unwrap_or(line);
        if line.is_empty() {
            events.extend(naive_event(&std::mem::take(&mut fields)));
        } else {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            fields.push((name.to_owned(), value.to_owned()));
        }
    }
    Some(events)
}

/// The lines that have ended.
fn lines_of(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut line = Vec::new();
    let mut bytes = text.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if(|next| **next == b'\n');
                lines.push(std::mem::take(&mut line));
            }
            b'\n' => lines.push(std::mem::take(&mut line)),
            other => line.push(*other),
        }
    }
    lines
}

fn naive_event(fields: &[(String, String)]) -> Option<RawEvent> {
    let all = |wanted: &str| {
        let same = fields.iter().filter(move |(name, _)| name == wanted);
        same.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    let data = all("data");
    let mut ids = all("id");
    ids.retain(|id| !id.contains('\0'));
    let name = all("event").pop().unwrap_or_default().to_owned();
    (!data.is_empty()).then(|| RawEvent {
        id: ids.pop().map(str::to_owned),
        event: if name.is_empty() {
            "message".to_owned()
        } else {
            name
        },
        data: data.join("\n"),
    })
}

fn check_follower(choices: &mut Choices<'_>) {
    let snapshot = Snapshot {
        iss: ISSUER.to_owned(),
        iat: NOW,
        exp: NOW + 60,
        epoch: EPOCH,
        seq: 0,
        chain: Chain::START,
        announced: 1,
        lists: Vec::new(),
        watermarks: Vec::new(),
    };
    let mut reader = Rehearsal::new(&SOURCE, &snapshot);
    let begun = Duration::from_mins(1);
    let mut elapsed = begun;
    let mut is_honest = true;
    while !choices.is_over() {
        elapsed += Duration::from_millis(u64::from(choices.byte()) * 4);
        let event = next_event(choices, &reader, &mut is_honest);
        let since = elapsed.saturating_sub(begun).as_millis();
        let wall = FIRST_BEAT.saturating_add(i64::try_from(since).unwrap_or(i64::MAX));
        let confirmed = reader.confirmed();
        let heard = reader.hear(event, wall, elapsed);
        check_knowledge(&reader, heard, confirmed);
        if heard == Heard::Resync {
            assert!(!is_honest, "an honest stream is never given up");
            break;
        }
    }
    let bits: u64 = reader.applied().iter().map(bits_of).sum();
    assert!(reader.revoked() <= bits, "no bit is set without an event");
}

fn bits_of(frame: &Frame) -> u64 {
    match frame.event() {
        Ok(Event::Delta(delta)) => delta.idx.len() as u64,
        _ => 0,
    }
}

fn check_knowledge(reader: &Rehearsal, heard: Heard, confirmed_before: Position) {
    let applied = reader.applied();
    let seq = applied.len() as u64;
    let position = Position { epoch: EPOCH, seq };
    assert_eq!(
        reader.position(),
        position,
        "events are applied in their order, without a gap"
    );
    if heard == Heard::Fresh {
        let log = LOG.frames.get(..applied.len());
        assert_eq!(
            log,
            Some(applied),
            "whoever is up to date knows the server's log"
        );
        assert_eq!(
            reader.confirmed(),
            position,
            "a good heartbeat confirms what it counts"
        );
    } else {
        assert_eq!(
            reader.confirmed(),
            confirmed_before,
            "only a heartbeat confirms anything"
        );
    }
}

/// What comes next: mostly what the server would send, sometimes what somebody in between makes up.
fn next_event(choices: &mut Choices<'_>, reader: &Rehearsal, is_honest: &mut bool) -> RawEvent {
    let stand = reader.applied().len();
    let next = LOG.frames.get(stand);
    let kind = choices.byte() % 8;
    if let (0 | 1, Some(frame)) = (kind, next) {
        return raw(frame);
    }
    if kind == 2
        && let Some(signed) = LOG.heartbeats.get(stand)
    {
        return heartbeat(signed.clone());
    }
    *is_honest = false;
    match kind {
        3 => heartbeat(choices.pick(&LOG.forgeries).clone()),
        4 => {
            let signed = choices.pick(&LOG.heartbeats);
            heartbeat(edited(signed, choices))
        }
        5 => heartbeat(choices.pick(&LOG.heartbeats).clone()),
        6 => {
            let frame = raw(choices.pick(&LOG.frames));
            let data = edited(&frame.data, choices);
            RawEvent { data, ..frame }
        }
        _ => {
            let seq = stand as u64 + u64::from(choices.byte() % 4);
            let frame = choices.pick(&LOG.frames);
            RawEvent {
                id: Some(Position { epoch: EPOCH, seq }.to_string()),
                ..raw(frame)
            }
        }
    }
}

fn edited(text: &str, choices: &mut Choices<'_>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    edit(&mut bytes, choices);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn raw(frame: &Frame) -> RawEvent {
    RawEvent {
        id: Some(frame.position.to_string()),
        event: frame.event.clone(),
        data: frame.data.clone(),
    }
}

fn heartbeat(signed: String) -> RawEvent {
    RawEvent {
        id: None,
        event: "heartbeat".to_owned(),
        data: signed,
    }
}

impl Log {
    fn new() -> Self {
        let list = |number: u32| format!("{ISSUER}/status-lists/{number}");
        let events = [
            ("delta", json!({"list": list(0), "idx": [1, 2, 1_048_575]})),
            ("list", json!({"uri": list(1), "size": 1_048_576})),
            ("delta", json!({"list": list(1), "idx": [0]})),
            ("watermark", json!({"client": "orders", "not_before": NOW})),
            ("delta", json!({"list": list(0), "idx": [3]})),
            (
                "watermark",
                json!({"issuer": ISSUER, "not_before": NOW - 600}),
            ),
            ("list", json!({"uri": list(2), "size": 1_048_576})),
            ("delta", json!({"list": list(2), "idx": [7, 8]})),
        ];
        let mut frames = Vec::new();
        let mut chain = Chain::START;
        let mut heartbeats = vec![signed(&beat(0, chain))];
        for (place, (event, data)) in events.into_iter().enumerate() {
            let seq = place as u64 + 1;
            let data = data.to_string();
            chain = chain.with(event, &data);
            heartbeats.push(signed(&beat(seq, chain)));
            frames.push(Frame {
                position: Position { epoch: EPOCH, seq },
                event: event.to_owned(),
                data,
            });
        }
        Self {
            frames,
            heartbeats,
            forgeries: forgeries(),
        }
    }
}

fn beat(seq: u64, chain: Chain) -> serde_json::Value {
    let later = i64::try_from(seq).unwrap_or(i64::MAX) * 500;
    json!({"iss": ISSUER, "epoch": EPOCH, "seq": seq, "chain": chain, "as_of": FIRST_BEAT + later})
}

fn signed(beat: &serde_json::Value) -> String {
    let payload = beat.to_string();
    let signer = KEYS.ed25519();
    signer
        .sign(TokenKind::RevocationHeartbeat, payload.as_bytes())
        .expect("a parsed key signs")
}

/// Each would make a reader that has applied nothing look up to date.
fn forgeries() -> Vec<String> {
    let good = beat(0, Chain::START);
    let mut foreign = good.clone();
    foreign["iss"] = json!("https://other.example.com");
    let mut old = good.clone();
    old["epoch"] = json!(EPOCH - 1);
    let good = good.to_string();
    let access_token = KEYS.ed25519().sign_access_token(good.as_bytes());
    let unsigned = signed(&beat(0, Chain::START));
    let unsigned = unsigned.rsplit_once('.').map_or("", |(input, _)| input);
    vec![
        signed(&foreign),
        signed(&old),
        access_token.expect("a parsed key signs"),
        KEYS.sign_raw(br#"{"alg":"Ed25519","kid":"raw"}"#, good.as_bytes()),
        KEYS.sign_raw(
            br#"{"alg":"none","typ":"revocation-heartbeat+jwt","kid":"raw"}"#,
            good.as_bytes(),
        ),
        format!("{unsigned}."),
        good,
    ]
}
