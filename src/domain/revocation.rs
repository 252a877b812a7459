//! What takes tokens back that are verified offline: bits in status lists, and cut-offs.
//!
//! Each session and each client secret owns one bit; the revocations of the last hour are rows, numbered
//! without gaps. The bits are what those rows say, so there is nothing that could disagree with them.

use std::time::Duration;

use chrono::TimeDelta;
use tokensmith_verify::revocation::{
    Chain, Delta, Event, Frame, LIST_SIZE, ListAnnouncement, ListUris, MAX_INDICES, Position,
    Watermark, WatermarkScope,
};

use super::Timestamp;
use super::id::{ClientId, Kid};
use super::issuer::Issuer;

/// How long a revocation counts: no access token lives longer than an hour, no verifier forgives
/// more than five minutes of clock skew, and a minute is to spare.
pub const COUNTS_FOR: Duration = Duration::from_mins(66);

/// How long the withdrawal of a key counts: a verifier that cannot fetch the key set goes on with the old
/// one for a day, and another is to spare.
pub const KEY_COUNTS_FOR: Duration = Duration::from_hours(48);

/// How long a change may take until every replica has heard of it.
const HEARD_WITHIN: TimeDelta = TimeDelta::seconds(1);

/// Later than any token: the last second of the year 9999.
const FOREVER: i64 = 253_402_300_799;

/// A position in the status lists of the installation. It is given out once and never again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusIndex(u64);

impl StatusIndex {
    /// The first position of the first list.
    pub const FIRST: Self = Self(0);

    /// The position `idx` of a list.
    #[must_use]
    pub fn new(list: u32, idx: u32) -> Self {
        Self(u64::from(list) * u64::from(LIST_SIZE) + u64::from(idx % LIST_SIZE))
    }

    /// As it is stored: lists one after the other.
    #[must_use]
    pub fn from_stored(stored: i64) -> Option<Self> {
        let stored = u64::try_from(stored).ok().map(Self)?;
        u32::try_from(stored.0 / u64::from(LIST_SIZE)).ok()?;
        Some(stored)
    }

    /// As it is stored.
    #[must_use]
    pub fn to_stored(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// The number of the list.
    #[must_use]
    pub fn list(self) -> u32 {
        u32::try_from(self.0 / u64::from(LIST_SIZE)).unwrap_or(u32::MAX)
    }

    /// The position in the list.
    #[must_use]
    pub fn idx(self) -> u32 {
        u32::try_from(self.0 % u64::from(LIST_SIZE)).unwrap_or(u32::MAX)
    }
}

/// Where an issuer's lists are.
#[must_use]
pub fn list_uris(issuer: &Issuer) -> ListUris {
    ListUris::new(&issuer.endpoint("/status-lists"))
}

/// A row of the log: something was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// A list was opened.
    ListOpened(u32),
    /// All tokens of a client, a key or the issuer that are older than an instant.
    CutOff(CutOff),
    /// The tokens of a session or a client secret.
    Status(StatusIndex),
}

impl Revocation {
    /// How long it counts.
    #[must_use]
    pub const fn counts_for(&self) -> Duration {
        match self {
            Self::CutOff(CutOff {
                whose: CutOffScope::Key(_),
                ..
            }) => KEY_COUNTS_FOR,
            Self::CutOff(_) | Self::ListOpened(_) | Self::Status(_) => COUNTS_FOR,
        }
    }
}

/// A cut-off for tokens, with its instant in whole Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// Whose tokens.
    pub whose: CutOffScope,
    /// Those with `iat` below it are dead.
    pub not_before: i64,
}

/// Whose tokens a cut-off is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CutOffScope {
    /// Those of a client.
    Client(ClientId),
    /// Those that a key has signed.
    Key(Kid),
    /// All.
    Issuer,
}

impl CutOff {
    /// All tokens that were issued before an instant. Whole seconds, rounded up, because `iat` has no
    /// finer ones.
    #[must_use]
    pub fn before(whose: CutOffScope, instant: Timestamp) -> Self {
        Self {
            whose,
            not_before: second_after(instant),
        }
    }

    /// All tokens until now: also those that a replica issues before it hears of it.
    #[must_use]
    pub fn until_now(whose: CutOffScope, now: Timestamp) -> Self {
        Self::before(whose, now + HEARD_WITHIN)
    }

    /// All tokens of a key, whatever their `iat` says: whoever has a stolen key writes what they
    /// like.
    #[must_use]
    pub const fn of_key(kid: Kid) -> Self {
        Self {
            whose: CutOffScope::Key(kid),
            not_before: FOREVER,
        }
    }

    /// The name of the scope in the database.
    #[must_use]
    pub const fn scope_name(&self) -> &'static str {
        match self.whose {
            CutOffScope::Client(_) => "client",
            CutOffScope::Key(_) => "key",
            CutOffScope::Issuer => "issuer",
        }
    }

    /// The client or key; empty for the issuer.
    #[must_use]
    pub fn subject(&self) -> &str {
        match &self.whose {
            CutOffScope::Client(client) => client.as_str(),
            CutOffScope::Key(kid) => kid.as_str(),
            CutOffScope::Issuer => "",
        }
    }

    /// As verifiers are told.
    #[must_use]
    pub fn watermark(&self, issuer: &Issuer) -> Watermark {
        let scope = match &self.whose {
            CutOffScope::Client(client) => WatermarkScope::Client(client.as_str().to_owned()),
            CutOffScope::Key(kid) => WatermarkScope::Kid(kid.as_str().to_owned()),
            CutOffScope::Issuer => WatermarkScope::Issuer(issuer.as_str().to_owned()),
        };
        Watermark {
            scope,
            not_before: self.not_before,
        }
    }
}

/// A cut-off of everything that began before an instant: tokens, and whoever goes on from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOffOrder {
    /// Of tokens.
    pub cut_off: CutOff,
    /// Sessions that began before it are over; when everything is cut off, those of whoever signed in
    /// before it.
    pub before: Timestamp,
    /// Whether the bits of those sessions have to be set, because they may have got tokens since.
    pub sets_bits: bool,
}

impl CutOffOrder {
    /// What it takes to cut off what began before an instant.
    ///
    /// Where that is now, all tokens of the scope die, and that is all. Where it lies back, tokens that
    /// were issued since go on, unless their sessions are over: those have to be named one by one.
    #[must_use]
    pub fn new(whose: CutOffScope, before: Timestamp, now: Timestamp) -> Self {
        const NOW: TimeDelta = TimeDelta::milliseconds(500);
        let is_now = now - before < NOW;
        Self {
            cut_off: if is_now {
                CutOff::until_now(whose, now)
            } else {
                CutOff::before(whose, before)
            },
            before,
            sets_bits: !is_now,
        }
    }
}

/// The first whole second at or after an instant.
fn second_after(at: Timestamp) -> i64 {
    at.timestamp() + i64::from(at.timestamp_subsec_nanos() > 0)
}

/// Where the log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// The last number.
    pub position: Position,
    /// The hash over all events of the epoch.
    pub chain: Chain,
}

impl LogEnd {
    /// The beginning of an epoch.
    #[must_use]
    pub const fn start_of(epoch: u64) -> Self {
        Self {
            position: Position { epoch, seq: 0 },
            chain: Chain::START,
        }
    }

    /// What to do about the log as it is stored, for whoever has read it up to here.
    #[must_use]
    pub fn step_to(&self, stored: &Self) -> LogStep {
        let (mine, theirs) = (self.position, stored.position);
        if self == stored {
            LogStep::None
        } else if theirs.epoch > mine.epoch {
            LogStep::BeginAnew
        } else if theirs.epoch == mine.epoch && theirs.seq > mine.seq {
            LogStep::Read
        } else {
            // An earlier epoch, an earlier number, or the same number with other events before it: an
            // older state of the database was brought back.
            LogStep::Lost
        }
    }

    /// The epoch to begin now: the instant in milliseconds, and later than any that was seen, whatever
    /// the clock says.
    #[must_use]
    pub fn next_epoch(seen: u64, now: Timestamp) -> u64 {
        let now = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        now.max(seen.saturating_add(1))
    }
}

/// What to do about the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStep {
    /// Nothing: everything was read.
    None,
    /// Read on.
    Read,
    /// Read everything: a new epoch has begun.
    BeginAnew,
    /// Begin a new epoch: what was read is not there any more.
    Lost,
}

/// How many revocations are numbered in one transaction at most.
pub const MOST_IN_A_BATCH: usize = 5_000;

/// Revocations that were numbered in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The number of its first event.
    pub first: u64,
    /// What it holds, with the instant of each.
    pub revocations: Vec<(Timestamp, Revocation)>,
}

impl Batch {
    /// The events of the batch, in the one order in which every replica writes them, and where the
    /// log ends after them.
    #[must_use]
    pub fn frames(&self, before: &LogEnd, terms: &LogTerms) -> (Vec<Frame>, LogEnd) {
        let mut end = *before;
        let mut frames = Vec::new();
        for event in self.events(terms) {
            // What is written here is made of numbers and identifiers, and always is JSON.
            let data = event.to_json().unwrap_or_default();
            end.position.seq += 1;
            end.chain = end.chain.with(event.name(), &data);
            frames.push(Frame {
                position: end.position,
                event: event.name().to_owned(),
                data,
            });
        }
        (frames, end)
    }

    /// Whether nothing that was there when it was numbered had to wait.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.revocations.len() < MOST_IN_A_BATCH
    }

    fn events(&self, terms: &LogTerms) -> Vec<Event> {
        let mut lists = Vec::new();
        let mut cut_offs = Vec::new();
        let mut indices = Vec::new();
        for (_, revocation) in &self.revocations {
            match revocation {
                Revocation::ListOpened(number) => lists.push(*number),
                Revocation::CutOff(cut_off) => cut_offs.push(cut_off),
                Revocation::Status(index) => indices.push(*index),
            }
        }
        lists.sort_unstable();
        cut_offs.sort_unstable_by_key(|cut| (cut.scope_name(), cut.subject(), cut.not_before));
        indices.sort_unstable();
        let opened = lists.into_iter().map(|number| {
            Event::List(ListAnnouncement {
                uri: terms.uris.uri(number),
                size: LIST_SIZE,
            })
        });
        let cut_offs = cut_offs.into_iter();
        let cut_offs = cut_offs.map(|cut| Event::Watermark(cut.watermark(&terms.issuer)));
        let of_one_list = indices.chunk_by(|one, next| one.list() == next.list());
        let deltas = of_one_list
            .flat_map(|indices| indices.chunks(MAX_INDICES))
            .filter_map(|indices| {
                let list = indices.first()?.list();
                Some(Event::Delta(Delta {
                    list: terms.uris.uri(list),
                    idx: indices.iter().map(|index| index.idx()).collect(),
                }))
            });
        opened.chain(cut_offs).chain(deltas).collect()
    }
}

/// What the text of events depends on beside their content.
#[derive(Clone, Debug)]
pub struct LogTerms {
    /// Whose log it is.
    pub issuer: Issuer,
    /// Where its lists are.
    pub uris: ListUris,
}

impl LogTerms {
    /// Those of an issuer.
    #[must_use]
    pub fn of(issuer: &Issuer) -> Self {
        Self {
            issuer: issuer.clone(),
            uris: list_uris(issuer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_timestamp_millis(milliseconds).unwrap()
    }

    fn batch(revocations: Vec<Revocation>) -> Batch {
        let revocations = revocations.into_iter().map(|one| (at(0), one)).collect();
        Batch {
            first: 1,
            revocations,
        }
    }

    #[test]
    fn a_cut_off_is_a_whole_second_and_that_of_now_one_later() {
        for (instant, not_before) in [(5_000, 5), (5_001, 6), (5_999, 6), (6_000, 6)] {
            let cut = CutOff::before(CutOffScope::Issuer, at(instant));
            assert_eq!(cut.not_before, not_before, "{instant}");
            let cut = CutOff::until_now(CutOffScope::Issuer, at(instant));
            assert_eq!(cut.not_before, not_before + 1, "{instant}");
        }
    }

    #[test]
    fn a_cut_off_in_the_past_names_sessions_and_one_of_now_need_not() {
        let order = |before| CutOffOrder::new(CutOffScope::Issuer, at(before), at(60_000));
        let past = order(50_000);
        assert_eq!((past.cut_off.not_before, past.sets_bits), (50, true));
        for recent in [59_501, 60_000] {
            let now = order(recent);
            assert_eq!((now.cut_off.not_before, now.sets_bits), (61, false));
        }
    }

    #[test]
    fn an_index_has_a_list_and_a_place_in_it_and_reads_back() {
        for (list, idx) in [(0, 0), (0, LIST_SIZE - 1), (1, 0), (u32::MAX, 7)] {
            let index = StatusIndex::new(list, idx);
            assert_eq!((index.list(), index.idx()), (list, idx));
            assert_eq!(StatusIndex::from_stored(index.to_stored()), Some(index));
        }
        assert_eq!(StatusIndex::from_stored(-1), None);
        assert_eq!(StatusIndex::from_stored(i64::MAX), None);
    }

    #[test]
    fn every_replica_writes_a_batch_in_the_same_words() {
        let terms = LogTerms::of(&Issuer::parse("https://i.example").unwrap());
        let revocations = vec![
            Revocation::Status(StatusIndex::new(1, 3)),
            Revocation::CutOff(CutOff::before(CutOffScope::Issuer, at(1_000))),
            Revocation::Status(StatusIndex::new(0, 9)),
            Revocation::Status(StatusIndex::new(0, 2)),
            Revocation::ListOpened(1),
        ];
        let mut turned = revocations.clone();
        turned.reverse();
        let start = LogEnd::start_of(5);
        let (frames, end) = batch(revocations).frames(&start, &terms);
        assert_eq!(batch(turned).frames(&start, &terms), (frames.clone(), end));
        let said: Vec<_> = frames
            .iter()
            .map(|frame| {
                (
                    frame.position.seq,
                    frame.event.as_str(),
                    frame.data.as_str(),
                )
            })
            .collect();
        assert_eq!(
            said,
            [
                (
                    1,
                    "list",
                    r#"{"uri":"https://i.example/status-lists/1","size":1048576}"#
                ),
                (
                    2,
                    "watermark",
                    r#"{"issuer":"https://i.example","not_before":1}"#
                ),
                (
                    3,
                    "delta",
                    r#"{"list":"https://i.example/status-lists/0","idx":[2,9]}"#
                ),
                (
                    4,
                    "delta",
                    r#"{"list":"https://i.example/status-lists/1","idx":[3]}"#
                ),
            ]
        );
        assert_eq!(end.position.seq, 4);
    }

    #[test]
    fn a_delta_never_has_more_indices_than_readers_take() {
        let terms = LogTerms::of(&Issuer::parse("https://i.example").unwrap());
        let many = u32::try_from(MAX_INDICES).unwrap() * 2 + 1;
        let revocations = (0..many).map(|idx| Revocation::Status(StatusIndex::new(0, idx)));
        let (frames, end) = batch(revocations.collect()).frames(&LogEnd::start_of(1), &terms);
        assert_eq!((frames.len(), end.position.seq), (3, 3));
        assert!(frames.iter().all(|frame| frame.event().is_ok()));
    }

    #[test]
    fn a_log_that_went_back_was_lost_and_one_that_went_on_is_read() {
        let end = |epoch, seq, event: &str| LogEnd {
            position: Position { epoch, seq },
            chain: Chain::START.with(event, ""),
        };
        let mine = end(5, 7, "a");
        for (stored, step) in [
            (end(5, 7, "a"), LogStep::None),
            (end(5, 8, "b"), LogStep::Read),
            (end(6, 0, "b"), LogStep::BeginAnew),
            (end(6, 9, "b"), LogStep::BeginAnew),
            (end(5, 6, "b"), LogStep::Lost),
            (end(5, 7, "b"), LogStep::Lost),
            (end(4, 9, "b"), LogStep::Lost),
        ] {
            assert_eq!(mine.step_to(&stored), step, "{stored:?}");
        }
    }

    #[test]
    fn an_epoch_is_later_than_any_before_whatever_the_clock_says() {
        assert_eq!(LogEnd::next_epoch(5, at(1_000)), 1_000);
        assert_eq!(LogEnd::next_epoch(5_000, at(1_000)), 5_001);
    }
}
