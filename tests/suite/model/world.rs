//! What there is: the database, clients, a thief, and the messages between them.

use chrono::TimeDelta;
use tokensmith::domain::Timestamp;
use tokensmith::domain::rotation::{Chain, Generation, Presented, RetryKeyDigest, Step};

/// Time as far as it matters here: what is one tick old is too old for a retry without a key.
pub(super) type Tick = u8;

pub(super) const RETRY_WINDOW: TimeDelta = TimeDelta::seconds(30);
/// A client has at most so many.
pub(super) const MOST_TABS: usize = 2;

const TICK_SECONDS: i64 = RETRY_WINDOW.num_seconds() + 1;

pub(super) fn ticks(count: Tick) -> TimeDelta {
    TimeDelta::seconds(TICK_SECONDS * i64::from(count))
}

pub(super) fn instant(tick: Tick) -> Timestamp {
    Timestamp::UNIX_EPOCH + ticks(tick)
}

pub(super) fn tick(instant: Timestamp) -> Tick {
    Tick::try_from(instant.timestamp() / TICK_SECONDS).unwrap()
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) now: Tick,
    /// One for each device.
    pub(super) sessions: Vec<Session>,
    pub(super) backup: Backup,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Backup {
    NotYet,
    Taken(Vec<Row>),
    PutBack,
}

/// A session with all who have to do with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Session {
    pub(super) row: Row,
    pub(super) client: Client,
    /// What the client sent. A message that is here may arrive, now or later, once, twice or never:
    /// so messages are lost, repeated, delayed and reordered, and retries are sent.
    pub(super) on_the_way: Few<Request>,
    /// What servers are busy with.
    pub(super) at_servers: Few<Serving>,
    pub(super) thief: Thief,
    pub(super) history: History,
}

/// The row of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) generation: Generation,
    pub(super) rotated_at: Tick,
    pub(super) rotated_with: Option<Key>,
    pub(super) idle_expires_at: Tick,
    pub(super) has_ended: bool,
}

impl Row {
    pub(super) fn chain(self) -> Chain {
        Chain {
            generation: self.generation,
            rotated_at: instant(self.rotated_at),
            rotated_with: self.rotated_with.map(Key::digest),
            idle_expires_at: instant(self.idle_expires_at),
        }
    }
}

impl From<Chain> for Row {
    fn from(chain: Chain) -> Self {
        Self {
            generation: chain.generation,
            rotated_at: tick(chain.rotated_at),
            rotated_with: chain.rotated_with.map(Key::from_digest),
            idle_expires_at: tick(chain.idle_expires_at),
            has_ended: false,
        }
    }
}

/// An honest client: tabs or processes that share one place for the refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client {
    /// Of which generation the stored token is.
    pub(super) stored: Generation,
    /// What each tab waits for; it retries until it has an answer.
    pub(super) waiting: [Option<Request>; MOST_TABS],
    /// How often it was restarted.
    pub(super) restarts: u8,
    /// It was told that its token is not good.
    pub(super) is_logged_out: bool,
}

/// Somebody who got hold of one refresh token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Thief {
    pub(super) stolen: Option<Generation>,
    /// The stolen token and those that came of it.
    pub(super) tokens: Few<Generation>,
}

/// What nobody in the model knows, kept for the properties.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct History {
    /// The newest token that was ever made.
    pub(super) newest: Generation,
    /// Until when an intact database would have kept the session without a use.
    pub(super) kept_until: Tick,
    /// Whether a replay ended the session since the database was last restored.
    pub(super) was_replayed: bool,
    /// Which tokens were honoured. A restore forgets those from the restored one on.
    pub(super) uses: Few<Use>,
}

impl History {
    /// Every token that was ever made.
    pub(super) fn tokens(&self) -> impl Iterator<Item = Generation> + use<> {
        (1..=self.newest.0).map(Generation)
    }
}

/// How a token was honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Use {
    pub(super) generation: Generation,
    pub(super) first_by_thief: bool,
    pub(super) first_at: Tick,
    /// When it was last honoured for the other of client and thief.
    pub(super) last_by_other: Option<Tick>,
    /// The oldest and the newest token that was given for it.
    pub(super) answers: (Generation, Generation),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Request {
    pub(super) from: Party,
    pub(super) generation: Generation,
    pub(super) key: Option<Key>,
}

impl Request {
    pub(super) fn presented(self) -> Presented {
        Presented {
            generation: self.generation,
            retry_key: self.key.map(Key::digest),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Party {
    Tab(u8),
    Thief,
}

/// An `Idempotency-Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    /// Made for one request, and for good: a client that starts again makes another.
    Request {
        tab: u8,
        generation: Generation,
        restarts: u8,
    },
    /// Made together with the stored token and kept beside it.
    Token(Generation),
    Thief,
}

impl Key {
    fn digest(self) -> RetryKeyDigest {
        let mut digest = [0; 16];
        let (kind, generation) = match self {
            Self::Request {
                tab,
                generation,
                restarts,
            } => ([1, tab, restarts], generation),
            Self::Token(generation) => ([2, 0, 0], generation),
            Self::Thief => ([3, 0, 0], Generation(0)),
        };
        digest[..3].copy_from_slice(&kind);
        digest[3..7].copy_from_slice(&generation.0.to_be_bytes());
        RetryKeyDigest(digest)
    }

    fn from_digest(digest: RetryKeyDigest) -> Self {
        let [kind, tab, restarts, a, b, c, d, ..] = digest.0;
        let generation = Generation(u32::from_be_bytes([a, b, c, d]));
        match kind {
            1 => Self::Request {
                tab,
                generation,
                restarts,
            },
            2 => Self::Token(generation),
            _ => Self::Thief,
        }
    }
}

/// A request at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Serving {
    pub(super) request: Request,
    pub(super) phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Phase {
    /// The row was read and something has to be written.
    ToWrite(Order),
    /// The answer is on its way back: a token, or word that there is none.
    ToAnswer(Option<Generation>),
}

/// What a server wants written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Order {
    /// A [`Step`].
    Move {
        from: Generation,
        to: Generation,
        at: Tick,
        retry_key: Option<Key>,
        idle_expires_at: Tick,
    },
    End,
}

impl From<Step> for Order {
    fn from(step: Step) -> Self {
        Self::Move {
            from: step.from,
            to: step.to,
            at: tick(step.at),
            retry_key: step.retry_key.map(Key::from_digest),
            idle_expires_at: tick(step.idle_expires_at),
        }
    }
}

impl Order {
    pub(super) fn step(self) -> Option<Step> {
        match self {
            Self::Move {
                from,
                to,
                at,
                retry_key,
                idle_expires_at,
            } => Some(Step {
                from,
                to,
                at: instant(at),
                retry_key: retry_key.map(Key::digest),
                idle_expires_at: instant(idle_expires_at),
            }),
            Self::End => None,
        }
    }
}

/// A set of a few things: cheaper to copy than a tree, and this is copied a million times.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Few<T>(Vec<T>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + Ord> Few<T> {
    pub(super) fn insert(&mut self, item: T) {
        if let Err(at) = self.0.binary_search(&item) {
            self.0.insert(at, item);
        }
    }

    pub(super) fn remove(&mut self, item: T) {
        self.0.retain(|other| *other != item);
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.0.retain(keep);
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = T> + use<'_, T> {
        self.0.iter().copied()
    }
}
