//! A reader of revocations without a network: what a stream brings is handed in, and so is the
//! time. What happens to it is the work of [`Follow`], the same as behind a connection.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::revocation::follower::Anchor;
use crate::revocation::pulse::Now;
use crate::revocation::sse::{Message, RawEvent};
use crate::revocation::state::State;
use crate::revocation::{Frame, Position, Snapshot};
use crate::{KeySet, RevocationReader};

use super::documents::{Loaded, Trust};
use super::endpoint::Endpoint;
use super::feed::Feed;
use super::follow::{Flow, Follow};
use super::refresher::KeyRequests;
use super::{ConnectError, Discovery};

/// The reader, from a snapshot on.
pub struct Rehearsal {
    follow: Follow,
    reader: Arc<RevocationReader>,
    applied: Vec<Frame>,
}

/// What an event of the stream led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Nothing that shows how far the log goes.
    Word,
    /// It was known for sure that nothing had been missed.
    Fresh,
    /// The connection is given up for a new snapshot.
    Resync,
}

/// Where revocations would come from, and whom to believe.
#[derive(Clone)]
pub struct Source {
    feed: Arc<Feed>,
    trust: Trust,
}

impl Source {
    /// An issuer with these keys.
    ///
    /// # Errors
    ///
    /// When `issuer` is no URL that may be called.
    pub fn new(issuer: &str, keys: KeySet, leeway: Duration) -> Result<Self, ConnectError> {
        let feed = Feed::new(Endpoint::parse(issuer)?, Duration::from_secs(1))
            .map_err(|error| ConnectError::Revocation(error.into()))?;
        Ok(Self {
            feed: Arc::new(feed),
            trust: Trust {
                issuer: Arc::from(issuer),
                keys: Arc::new(ArcSwap::from_pointee(keys)),
                requests: KeyRequests::new(Discovery::default()),
                leeway,
            },
        })
    }
}

impl Rehearsal {
    /// Goes on from a snapshot in which no list has a bit set.
    #[must_use]
    pub fn new(source: &Source, snapshot: &Snapshot) -> Self {
        let Source { feed, trust } = source.clone();
        let reader = Arc::new(RevocationReader::new(&trust.issuer));
        let watermarks = snapshot.watermarks.clone();
        let loaded = Loaded {
            state: State::new(snapshot.announced, watermarks.iter().cloned()),
            anchor: Anchor {
                position: snapshot.position(),
                chain: snapshot.chain,
            },
            announced: snapshot.announced,
            watermarks,
        };
        Self {
            follow: Follow::standing_at(loaded, Arc::clone(&reader), feed, trust),
            reader,
            applied: Vec::new(),
        }
    }

    /// Takes in one event, at `wall` milliseconds since 1970 and at an instant of a monotonic clock.
    pub fn hear(&mut self, event: RawEvent, wall: i64, monotonic: Duration) -> Heard {
        let Ok(message) = event.into_message() else {
            return Heard::Resync;
        };
        let frame = match &message {
            Message::Frame(frame) => Some(frame.clone()),
            Message::Heartbeat(_) | Message::Reset(_) => None,
        };
        let before = self.reader.position();
        let flow = self.follow.take(message, || Now { wall, monotonic });
        let is_applied = self.reader.position() != before;
        self.applied.extend(frame.filter(|_| is_applied));
        match flow {
            Flow::GoOn => Heard::Word,
            Flow::Fresh(_) => Heard::Fresh,
            Flow::Resync(_) => Heard::Resync,
        }
    }

    /// The events that were applied, in their order.
    #[must_use]
    pub fn applied(&self) -> &[Frame] {
        &self.applied
    }

    /// Where the reader stands.
    #[must_use]
    pub fn position(&self) -> Position {
        self.reader.position()
    }

    /// How far signed documents vouch for that.
    #[must_use]
    pub fn confirmed(&self) -> Position {
        self.reader.progress().confirmed()
    }

    /// How many bits are set.
    #[must_use]
    pub fn revoked(&self) -> u64 {
        self.reader.stats().revoked
    }
}
