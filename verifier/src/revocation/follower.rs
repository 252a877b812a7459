//! Where a reader stands in the log, and what it makes of what arrives: no network and no clock.
//!
//! What arrives is of two kinds. *Events* are not signed: they are applied at once, because all
//! that a forged one can do is to reject good tokens, and they extend the chain. *Heartbeats* are
//! signed: they confirm that the chain is the server's, or show that it is not.

use std::time::Duration;

use super::pulse::{Now, Pulse};
use super::state::Change;
use super::{
    Chain, Event, Frame, Heartbeat, LIST_SIZE, ListUris, Position, Watermark, WatermarkScope,
    Watermarks,
};

/// Data of events that no heartbeat has confirmed yet. A server confirms twice a second; without a
/// bound, somebody in between could fill the reader's memory with what nobody signed.
const MAX_UNCONFIRMED_BYTES: usize = 64 << 20;
/// How long heartbeats may name another place than the reader's. Of several servers one may know an
/// event a moment before the others, and a heartbeat may overtake the events that it counts. After
/// that an event was lost, or never was.
const PATIENCE: Duration = Duration::from_secs(1);

/// A place in the log that a signed document vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) position: Position,
    pub(crate) chain: Chain,
}

/// What an event leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Apply(Change),
    Ignore,
    Resync(Resync),
}

/// What a heartbeat leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Nothing had been missed at this instant of the monotonic clock.
    Fresh(Duration),
    /// It shows nothing.
    Ignore,
    Resync(Resync),
}

/// Why what the reader knows can no longer be brought up to date by events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resync {
    /// An event was lost.
    Gap,
    /// The log is of another epoch.
    Epoch,
    /// An event is not understood; what it means can only be had from a snapshot.
    UnknownEvent,
    /// The chain is not the server's: an event was forged, lost or reordered.
    ChainMismatch,
    /// The log does not go as far as the reader: an event was forged.
    AheadOfLog,
    /// More events than a server leaves without a heartbeat.
    Unconfirmed,
    /// More lists have a bit set than are kept. Bits of expired tokens stay until a resync, so a new
    /// snapshot has fewer.
    TooManyLists,
    /// The server says so.
    Reset,
    /// A token names a list that has not been announced.
    Asked,
}

/// The state machine.
#[derive(Debug)]
pub(crate) struct Follower {
    uris: ListUris,
    stand: Anchor,
    announced: u32,
    unconfirmed_bytes: usize,
    /// Cut-offs of keys since the last confirmation. They count for tokens at once, but for
    /// documents only when confirmed: else a forged one would silence the server for good.
    unconfirmed_kids: Watermarks,
    /// Cut-offs of keys that signed documents vouch for; they outlive every resync.
    distrusted: Watermarks,
    /// Since when heartbeats have named another place than the reader's.
    astray_since: Option<Duration>,
    pulse: Pulse,
}

impl Follower {
    /// Stands nowhere yet; see [`stand_at`](Self::stand_at).
    pub(crate) fn new(uris: ListUris, leeway: Duration) -> Self {
        Self {
            uris,
            stand: Anchor {
                position: Position::default(),
                chain: Chain::START,
            },
            announced: 0,
            unconfirmed_bytes: 0,
            unconfirmed_kids: Watermarks::default(),
            distrusted: Watermarks::default(),
            astray_since: None,
            pulse: Pulse::new(leeway),
        }
    }

    /// Goes on from a snapshot. What is known of earlier heartbeats and of keys stays.
    pub(crate) fn stand_at(&mut self, anchor: Anchor, announced: u32, watermarks: &[Watermark]) {
        self.stand = anchor;
        self.announced = announced;
        self.unconfirmed_bytes = 0;
        self.unconfirmed_kids = Watermarks::default();
        self.astray_since = None;
        let of_keys = watermarks.iter().filter(|mark| is_of_key(mark));
        of_keys.for_each(|mark| self.distrusted.raise(mark.clone()));
    }

    pub(crate) const fn position(&self) -> Position {
        self.stand.position
    }

    /// Whether nothing that this key signed at that instant (Unix seconds) is believed.
    pub(crate) fn distrusts(&self, kid: &str, signed_at: i64) -> bool {
        signed_at < self.distrusted.not_before_of_key(kid)
    }

    /// The cut-offs of keys that signed documents have vouched for since the beginning.
    pub(crate) fn distrusted(&self) -> impl Iterator<Item = Watermark> {
        self.distrusted.iter()
    }

    /// Takes in an event.
    pub(crate) fn frame(&mut self, frame: &Frame) -> Step {
        let Position { epoch, seq } = self.stand.position;
        if frame.position.epoch != epoch {
            return Step::Resync(Resync::Epoch);
        }
        // A repetition adds nothing, and were it another event under an old number, the chain would
        // tell: it is over what was applied.
        if frame.position.seq <= seq {
            return Step::Ignore;
        }
        if frame.position.seq - seq > 1 {
            return Step::Resync(Resync::Gap);
        }
        self.unconfirmed_bytes += frame.data.len();
        if self.unconfirmed_bytes > MAX_UNCONFIRMED_BYTES {
            return Step::Resync(Resync::Unconfirmed);
        }
        let Some(change) = frame.event().ok().and_then(|event| self.change(event)) else {
            return Step::Resync(Resync::UnknownEvent);
        };
        self.stand = Anchor {
            position: frame.position,
            chain: self.stand.chain.with(&frame.event, &frame.data),
        };
        Step::Apply(change)
    }

    /// Takes in a heartbeat that the key `kid` has signed.
    pub(crate) fn heartbeat(&mut self, kid: &str, beat: &Heartbeat, now: Now) -> Beat {
        let signed_at = beat.as_of.div_euclid(1_000);
        if self.distrusts(kid, signed_at) {
            return Beat::Ignore;
        }
        let Position { epoch, seq } = self.stand.position;
        if beat.epoch > epoch {
            return Beat::Resync(Resync::Epoch);
        }
        // Epochs only grow: this one is a replay.
        if beat.epoch < epoch {
            return Beat::Ignore;
        }
        if beat.seq > seq {
            return self.astray(now, Resync::Gap);
        }
        if beat.seq < seq {
            // One from before is as good as none: it may have been kept for this moment.
            return if self.pulse.is_news(beat.as_of, now) {
                self.astray(now, Resync::AheadOfLog)
            } else {
                Beat::Ignore
            };
        }
        if beat.chain != self.stand.chain {
            return Beat::Resync(Resync::ChainMismatch);
        }
        // The server does not sign with a key any more that its own log cuts off.
        if signed_at < self.unconfirmed_kids.not_before_of_key(kid) {
            return Beat::Ignore;
        }
        self.confirm();
        let fresh = self.pulse.take(beat.as_of, now);
        fresh.map_or(Beat::Ignore, Beat::Fresh)
    }

    /// A heartbeat from another place: at first it may be overtaken, then it is a proof.
    fn astray(&mut self, now: Now, reason: Resync) -> Beat {
        let since = *self.astray_since.get_or_insert(now.monotonic);
        if now.monotonic.saturating_sub(since) < PATIENCE {
            Beat::Ignore
        } else {
            Beat::Resync(reason)
        }
    }

    fn confirm(&mut self) {
        self.astray_since = None;
        self.unconfirmed_bytes = 0;
        if !self.unconfirmed_kids.is_empty() {
            let confirmed = std::mem::take(&mut self.unconfirmed_kids);
            confirmed
                .iter()
                .for_each(|mark| self.distrusted.raise(mark));
        }
    }

    /// What an event changes; `None` when it makes no sense here.
    fn change(&mut self, event: Event) -> Option<Change> {
        match event {
            Event::Delta(delta) => {
                let list = self.uris.number(&delta.list)?;
                let is_known =
                    list < self.announced && delta.idx.iter().all(|idx| *idx < LIST_SIZE);
                is_known.then_some(Change::Revoke {
                    list,
                    idx: delta.idx,
                })
            }
            Event::Watermark(watermark) => {
                if is_of_key(&watermark) {
                    self.unconfirmed_kids.raise(watermark.clone());
                }
                Some(Change::CutOff(watermark))
            }
            Event::List(list) => {
                let number = self.uris.number(&list.uri)?;
                // One below was in the snapshot already; one above means that another was missed.
                if number > self.announced || list.size != LIST_SIZE {
                    return None;
                }
                self.announced = self.announced.max(number.checked_add(1)?);
                Some(Change::Open(number))
            }
        }
    }
}

fn is_of_key(watermark: &Watermark) -> bool {
    matches!(watermark.scope, WatermarkScope::Kid(_))
}

#[cfg(test)]
#[path = "follower_tests.rs"]
mod tests;
