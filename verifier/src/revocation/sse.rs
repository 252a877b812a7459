//! Server-sent events (WHATWG HTML §9.2): what the stream of revocations is written in.
//!
//! The server writes with [`frame`], [`heartbeat`] and [`reset`]; a reader feeds the bytes to an
//! [`EventReader`] as they arrive and makes sense of each event with [`RawEvent::into_message`].
//!
//! ```
//! use tokensmith_verify::revocation::sse::{EventReader, Message, heartbeat};
//!
//! let text = heartbeat("eyJ…");
//! let (first, rest) = text.as_bytes().split_at(7);
//! let mut reader = EventReader::default();
//! assert!(reader.read(first)?.is_empty(), "the event is not complete yet");
//! let mut events = reader.read(rest)?;
//! let message = events.remove(0).into_message()?;
//! assert_eq!(message, Message::Heartbeat("eyJ…".to_owned()));
//! # Ok::<(), tokensmith_verify::revocation::sse::MalformedStream>(())
//! ```

use std::borrow::Cow;

use serde::Deserialize;

use super::Frame;

/// The media type of a stream.
pub const MEDIA_TYPE: &str = "text/event-stream";
/// The longest line that is read.
pub const MAX_LINE_BYTES: usize = 64 * 1024;
/// The most data that one event may have on all its lines together.
pub const MAX_EVENT_BYTES: usize = 128 * 1024;

/// One event as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEvent {
    /// The `id` that this event itself has. The standard lets an event without one keep that of
    /// the event before; here it has none, because a heartbeat is no place in the log.
    pub id: Option<String>,
    /// Its name; `message` where none was sent.
    pub event: String,
    /// Its data; several lines are joined by line feeds.
    pub data: String,
}

/// What an event of the stream means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// An event of the log. Its name may be one that nobody knows.
    Frame(Frame),
    /// A signed heartbeat, which nobody has verified yet.
    Heartbeat(String),
    /// The end of the stream: the reader takes a new snapshot.
    Reset(Reset),
}

/// Why the reader must take a new snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Reset {
    /// A label for logs. It comes from the network unsigned.
    #[serde(default)]
    pub reason: String,
}

/// A stream that cannot be read on: the connection is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedStream {
    /// A line of more than [`MAX_LINE_BYTES`], or an event of more than [`MAX_EVENT_BYTES`].
    #[error("an event of the stream is too long")]
    TooLong,
    /// Not UTF-8.
    #[error("the stream is not UTF-8")]
    NotUtf8,
    /// An `id` that is no position, or an event without `id` that is neither heartbeat nor reset.
    /// It must not be skipped: nobody knows what it was.
    #[error("an event of the stream is not understood")]
    UnknownEvent,
}

impl RawEvent {
    /// What the event means.
    ///
    /// # Errors
    ///
    /// [`MalformedStream::UnknownEvent`].
    pub fn into_message(self) -> Result<Message, MalformedStream> {
        match (self.id, self.event.as_str()) {
            (Some(id), _) => Ok(Message::Frame(Frame {
                position: id.parse().map_err(|_| MalformedStream::UnknownEvent)?,
                event: self.event,
                data: self.data,
            })),
            (None, "heartbeat") => Ok(Message::Heartbeat(self.data)),
            // The reason is only for logs, so one that cannot be read changes nothing.
            (None, "reset") => Ok(Message::Reset(
                serde_json::from_str(&self.data).unwrap_or_default(),
            )),
            (None, _) => Err(MalformedStream::UnknownEvent),
        }
    }
}

/// Takes a stream apart, however its bytes are cut up on the way.
///
/// It holds no more than one event. After an error it must be thrown away.
#[derive(Debug, Default)]
pub struct EventReader {
    /// The line that has begun.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    is_after_cr: bool,
    /// A byte order mark can only be at the very beginning.
    has_begun: bool,
    id: Option<String>,
    event: Option<String>,
    data: Option<String>,
}

impl EventReader {
    /// Takes the next bytes in and returns the events that are complete with them.
    ///
    /// # Errors
    ///
    /// [`MalformedStream::TooLong`] and [`MalformedStream::NotUtf8`].
    pub fn read(&mut self, bytes: &[u8]) -> Result<Vec<RawEvent>, MalformedStream> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while let Some((first, after)) = rest.split_first() {
            if std::mem::take(&mut self.is_after_cr) && *first == b'\n' {
                rest = after;
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let (text, terminated) = rest.split_at(end.unwrap_or(rest.len()));
            if self.line.len() + text.len() > MAX_LINE_BYTES {
                return Err(MalformedStream::TooLong);
            }
            self.line.extend_from_slice(text);
            let Some((terminator, after)) = terminated.split_first() else {
                break;
            };
            self.is_after_cr = *terminator == b'\r';
            rest = after;
            let line = std::mem::take(&mut self.line);
            events.extend(self.read_line(&line)?);
        }
        Ok(events)
    }

    fn read_line(&mut self, line: &[u8]) -> Result<Option<RawEvent>, MalformedStream> {
        let line = std::str::from_utf8(line).map_err(|_| MalformedStream::NotUtf8)?;
        let line = if std::mem::replace(&mut self.has_begun, true) {
            line
        } else {
            line.strip_prefix('\u{feff}').unwrap_or(line)
        };
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "event" => self.event = Some(value.to_owned()),
            "data" => self.append(value)?,
            // A comment begins with a colon and so has no name; `retry` and what the standard does
            // not know are skipped, as it demands.
            _ => {}
        }
        Ok(None)
    }

    fn append(&mut self, value: &str) -> Result<(), MalformedStream> {
        let data = match &mut self.data {
            None => self.data.insert(String::new()),
            Some(data) => {
                data.push('\n');
                data
            }
        };
        if data.len() + value.len() > MAX_EVENT_BYTES {
            return Err(MalformedStream::TooLong);
        }
        data.push_str(value);
        Ok(())
    }

    /// An empty line ends an event; one without data is none, says the standard.
    fn dispatch(&mut self) -> Option<RawEvent> {
        let (id, event) = (self.id.take(), self.event.take());
        Some(RawEvent {
            id,
            event: event
                .filter(|event| !event.is_empty())
                .unwrap_or_else(|| "message".to_owned()),
            data: self.data.take()?,
        })
    }
}

/// An event of the log as text.
#[must_use]
pub fn frame(frame: &Frame) -> String {
    let Frame {
        position,
        event,
        data,
    } = frame;
    format!("id: {position}\n{}", unnumbered(event, data))
}

/// A signed heartbeat as text.
#[must_use]
pub fn heartbeat(signed: &str) -> String {
    unnumbered("heartbeat", signed)
}

/// The end of a stream as text. `reason` is a label in `snake_case`.
#[must_use]
pub fn reset(reason: &str) -> String {
    let data = serde_json::json!({ "reason": reason });
    unnumbered("reset", &data.to_string())
}

fn unnumbered(event: &str, data: &str) -> String {
    // What the server writes has no line breaks. A relay passes on what others wrote, and must not
    // be made to write an event that was none.
    let (event, data) = (one_line(event), one_line(data));
    format!("event: {event}\ndata: {data}\n\n")
}

fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(['\r', '\n']) {
        Cow::Owned(text.replace(['\r', '\n'], " "))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Position;
    use super::*;

    fn event(id: Option<&str>, event: &str, data: &str) -> RawEvent {
        RawEvent {
            id: id.map(str::to_owned),
            event: event.to_owned(),
            data: data.to_owned(),
        }
    }

    /// Whole, and cut at every place.
    fn read(text: &str) -> Vec<RawEvent> {
        let whole = EventReader::default().read(text.as_bytes()).unwrap();
        for at in 0..text.len() {
            let (first, rest) = text.as_bytes().split_at(at);
            let mut reader = EventReader::default();
            let mut events = reader.read(first).unwrap();
            events.extend(reader.read(rest).unwrap());
            assert_eq!(events, whole, "cut at {at}");
        }
        let mut reader = EventReader::default();
        let bytes = text.as_bytes().chunks(1);
        let events: Vec<_> = bytes.flat_map(|byte| reader.read(byte).unwrap()).collect();
        assert_eq!(events, whole, "byte by byte");
        whole
    }

    #[test]
    fn an_event_is_read_whatever_ends_its_lines_and_wherever_it_is_cut() {
        let expected = [
            event(Some("1.2"), "delta", "{}"),
            event(None, "heartbeat", "e"),
        ];
        for end in ["\n", "\r\n", "\r"] {
            let text = ["id: 1.2", "event: delta", "data: {}", ""];
            let more = ["event:heartbeat", "data:e", "", ""];
            let text = [text, more].concat().join(end);
            assert_eq!(read(&text), expected, "{end:?}");
            let text = format!("\u{feff}: hello{end}{text}");
            assert_eq!(read(&text), expected, "{end:?}");
        }
    }

    #[test]
    fn the_fine_print_of_the_standard_is_kept() {
        for (text, expected) in [
            (
                "data: a\ndata:  b\n\n",
                vec![event(None, "message", "a\n b")],
            ),
            ("data\n\n", vec![event(None, "message", "")]),
            ("data\ndata\n\n", vec![event(None, "message", "\n")]),
            (
                "event: x\nid: 1\n\ndata: b\n\n",
                vec![event(None, "message", "b")],
            ),
            ("id: 1\0\ndata: b\n\n", vec![event(None, "message", "b")]),
            (
                "retry: 10\nunknown: x\ndata: b\n\n",
                vec![event(None, "message", "b")],
            ),
            ("event:\ndata: b\n\n", vec![event(None, "message", "b")]),
            ("data: ü:ß\n\n", vec![event(None, "message", "ü:ß")]),
            ("\n\n\n:\n\n", vec![]),
            // Only an empty line ends an event.
            ("data: b\n", vec![]),
            // A byte order mark further on is part of the name.
            (
                "data: a\n\n\u{feff}data: b\n\n",
                vec![event(None, "message", "a")],
            ),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_never_ends_is_not_collected() {
        let mut reader = EventReader::default();
        let line = vec![b'x'; MAX_LINE_BYTES];
        assert_eq!(reader.read(&line), Ok(vec![]));
        assert_eq!(reader.read(b"x"), Err(MalformedStream::TooLong));

        let mut reader = EventReader::default();
        let line = format!("data: {}\n", "x".repeat(MAX_LINE_BYTES - 6));
        assert_eq!(reader.read(line.as_bytes()), Ok(vec![]));
        assert_eq!(reader.read(line.as_bytes()), Ok(vec![]));
        assert_eq!(reader.read(line.as_bytes()), Err(MalformedStream::TooLong));
        // Bytes that are no text.
        let outcome = EventReader::default().read(b"data: \xff\n");
        assert_eq!(outcome, Err(MalformedStream::NotUtf8));
    }

    #[test]
    fn what_is_written_reads_back() {
        let written = Frame {
            position: Position { epoch: 7, seq: 8 },
            event: "delta".to_owned(),
            data: r#"{"list":"u","idx":[1]}"#.to_owned(),
        };
        let text = [frame(&written), heartbeat("e.f.g"), reset("too_slow")].concat();
        let messages = read(&text).into_iter().map(RawEvent::into_message);
        let reset = Reset {
            reason: "too_slow".to_owned(),
        };
        assert_eq!(
            messages.collect::<Vec<_>>(),
            [
                Ok(Message::Frame(written)),
                Ok(Message::Heartbeat("e.f.g".to_owned())),
                Ok(Message::Reset(reset)),
            ]
        );
    }

    #[test]
    fn a_line_break_inside_cannot_begin_another_event() {
        let written = Frame {
            position: Position::default(),
            event: "delta\n\nevent: reset".to_owned(),
            data: "a\r\rid: 1.1".to_owned(),
        };
        assert_eq!(read(&frame(&written)).len(), 1);
    }

    #[test]
    fn an_event_that_nobody_knows_is_not_skipped() {
        for unknown in [
            event(None, "delta", "{}"),
            event(None, "message", ""),
            event(Some("x"), "delta", "{}"),
            event(Some(""), "heartbeat", "e"),
        ] {
            let outcome = unknown.into_message();
            assert_eq!(outcome, Err(MalformedStream::UnknownEvent));
        }
        // A reset is one whatever its reason is.
        let reset = event(None, "reset", "<html>").into_message();
        assert_eq!(reset, Ok(Message::Reset(Reset::default())));
        // With an id it is of the log, and the log decides that it does not know it.
        let frame = event(Some("1.1"), "reset", "{}").into_message();
        assert!(matches!(frame, Ok(Message::Frame(frame)) if frame.event().is_err()));
    }
}
