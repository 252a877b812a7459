//! How failed logins slow further ones down.
//!
//! An attempt is charged *before* the password is looked at and refunded when it was right; so
//! many attempts at once are no way around the count. The first few are free; then each failure
//! doubles the wait, up to a limit. Whoever holds a session of the account on the same device has
//! a count of their own, so a stranger cannot lock the owner out.

use chrono::TimeDelta;

use super::Timestamp;

/// Names what is counted: an account, an address, or a device with a session. A keyed digest, so
/// that a name typed into the wrong field is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThrottleKey(pub [u8; 16]);

/// The attempts that have not been refunded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// How many.
    pub count: u32,
    /// The last one.
    pub last_at: Timestamp,
}

/// How attempts are slowed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottlePolicy {
    /// So many failures cost nothing.
    pub free: u32,
    /// The wait after the first failure that is not free; doubles with each further one.
    pub first_wait: TimeDelta,
    /// The longest wait.
    pub longest_wait: TimeDelta,
    /// After so long without an attempt everything is forgotten.
    pub memory: TimeDelta,
}

impl ThrottlePolicy {
    /// For one account: five mistakes, then 1 s, 2 s, 4 s … 15 min. A guesser gets about a
    /// hundred guesses a day.
    pub const ACCOUNT: Self = Self {
        free: 5,
        first_wait: TimeDelta::seconds(1),
        longest_wait: TimeDelta::minutes(15),
        memory: TimeDelta::hours(24),
    };

    /// For one address, behind which a whole office may sit.
    pub const ADDRESS: Self = Self {
        free: 50,
        first_wait: TimeDelta::seconds(1),
        longest_wait: TimeDelta::minutes(5),
        memory: TimeDelta::hours(1),
    };

    /// Charges an attempt, or says when the next one may be made.
    pub fn charge(&self, before: Option<Attempts>, now: Timestamp) -> Result<Attempts, Timestamp> {
        let known = before.filter(|attempts| now - attempts.last_at < self.memory);
        let Some(Attempts { count, last_at }) = known else {
            return Ok(Attempts {
                count: 1,
                last_at: now,
            });
        };
        let next_at = last_at + self.wait(count);
        if now < next_at {
            return Err(next_at);
        }
        Ok(Attempts {
            count: count.saturating_add(1),
            last_at: now,
        })
    }

    fn wait(&self, count: u32) -> TimeDelta {
        let Some(doublings) = count.checked_sub(self.free) else {
            return TimeDelta::zero();
        };
        let factor = 1_i32.checked_shl(doublings.min(30)).unwrap_or(i32::MAX);
        self.first_wait
            .checked_mul(factor)
            .map_or(self.longest_wait, |wait| wait.min(self.longest_wait))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: ThrottlePolicy = ThrottlePolicy::ACCOUNT;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_few_mistakes_are_free_and_then_each_doubles_the_wait() {
        let (mut attempts, mut now, mut waits) = (None, at(0), Vec::new());
        for _ in 0..20 {
            attempts = Some(match POLICY.charge(attempts, now) {
                Ok(charged) => charged,
                Err(next_at) => {
                    waits.push((next_at - now).num_seconds());
                    now = next_at;
                    POLICY.charge(attempts, now).unwrap()
                }
            });
        }
        assert_eq!(
            waits,
            [
                1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900
            ]
        );
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let before = Some(Attempts {
            count: 1_000_000,
            last_at: at(0),
        });
        assert_eq!(POLICY.charge(before, at(899)), Err(at(900)));
        let later = at(24 * 3600);
        let charged = Attempts {
            count: 1,
            last_at: later,
        };
        assert_eq!(POLICY.charge(before, later), Ok(charged));
    }

    proptest! {
        #[test]
        fn nobody_waits_longer_than_the_limit(count: u32, seconds in 0_i64..100_000) {
            let before = Some(Attempts { count, last_at: at(0) });
            if let Err(next_at) = POLICY.charge(before, at(seconds)) {
                prop_assert!(next_at - at(0) <= POLICY.longest_wait);
            }
        }
    }
}
