//! What is revoked, as far as a reader knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{BitList, LIST_SIZE, Watermark, Watermarks};

/// The most lists with a bit set that are kept: 512 MiB, and 2^32 sessions. Events are not signed,
/// so without a bound somebody in between could fill the memory.
pub(crate) const MAX_LISTS: usize = 4_096;

/// One step from what was known to what is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// These bits of a list are set. The list is announced, and the bits lie within it.
    Revoke { list: u32, idx: Vec<u32> },
    /// Tokens issued before an instant are dead.
    CutOff(Watermark),
    /// A list is announced, and with it all before it.
    Open(u32),
}

/// What a list says about an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BitStatus {
    Good,
    Revoked,
    /// The list has no such index.
    BeyondEnd,
    /// The list is not announced.
    UnknownList,
}

/// Bits and cut-offs. A copy shares the bits.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// How many lists are announced. Indices are never used twice, so this only ever grows.
    announced: u32,
    /// Those that have a bit set, by number: the others take no memory, however many there are.
    lists: BTreeMap<u32, Arc<BitList>>,
    watermarks: Arc<Watermarks>,
}

/// There are [`MAX_LISTS`] with a bit set already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyLists;

impl State {
    pub(crate) fn new(announced: u32, watermarks: impl IntoIterator<Item = Watermark>) -> Self {
        Self {
            announced,
            lists: BTreeMap::new(),
            watermarks: Arc::new(watermarks.into_iter().collect()),
        }
    }

    pub(crate) fn watermarks(&self) -> &Watermarks {
        &self.watermarks
    }

    pub(crate) const fn announced(&self) -> u32 {
        self.announced
    }

    /// The lists that have a bit set.
    pub(crate) fn with_bits(&self) -> impl Iterator<Item = &BitList> {
        self.lists.values().map(Arc::as_ref)
    }

    /// What a list says about an index.
    pub(crate) fn status(&self, list: u32, idx: u32) -> BitStatus {
        if list >= self.announced {
            return BitStatus::UnknownList;
        }
        if idx >= LIST_SIZE {
            return BitStatus::BeyondEnd;
        }
        match self.lists.get(&list).and_then(|bits| bits.is_set(idx)) {
            Some(true) => BitStatus::Revoked,
            _ => BitStatus::Good,
        }
    }

    /// Puts in the bits of an announced list.
    #[cfg(feature = "fetch")]
    pub(crate) fn fill(&mut self, list: u32, bits: BitList) {
        self.lists.insert(list, Arc::new(bits));
    }

    /// Sets bits of a list that has some already, where they are: whoever holds a copy sees them,
    /// too. `false` when it has none.
    pub(crate) fn set_in_place(&self, list: u32, idx: &[u32]) -> bool {
        let bits = self.lists.get(&list);
        bits.is_some_and(|bits| {
            set_all(bits, idx);
            true
        })
    }

    pub(crate) fn set(&mut self, list: u32, idx: &[u32]) -> Result<(), TooManyLists> {
        if self.set_in_place(list, idx) {
            return Ok(());
        }
        if self.lists.len() >= MAX_LISTS {
            return Err(TooManyLists);
        }
        let bits = BitList::default();
        set_all(&bits, idx);
        self.lists.insert(list, Arc::new(bits));
        Ok(())
    }

    pub(crate) fn open(&mut self, list: u32) {
        self.announced = self.announced.max(list.saturating_add(1));
    }

    pub(crate) fn raise(&mut self, watermark: Watermark) {
        Arc::make_mut(&mut self.watermarks).raise(watermark);
    }

    pub(crate) fn apply(&mut self, change: &Change) -> Result<(), TooManyLists> {
        match change {
            Change::Revoke { list, idx } => self.set(*list, idx)?,
            Change::CutOff(watermark) => self.raise(watermark.clone()),
            Change::Open(list) => self.open(*list),
        }
        Ok(())
    }

    /// Takes in all that the other knows.
    ///
    /// Here nothing is refused, because nothing that is revoked may be forgotten. The other is made
    /// of signed documents, so this adds only what is true, and for no longer than until the next
    /// good heartbeat.
    #[cfg(feature = "fetch")]
    pub(crate) fn union(&mut self, other: &Self) {
        self.announced = self.announced.max(other.announced);
        for (number, from) in &other.lists {
            // A copy, because what is known here may be forged, and must not get into the other.
            self.lists.entry(*number).or_default().union(from);
        }
        for watermark in other.watermarks.iter() {
            self.raise(watermark);
        }
    }
}

fn set_all(bits: &BitList, idx: &[u32]) {
    for idx in idx {
        bits.set(*idx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_without_a_bit_cost_nothing_and_the_others_are_bounded() {
        let mut state = State::new(u32::MAX, []);
        assert_eq!(state.status(u32::MAX - 1, 0), BitStatus::Good);
        assert_eq!(state.status(u32::MAX, 0), BitStatus::UnknownList);
        assert!(!state.set_in_place(7, &[1]), "it has no place yet");
        let step = u32::MAX / 4_096;
        for number in 0..u32::try_from(MAX_LISTS).unwrap() {
            assert_eq!(state.set(number * step, &[number]), Ok(()));
        }
        assert_eq!(state.status(4_095 * step, 4_095), BitStatus::Revoked);
        assert_eq!(state.status(4_095 * step, 4_094), BitStatus::Good);
        assert_eq!(state.set(1, &[1]), Err(TooManyLists));
        assert_eq!(state.status(1, 1), BitStatus::Good);
        assert_eq!(state.set(0, &[9]), Ok(()), "one that has bits takes more");
        assert_eq!(state.with_bits().count(), MAX_LISTS);
    }

    #[test]
    fn a_copy_sees_bits_that_are_set_in_place() {
        let mut state = State::new(3_000_000, []);
        state.set(5, &[1]).unwrap();
        let copy = state.clone();
        assert!(state.set_in_place(5, &[2]));
        assert_eq!(copy.status(5, 2), BitStatus::Revoked);
        assert_eq!(copy.status(2_999_999, 2), BitStatus::Good);
        assert_eq!(copy.status(3_000_000, 2), BitStatus::UnknownList);
    }
}
