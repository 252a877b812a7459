//! The design under test: the rule that decides and the store that applies what was decided. Here
//! is the real one; `mutants.rs` has wrong ones, which the properties must tell from it.

use tokensmith::domain::Timestamp;
use tokensmith::domain::rotation::{self, Chain, Decision, Presented, RotationPolicy, Step};

use super::world::Row;

/// The signature of [`rotation::decide`].
pub(super) type Decide = fn(&Chain, bool, &Presented, Timestamp, &RotationPolicy) -> Decision;

#[derive(Clone, Copy)]
pub(super) struct Design {
    pub(super) decide: Decide,
    pub(super) store: Store,
}

impl Design {
    /// What is shipped.
    pub(super) const PRODUCTION: Self = Self {
        decide: rotation::decide,
        store: Store::ComparesAndSwaps,
    };
}

/// What the store does with a decision. Only the first is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// Moves a row only while it is live and where it was read.
    ComparesAndSwaps,
    /// Moves a row wherever it is, as one does who reads a row, changes it and writes it back.
    Overwrites,
    /// Compares the generation, but moves rows that have ended, too.
    MovesWhatHasEnded,
    /// Starts the retry window anew with every retry.
    WritesOnRepeat,
    /// Ends the sessions of all devices of the person.
    EndsEverySession,
    /// Finds every row moved.
    NeverMoves,
}

impl Store {
    /// `ROTATE_SESSION`: whether the row was moved.
    pub(super) fn moves(self, row: &mut Row, step: &Step) -> bool {
        let applies = match self {
            Self::Overwrites => true,
            Self::NeverMoves => false,
            Self::MovesWhatHasEnded => row.generation == step.from,
            _ => row.generation == step.from && !row.has_ended,
        };
        if applies {
            *row = Row {
                has_ended: row.has_ended && self != Self::Overwrites,
                ..Row::from(row.chain().after(step))
            };
        }
        applies
    }
}
