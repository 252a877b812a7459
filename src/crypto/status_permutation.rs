//! Spreads the numbers of status indices over their list.

use ring::hmac;
use tokensmith_verify::revocation::LIST_SIZE;

use super::MasterKey;
use crate::domain::ports::StatusPermutation;
use crate::domain::revocation::StatusIndex;

/// The two halves of a position have so many bits each.
const HALF_BITS: u32 = LIST_SIZE.trailing_zeros() / 2;
const HALF: u16 = (1 << HALF_BITS) - 1;
/// Four make a pseudorandom permutation (Luby and Rackoff); twice as many for so small a domain.
const ROUNDS: u8 = 8;

/// A Feistel network under a key derived from the first master key, another for each list.
pub struct FeistelPermutation {
    key: hmac::Key,
}

impl FeistelPermutation {
    /// The permutation of this installation.
    #[must_use]
    pub fn new(master: &MasterKey) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &*master.status_index_key()),
        }
    }

    fn round(&self, list: u32, round: u8, half: u16) -> u16 {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&list.to_be_bytes());
        context.update(&[round]);
        context.update(&half.to_be_bytes());
        let tag = context.sign();
        let first = tag.as_ref().iter().take(2);
        first.fold(0, |value, byte| (value << 8) | u16::from(*byte)) & HALF
    }
}

impl StatusPermutation for FeistelPermutation {
    fn index(&self, number: u64) -> StatusIndex {
        let size = u64::from(LIST_SIZE);
        let list = u32::try_from(number / size).unwrap_or(u32::MAX);
        let place = number % size;
        let half = |bits: u64| u16::try_from(bits & u64::from(HALF)).unwrap_or(0);
        let (mut left, mut right) = (half(place >> HALF_BITS), half(place));
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.round(list, round, right));
        }
        StatusIndex::new(list, u32::from(left) << HALF_BITS | u32::from(right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_an_index_of_its_own_in_its_list() {
        let permutation = FeistelPermutation::new(&{
            let directory = tempfile::tempdir().unwrap();
            MasterKey::create(directory.path(), &crate::crypto::SystemEntropy::default()).unwrap()
        });
        let mut seen = vec![false; LIST_SIZE as usize];
        let mut in_order = 0;
        for number in 0..u64::from(LIST_SIZE) {
            let index = permutation.index(number);
            assert_eq!(index.list(), 0);
            let was_seen = std::mem::replace(&mut seen[index.idx() as usize], true);
            assert!(!was_seen, "{number}");
            in_order += u32::from(u64::from(index.idx()) == number);
        }
        assert!(
            in_order < 20,
            "the order shows: {in_order} stay where they were"
        );
        assert_eq!(permutation.index(u64::from(LIST_SIZE)).list(), 1);
    }

    #[test]
    fn numbers_keep_their_indices_when_the_master_key_is_renewed() {
        let entropy = crate::crypto::SystemEntropy::default();
        let (first, next) = (MasterKey::of([1; 32]), || MasterKey::of([2; 32]));
        let inheritance = first.bequeath(&next(), crate::domain::audit::Seal::START, &entropy);
        let renewed = next().inherit(&inheritance.unwrap()).unwrap();
        let indices = |master: &MasterKey| {
            let permutation = FeistelPermutation::new(master);
            (0..1_000)
                .map(|number| permutation.index(number))
                .collect::<Vec<_>>()
        };
        assert_eq!(indices(&renewed), indices(&first));
        assert_ne!(indices(&next()), indices(&first));
    }
}
