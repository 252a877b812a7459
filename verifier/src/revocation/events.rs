//! The events of the log and the hash chain over them.

use aws_lc_rs::digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Position, Watermark};
use crate::base64url;

/// The most indices that one `delta` carries.
pub const MAX_INDICES: usize = 1_000;

/// What the log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Tokens were revoked.
    Delta(Delta),
    /// Tokens issued before an instant are dead.
    Watermark(Watermark),
    /// A new list was opened; the first token that names it comes seconds later.
    List(ListAnnouncement),
}

/// Bits that were set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The URI of the list.
    pub list: String,
    /// The positions, ascending; at most [`MAX_INDICES`].
    pub idx: Vec<u32>,
}

/// A list that was opened, all zeros.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListAnnouncement {
    /// Its URI.
    pub uri: String,
    /// How many positions it has.
    pub size: u32,
}

/// One event as it travels: the bytes that the chain is computed over are kept as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Its place: the log stands here once it is applied. `id` in JSON.
    #[serde(rename = "id")]
    pub position: Position,
    /// The event's name.
    pub event: String,
    /// JSON.
    pub data: String,
}

/// The answer of the long poll: what came after the position that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// In their order; empty when nothing happened while the server waited.
    pub events: Vec<Frame>,
    /// The latest signed heartbeat.
    pub heartbeat: String,
}

/// A frame of a kind that is not known, or that does not have the form of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event `{event}` is not understood")]
pub struct MalformedEvent {
    /// Its name.
    pub event: String,
}

impl Event {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Delta(_) => "delta",
            Self::Watermark(_) => "watermark",
            Self::List(_) => "list",
        }
    }

    /// Its data on the wire: one line of JSON.
    ///
    /// # Errors
    ///
    /// Never for what this type can hold.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Delta(delta) => serde_json::to_string(delta),
            Self::Watermark(watermark) => serde_json::to_string(watermark),
            Self::List(list) => serde_json::to_string(list),
        }
    }
}

impl Frame {
    /// What it says.
    ///
    /// # Errors
    ///
    /// When this library does not understand it. Then it must not be skipped: a reader that does
    /// not know what it missed takes a new snapshot.
    pub fn event(&self) -> Result<Event, MalformedEvent> {
        let malformed = || MalformedEvent {
            event: self.event.clone(),
        };
        let event = match self.event.as_str() {
            "delta" => serde_json::from_str(&self.data).map(Event::Delta),
            "watermark" => serde_json::from_str(&self.data).map(Event::Watermark),
            "list" => serde_json::from_str(&self.data).map(Event::List),
            _ => return Err(malformed()),
        };
        event
            .ok()
            .filter(|event| !matches!(event, Event::Delta(delta) if delta.idx.len() > MAX_INDICES))
            .ok_or_else(malformed)
    }
}

/// The hash over all events of an epoch, in their order. In JSON base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain([u8; 32]);

impl Chain {
    /// Before the first event of an epoch.
    pub const START: Self = Self([0; 32]);

    /// The chain with one more event: SHA-256 of the chain so far (32 bytes), the event's name, a
    /// line feed, and the event's data.
    #[must_use]
    pub fn with(self, event: &str, data: &str) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.0);
        context.update(event.as_bytes());
        context.update(b"\n");
        context.update(data.as_bytes());
        let mut next = [0; 32];
        // A SHA-256 digest has 32 bytes.
        for (to, from) in next.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Self(next)
    }

    /// Its bytes, to be stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A chain that was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl Serialize for Chain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64url::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = base64url::decode(&text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("not the base64url of 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_depends_on_every_byte_and_on_the_order() {
        let start = Chain::START;
        let first = start.with("delta", "{}").with("list", "[]");
        for other in [
            start.with("delta", "{}"),
            start.with("list", "[]").with("delta", "{}"),
            start.with("delta", "{ }").with("list", "[]"),
            start.with("deltas", "{}").with("list", "[]"),
        ] {
            assert_ne!(first, other);
        }
        // So that another implementation can check itself.
        assert_eq!(
            serde_json::to_string(&start.with("delta", "{}")).unwrap(),
            "\"6lnyYZhaL_KhV8hhAfZbiZ2DLD7k2M_rn-N-U3CDMaM\""
        );
    }

    #[test]
    fn the_answer_of_the_long_poll_has_its_form() {
        let json = r#"{"events":[{"id":"7.8","event":"delta","data":"{\"list\":\"u\",\"idx\":[1]}"}],"heartbeat":"e"}"#;
        let changes: Changes = serde_json::from_str(json).unwrap();
        assert_eq!(changes.events[0].position, Position { epoch: 7, seq: 8 });
        assert!(changes.events[0].event().is_ok());
        assert_eq!(serde_json::to_string(&changes).unwrap(), json);
    }

    #[test]
    fn a_frame_of_an_unknown_kind_is_not_skipped() {
        let frame = |event: &str, data: &str| Frame {
            position: Position::default(),
            event: event.to_owned(),
            data: data.to_owned(),
        };
        let delta = frame(
            "delta",
            r#"{"list":"https://i/status-lists/0","idx":[1,2]}"#,
        );
        assert!(matches!(delta.event(), Ok(Event::Delta(_))));
        assert!(frame("purge", "{}").event().is_err());
        assert!(
            frame("delta", r#"{"list":"a","idx":[-1]}"#)
                .event()
                .is_err()
        );
        assert!(
            frame("delta", r#"{"list":"a","idx":[4294967296]}"#)
                .event()
                .is_err()
        );
        let many = serde_json::json!({"list":"a","idx": vec![0; MAX_INDICES + 1]});
        assert!(frame("delta", &many.to_string()).event().is_err());
    }
}
