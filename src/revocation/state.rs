//! What the revocations of the last hour add up to: bits and cut-offs, in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokensmith_verify::revocation::{BitList, ListUris, Watermark, Watermarks};

use crate::domain::Timestamp;
use crate::domain::client::Client;
use crate::domain::issuer::Issuer;
use crate::domain::ports::RevocationView;
use crate::domain::revocation::{
    Batch, COUNTS_FOR, CutOff, CutOffScope, KEY_COUNTS_FOR, LogEnd, LogTerms, Revocation,
    StatusIndex,
};

/// The state of the log as this replica has read it.
pub struct RevocationState {
    terms: LogTerms,
    inner: RwLock<Inner>,
    /// Later than every cut-off but those of keys: at a glance, nothing is held back.
    latest_cut_off: AtomicI64,
}

struct Inner {
    end: LogEnd,
    announced: u32,
    /// Those that have a bit set.
    lists: BTreeMap<u32, List>,
    watermarks: Watermarks,
    /// What counts, oldest first.
    counting: VecDeque<(Timestamp, Revocation)>,
    /// Cut-offs of keys, which count for longer.
    withdrawn_keys: VecDeque<(Timestamp, CutOff)>,
    /// Bits that were revoked more than once, and how often beyond the first: read twice, or shared
    /// by two sessions after a backup was restored. They are cleared with the last.
    again: HashMap<StatusIndex, u32>,
    /// The last version that a list was given. It never comes again, whatever becomes of the list.
    last_version: u64,
}

/// One list in memory.
#[derive(Default)]
struct List {
    bits: BitList,
    set: u32,
    /// A new one with each change; a list that is not here is all zeros, and of version 0.
    version: u64,
}

/// A list as it is at one moment.
pub(super) struct ListBits {
    pub(super) bytes: Vec<u8>,
    pub(super) version: u64,
}

impl RevocationState {
    /// Nothing was revoked.
    #[must_use]
    pub fn new(terms: LogTerms) -> Self {
        Self {
            terms,
            inner: RwLock::new(Inner::new(LogEnd::start_of(0), 0, 0)),
            latest_cut_off: AtomicI64::new(i64::MIN),
        }
    }

    /// What the text of events depends on.
    #[must_use]
    pub fn terms(&self) -> &LogTerms {
        &self.terms
    }

    /// Where the log ends.
    #[must_use]
    pub fn end(&self) -> LogEnd {
        self.read().end
    }

    /// Begins anew with all that counts.
    pub fn replace(
        &self,
        end: LogEnd,
        announced: u32,
        mut revocations: Vec<(Timestamp, Revocation)>,
    ) {
        revocations.sort_by_key(|(at, _)| *at);
        let mut inner = self.write();
        *inner = Inner::new(end, announced, inner.last_version);
        for (at, revocation) in revocations {
            self.take_in(&mut inner, at, revocation);
        }
    }

    /// Takes in what was numbered since.
    pub fn apply(&self, batch: Batch, end: LogEnd) {
        let mut inner = self.write();
        for (at, revocation) in batch.revocations {
            self.take_in(&mut inner, at, revocation);
        }
        inner.end = end;
    }

    fn take_in(&self, inner: &mut Inner, at: Timestamp, revocation: Revocation) {
        match &revocation {
            Revocation::ListOpened(number) => inner.announced = inner.announced.max(number + 1),
            Revocation::CutOff(cut_off) => {
                inner
                    .watermarks
                    .raise(cut_off.watermark(&self.terms.issuer));
                if matches!(cut_off.whose, CutOffScope::Key(_)) {
                    inner.withdrawn_keys.push_back((at, cut_off.clone()));
                    return;
                }
                self.latest_cut_off
                    .fetch_max(cut_off.not_before, Ordering::AcqRel);
            }
            Revocation::Status(index) => inner.set(*index),
        }
        inner.counting.push_back((at, revocation));
    }

    /// Forgets what no living token can be concerned by at `now`.
    pub fn forget(&self, now: Timestamp) {
        let over = now - COUNTS_FOR;
        let keys_over = now - KEY_COUNTS_FOR;
        let is_over = |at: Option<Timestamp>, over: Timestamp| at.is_some_and(|at| at < over);
        {
            let inner = self.read();
            let oldest = inner.counting.front().map(|one| one.0);
            let oldest_key = inner.withdrawn_keys.front().map(|one| one.0);
            if !is_over(oldest, over) && !is_over(oldest_key, keys_over) {
                return;
            }
        }
        let mut inner = self.write();
        let mut lost_a_cut_off = false;
        while let Some((_, revocation)) = inner.counting.pop_front_if(|one| one.0 < over) {
            match revocation {
                Revocation::Status(index) => inner.clear(index),
                Revocation::CutOff(_) => lost_a_cut_off = true,
                Revocation::ListOpened(_) => {}
            }
        }
        while inner
            .withdrawn_keys
            .pop_front_if(|one| one.0 < keys_over)
            .is_some()
        {
            lost_a_cut_off = true;
        }
        if lost_a_cut_off {
            inner.watermarks = inner.cut_offs(&self.terms.issuer);
        }
    }

    /// How many lists are announced, the numbers of those that have a bit set, and the cut-offs.
    pub(super) fn overview(&self) -> (LogEnd, u32, Vec<u32>, Vec<Watermark>) {
        let inner = self.read();
        let lists = inner.lists.keys().copied().collect();
        let watermarks = inner.watermarks.iter().collect();
        (inner.end, inner.announced, lists, watermarks)
    }

    /// How many lists are announced.
    #[must_use]
    pub fn announced(&self) -> u32 {
        self.read().announced
    }

    /// Where the log ends and the version of a list; `None` for a list that was never announced.
    pub(super) fn version(&self, number: u32) -> Option<(LogEnd, u64)> {
        let inner = self.read();
        let version = inner.lists.get(&number).map_or(0, |list| list.version);
        (number < inner.announced).then_some((inner.end, version))
    }

    /// The bits of a list, and where the log ends.
    pub(super) fn bits(&self, number: u32) -> (LogEnd, ListBits) {
        let inner = self.read();
        let bits = match inner.lists.get(&number) {
            Some(list) => ListBits {
                bytes: list.bits.to_bytes(),
                version: list.version,
            },
            None => ListBits {
                bytes: BitList::default().to_bytes(),
                version: 0,
            },
        };
        (inner.end, bits)
    }

    pub(super) fn uris(&self) -> &ListUris {
        &self.terms.uris
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn new(end: LogEnd, announced: u32, last_version: u64) -> Self {
        Self {
            end,
            announced,
            lists: BTreeMap::new(),
            watermarks: Watermarks::default(),
            counting: VecDeque::new(),
            withdrawn_keys: VecDeque::new(),
            again: HashMap::new(),
            last_version,
        }
    }

    fn set(&mut self, index: StatusIndex) {
        let list = self.lists.entry(index.list()).or_default();
        if list.bits.is_set(index.idx()) == Some(true) {
            *self.again.entry(index).or_default() += 1;
            return;
        }
        list.bits.set(index.idx());
        list.set += 1;
        self.last_version += 1;
        list.version = self.last_version;
    }

    fn clear(&mut self, index: StatusIndex) {
        if let Some(more) = self.again.get_mut(&index) {
            *more -= 1;
            if *more == 0 {
                self.again.remove(&index);
            }
            return;
        }
        let Some(list) = self.lists.get_mut(&index.list()) else {
            return;
        };
        list.bits.clear(index.idx());
        list.set = list.set.saturating_sub(1);
        self.last_version += 1;
        list.version = self.last_version;
        if list.set == 0 {
            self.lists.remove(&index.list());
        }
    }

    fn cut_offs(&self, issuer: &Issuer) -> Watermarks {
        let counting = self.counting.iter();
        let of_tokens = counting.filter_map(|(_, revocation)| match revocation {
            Revocation::CutOff(cut_off) => Some(cut_off),
            Revocation::Status(_) | Revocation::ListOpened(_) => None,
        });
        let of_keys = self.withdrawn_keys.iter().map(|(_, cut_off)| cut_off);
        of_tokens
            .chain(of_keys)
            .map(|cut_off| cut_off.watermark(issuer))
            .collect()
    }
}

impl RevocationView for RevocationState {
    fn is_revoked(&self, index: StatusIndex) -> bool {
        let inner = self.read();
        let list = inner.lists.get(&index.list());
        list.is_some_and(|list| list.bits.is_set(index.idx()) == Some(true))
    }

    fn is_cut_off(&self, client: &str, issued_at: i64) -> bool {
        if issued_at >= self.latest_cut_off.load(Ordering::Acquire) {
            return false;
        }
        // The key is one that is published still, or the token would not have verified.
        let issuer = self.terms.issuer.as_str();
        self.read()
            .watermarks
            .cut_off(issuer, client, "", issued_at)
    }

    fn held_back_until(&self, client: &Client, now: Timestamp) -> Option<Timestamp> {
        let second = now.timestamp();
        if second >= self.latest_cut_off.load(Ordering::Acquire) {
            return None;
        }
        let issuer = self.terms.issuer.as_str();
        let not_before = self
            .read()
            .watermarks
            .not_before(issuer, client.id.as_str(), "");
        Timestamp::from_timestamp(not_before, 0).filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    /// When what was revoked before that second no longer counts.
    fn later(seconds: i64) -> Timestamp {
        at(seconds) + COUNTS_FOR
    }

    fn state() -> RevocationState {
        RevocationState::new(LogTerms::of(&Issuer::parse("https://i.example").unwrap()))
    }

    fn apply(state: &RevocationState, when: i64, revocations: Vec<Revocation>) {
        let batch = Batch {
            first: state.end().position.seq + 1,
            revocations: revocations.into_iter().map(|one| (at(when), one)).collect(),
        };
        let (_, end) = batch.frames(&state.end(), state.terms());
        state.apply(batch, end);
    }

    #[test]
    fn a_bit_counts_for_its_time_and_no_longer() {
        let state = state();
        let index = StatusIndex::new(0, 5);
        apply(
            &state,
            100,
            vec![Revocation::ListOpened(0), Revocation::Status(index)],
        );
        assert!(state.is_revoked(index));
        assert!(!state.is_revoked(StatusIndex::new(0, 6)));
        state.forget(later(100));
        assert!(state.is_revoked(index), "still within its time");
        state.forget(later(101));
        assert!(!state.is_revoked(index));
        let (_, announced, lists, _) = state.overview();
        assert_eq!((announced, lists), (1, vec![]));
    }

    #[test]
    fn the_version_of_a_list_changes_with_its_bits_and_never_repeats() {
        let state = state();
        let version = || state.version(0).unwrap().1;
        apply(&state, 1, vec![Revocation::ListOpened(0)]);
        let empty = version();
        apply(&state, 1, vec![Revocation::Status(StatusIndex::new(0, 1))]);
        let one = version();
        apply(&state, 2, vec![Revocation::Status(StatusIndex::new(0, 2))]);
        let two = version();
        let status = Revocation::Status(StatusIndex::new(0, 9));
        state.replace(LogEnd::start_of(9), 1, vec![(at(3), status)]);
        let anew = version();
        assert!(empty < one && one < two && two < anew);
        assert_eq!(state.version(1), None, "never announced");
    }

    #[test]
    fn a_list_that_was_emptied_and_filled_again_is_not_taken_for_the_old_one() {
        let state = state();
        let status = |idx| Revocation::Status(StatusIndex::new(0, idx));
        apply(&state, 1, vec![Revocation::ListOpened(0), status(1)]);
        let before = state.version(0).unwrap().1;
        state.forget(later(2));
        assert_eq!(state.version(0).unwrap().1, 0, "all zeros");
        apply(&state, 3, vec![status(2)]);
        assert!(state.version(0).unwrap().1 > before);
        state.replace(LogEnd::start_of(9), 1, vec![]);
        state.replace(LogEnd::start_of(10), 1, vec![(at(3), status(7))]);
        assert!(state.version(0).unwrap().1 > before + 1);
    }

    #[test]
    fn a_bit_that_was_revoked_twice_is_cleared_with_the_last_and_takes_no_other_along() {
        let state = state();
        let (shared, other) = (StatusIndex::new(0, 1), StatusIndex::new(0, 2));
        apply(
            &state,
            1,
            vec![Revocation::ListOpened(0), Revocation::Status(shared)],
        );
        // Read again, or the bit of two sessions.
        apply(&state, 5, vec![Revocation::Status(shared)]);
        apply(&state, 9, vec![Revocation::Status(other)]);
        state.forget(later(2));
        assert!(state.is_revoked(shared) && state.is_revoked(other));
        state.forget(later(6));
        assert!(!state.is_revoked(shared) && state.is_revoked(other));
        state.forget(later(10));
        assert!(!state.is_revoked(other) && state.overview().2.is_empty());
    }

    #[test]
    fn tokens_are_held_back_until_they_would_live() {
        let state = state();
        let client = Client {
            id: "phone".parse().unwrap(),
            metadata: crate::domain::client::ClientMetadata::default(),
            created_at: at(0),
            disabled_at: None,
            secrets: Vec::new(),
        };
        let now = at(1_000);
        assert_eq!(state.held_back_until(&client, now), None);
        let cut = CutOff::until_now(CutOffScope::Client(client.id.clone()), now);
        apply(&state, 1_000, vec![Revocation::CutOff(cut)]);
        assert!(state.is_cut_off("phone", 1_000));
        assert_eq!(state.held_back_until(&client, now), Some(at(1_001)));
        assert_eq!(state.held_back_until(&client, at(1_001)), None);
        assert!(!state.is_cut_off("phone", 1_001));
        assert!(!state.is_cut_off("other", 999));
        state.forget(later(2_000));
        assert!(
            !state.is_cut_off("phone", 0),
            "no such token lives any more"
        );
    }

    #[test]
    fn a_withdrawn_key_holds_nobody_back_and_counts_for_days() {
        let state = state();
        let kid: crate::domain::id::Kid = "k".repeat(43).parse().unwrap();
        apply(&state, 5, vec![Revocation::CutOff(CutOff::of_key(kid))]);
        assert!(!state.is_cut_off("phone", 0));
        // For as long as a verifier may use an old key set, which is far longer than a token lives.
        state.forget(later(6));
        assert_eq!(state.overview().3.len(), 1);
        state.forget(at(6) + KEY_COUNTS_FOR);
        assert_eq!(state.overview().3.len(), 0);
    }
}
