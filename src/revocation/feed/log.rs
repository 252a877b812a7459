//! Where the log stands, and what each reader gets of it next.

use std::time::Duration;

use bytes::Bytes;
use tokensmith_verify::revocation::sse::{self, EventReader, Message};
use tokensmith_verify::revocation::{Changes, Frame, Position};
use tokio::time::Instant;

use super::super::ring::{Limits, Ring};

/// After so many heartbeats from before its place a reader is not merely ahead of a replica that is
/// late: five seconds.
pub(super) const MOST_EARLIER_HEARTBEATS: u8 = 10;

/// The most text of events in one answer to a reader that polls. It asks again for the rest.
const MOST_POLLED_BYTES: usize = 256 * 1024;

/// The log as far as it is known here.
pub(super) struct Log {
    /// Nothing is known before the first restart.
    epoch: Option<u64>,
    ring: Ring,
    limits: Limits,
    /// The number that the latest restart began at.
    restarted_at: u64,
    heartbeat: Option<Heartbeat>,
    heartbeats: u64,
}

/// The latest heartbeat.
struct Heartbeat {
    signed: String,
    text: Bytes,
    /// Counts heartbeats, so that each is sent once.
    serial: u64,
    /// The number of the last event before it.
    seq: u64,
    at: Instant,
}

/// What one reader has been given.
pub(super) struct Progress {
    pub(super) place: Position,
    /// The serial of the latest heartbeat that it got, or that was of no use to it.
    heartbeat: u64,
    /// How many heartbeats in a row were from before its place.
    earlier_heartbeats: u8,
}

/// The feed cannot go on from where the reader stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log cannot be read from there ({reason}): take a new snapshot")]
pub struct Behind {
    /// `new_epoch`, `behind`, `restarted`, `too_slow` or `ahead`.
    pub reason: &'static str,
    /// A place that the feed does go on from, for some time yet.
    pub earliest: Position,
}

impl Progress {
    /// Nothing yet.
    pub(super) fn at(place: Position) -> Self {
        Self {
            place,
            heartbeat: 0,
            earlier_heartbeats: 0,
        }
    }
}

impl Log {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            epoch: None,
            ring: Ring::new(0, limits),
            limits,
            restarted_at: 0,
            heartbeat: None,
            heartbeats: 0,
        }
    }

    pub(super) fn restart(&mut self, at: Position) {
        self.epoch = Some(at.epoch);
        self.ring = Ring::new(at.seq, self.limits);
        self.restarted_at = at.seq;
        self.heartbeat = None;
    }

    /// Adds events, and answers how many were new.
    pub(super) fn add(&mut self, frames: &[Frame]) -> u64 {
        let mut added = 0;
        for frame in frames {
            let Position { epoch, seq } = frame.position;
            let end = self.ring.end();
            if self.epoch == Some(epoch) && seq <= end {
                continue;
            }
            if self.epoch != Some(epoch) || seq != end + 1 {
                tracing::warn!(position = %frame.position, "the log of revocations has a gap");
                self.restart(Position {
                    epoch,
                    seq: seq.saturating_sub(1),
                });
            }
            self.ring.push(frame);
            added += 1;
        }
        added
    }

    pub(super) fn beat(&mut self, signed: &str) {
        // So that no segment goes beyond its place.
        self.ring.seal();
        self.heartbeats += 1;
        self.heartbeat = Some(Heartbeat {
            signed: signed.to_owned(),
            text: sse::heartbeat(signed).into(),
            serial: self.heartbeats,
            seq: self.ring.end(),
            at: Instant::now(),
        });
    }

    /// Hands out what has been added.
    pub(super) fn seal(&mut self) {
        self.ring.seal();
    }

    pub(super) fn heartbeat_age(&self) -> Option<Duration> {
        self.heartbeat.as_ref().map(|latest| latest.at.elapsed())
    }

    /// Where a reader without a place begins: the latest heartbeat is worth something only to a
    /// reader that stands where it does.
    pub(super) fn present(&self) -> Option<Position> {
        let latest = self.heartbeat.as_ref();
        let seq = latest.map_or_else(|| self.ring.end(), |latest| latest.seq);
        let seq = seq.max(self.ring.start());
        self.epoch.map(|epoch| Position { epoch, seq })
    }

    /// The end of the log.
    pub(super) fn position(&self) -> Option<Position> {
        let seq = self.ring.end();
        self.epoch.map(|epoch| Position { epoch, seq })
    }

    /// Whether the log does not go on from a place. `too_old` is what it is called when the ring does
    /// not reach back.
    pub(super) fn refuse(&self, place: Position, too_old: &'static str) -> Result<(), Behind> {
        let epoch = self.epoch.unwrap_or_default();
        let reason = if place.epoch < epoch {
            "new_epoch"
        } else if place.epoch > epoch || place.seq >= self.ring.start() {
            return Ok(());
        } else if place.seq < self.restarted_at {
            "restarted"
        } else {
            too_old
        };
        Err(self.behind(reason))
    }

    fn behind(&self, reason: &'static str) -> Behind {
        let (start, end) = (self.ring.start(), self.ring.end());
        Behind {
            reason,
            earliest: Position {
                epoch: self.epoch.unwrap_or_default(),
                // Not the very oldest event: that may be gone when the reader comes back.
                seq: start + (end - start) / 8,
            },
        }
    }

    /// What comes next for a reader.
    pub(super) fn next(&self, progress: &mut Progress) -> Result<Option<Bytes>, Behind> {
        let place = progress.place;
        self.refuse(place, "too_slow")?;
        let is_ahead = self.position().is_none_or(|end| place > end);
        if let Some(latest) = &self.heartbeat
            && latest.serial > progress.heartbeat
        {
            if !is_ahead && latest.seq == place.seq {
                progress.heartbeat = latest.serial;
                progress.earlier_heartbeats = 0;
                return Ok(Some(latest.text.clone()));
            }
            if is_ahead || latest.seq < place.seq {
                progress.heartbeat = latest.serial;
                progress.earlier_heartbeats += 1;
                if progress.earlier_heartbeats > MOST_EARLIER_HEARTBEATS {
                    return Err(self.behind("ahead"));
                }
            }
        }
        if is_ahead {
            return Ok(None);
        }
        Ok(self.ring.after(place.seq).map(|(text, seq)| {
            progress.place.seq = seq;
            text
        }))
    }

    /// Whether a reader that polls gets something now, if only word that it is behind.
    pub(super) fn is_ready(&self, place: Position) -> bool {
        let is_here = self.epoch == Some(place.epoch);
        self.refuse(place, "too_slow").is_err() || (is_here && self.ring.after(place.seq).is_some())
    }

    /// What is new for a reader that polls; nothing but the heartbeat without a place. `None` before
    /// the first heartbeat.
    pub(super) fn news(&self, after: Option<Position>) -> Option<News> {
        Some(News {
            texts: after.map_or_else(Vec::new, |place| self.texts_after(place)),
            heartbeat: self.heartbeat.as_ref()?.signed.clone(),
        })
    }

    /// The events after a place up to the heartbeat, where it is later, else to the end.
    fn texts_after(&self, place: Position) -> Vec<Bytes> {
        let latest = self.heartbeat.as_ref();
        let up_to = latest
            .map(|latest| latest.seq)
            .filter(|seq| *seq > place.seq);
        let mut texts = Vec::new();
        let mut size = 0;
        let mut number = place.seq;
        // A place in a later epoch is ahead of everything here.
        let is_here = self.epoch == Some(place.epoch);
        while is_here && size < MOST_POLLED_BYTES && up_to.is_none_or(|seq| number < seq) {
            let Some((text, end)) = self.ring.after(number) else {
                break;
            };
            size += text.len();
            number = end;
            texts.push(text);
        }
        texts
    }
}

/// What a reader that polls gets, shared with the log: made under its lock, read outside it.
pub(super) struct News {
    texts: Vec<Bytes>,
    heartbeat: String,
}

impl News {
    /// As it is answered.
    pub(super) fn into_changes(self) -> Changes {
        Changes {
            events: self.texts.iter().flat_map(|text| frames(text)).collect(),
            heartbeat: self.heartbeat,
        }
    }
}

/// The events in a text of ours.
fn frames(text: &[u8]) -> impl Iterator<Item = Frame> {
    let events = EventReader::default().read(text).unwrap_or_default();
    events
        .into_iter()
        .filter_map(|event| match event.into_message() {
            Ok(Message::Frame(frame)) => Some(frame),
            _ => None,
        })
}

impl Behind {
    /// The event that tells a reader so, the last of its stream.
    #[must_use]
    pub fn text(&self) -> Bytes {
        let Self { reason, earliest } = self;
        format!("event: reset\ndata: {{\"reason\":\"{reason}\",\"earliest\":\"{earliest}\"}}\n\n")
            .into()
    }
}
