//! What is revoked, as far as a reader knows.

use std::sync::{Arc, OnceLock};

use super::{BitList, LIST_SIZE, Watermark, Watermarks};

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
    /// All lists that were announced, by number. One without a bit set takes no memory.
    lists: Vec<Arc<OnceLock<BitList>>>,
    watermarks: Arc<Watermarks>,
}

impl State {
    pub(crate) fn new(announced: u32, watermarks: impl IntoIterator<Item = Watermark>) -> Self {
        Self {
            lists: (0..announced).map(|_| Arc::default()).collect(),
            watermarks: Arc::new(watermarks.into_iter().collect()),
        }
    }

    pub(crate) fn watermarks(&self) -> &Watermarks {
        &self.watermarks
    }

    pub(crate) fn announced(&self) -> usize {
        self.lists.len()
    }

    /// The lists that have a bit set.
    pub(crate) fn with_bits(&self) -> impl Iterator<Item = &BitList> {
        self.lists.iter().filter_map(|list| list.get())
    }

    /// What a list says about an index.
    pub(crate) fn status(&self, list: u32, idx: u32) -> BitStatus {
        let Some(list) = self.lists.get(list as usize) else {
            return BitStatus::UnknownList;
        };
        if idx >= LIST_SIZE {
            return BitStatus::BeyondEnd;
        }
        match list.get().and_then(|bits| bits.is_set(idx)) {
            Some(true) => BitStatus::Revoked,
            _ => BitStatus::Good,
        }
    }

    /// Puts in the bits of an announced list.
    #[cfg(feature = "fetch")]
    pub(crate) fn fill(&self, list: u32, bits: BitList) {
        if let Some(list) = self.lists.get(list as usize) {
            // Each is filled once, before anybody sets a bit.
            let _ = list.set(bits);
        }
    }

    /// Sets bits where they are: whoever holds a copy sees them, too.
    pub(crate) fn set(&self, list: u32, idx: &[u32]) {
        if let Some(list) = self.lists.get(list as usize) {
            let bits = list.get_or_init(BitList::default);
            for idx in idx {
                bits.set(*idx);
            }
        }
    }

    pub(crate) fn open(&mut self, list: u32) {
        let announced = list as usize + 1;
        if self.lists.len() < announced {
            self.lists.resize_with(announced, Arc::default);
        }
    }

    pub(crate) fn raise(&mut self, watermark: Watermark) {
        Arc::make_mut(&mut self.watermarks).raise(watermark);
    }

    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Revoke { list, idx } => self.set(*list, idx),
            Change::CutOff(watermark) => self.raise(watermark.clone()),
            Change::Open(list) => self.open(*list),
        }
    }

    /// Takes in all that the other knows.
    #[cfg(feature = "fetch")]
    pub(crate) fn union(&mut self, other: &Self) {
        self.lists
            .resize_with(self.lists.len().max(other.lists.len()), Arc::default);
        for (to, from) in self.lists.iter().zip(&other.lists) {
            if let Some(from) = from.get() {
                to.get_or_init(BitList::default).union(from);
            }
        }
        for watermark in other.watermarks.iter() {
            self.raise(watermark);
        }
    }
}
