//! How many requests are taken from one caller.
//!
//! Guesses at passwords are counted in the database and slowed down for hours
//! ([`super::throttle`]). This is the other limit: it keeps a caller that nobody vouches for from
//! using up what all share. It forgets within seconds, so it is kept in memory, by each replica for
//! itself.

use std::num::NonZeroU32;

use chrono::TimeDelta;

use super::Timestamp;

/// So many requests a second in the long run, and ten seconds' worth of them at once.
///
/// The rule is the generic cell rate algorithm (ITU-T I.371 §A.1): all that is kept of a caller is
/// the instant until which the requests so far are paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// What one request costs.
    cost: TimeDelta,
}

/// Until when the requests of a caller are paid for. Whoever is not ahead of the clock has not
/// asked for anything lately, and nothing needs to be kept of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PaidUntil(Timestamp);

impl RateLimit {
    /// So far a caller may get ahead of the clock.
    const BURST: TimeDelta = TimeDelta::seconds(10);

    /// A limit of so many requests a second.
    #[must_use]
    pub fn per_second(requests: NonZeroU32) -> Self {
        let cost = TimeDelta::nanoseconds(1_000_000_000 / i64::from(requests.get()));
        Self { cost }
    }

    /// Charges one request, or says how long the caller has to wait for the next.
    ///
    /// # Errors
    /// The wait, when the caller has used up what may be had at once.
    pub fn charge(
        &self,
        before: Option<PaidUntil>,
        now: Timestamp,
    ) -> Result<PaidUntil, TimeDelta> {
        // Whoever has not asked for long has saved up no more than the burst.
        let from = before.map_or(now, |PaidUntil(until)| until.max(now));
        let until = from + self.cost;
        let too_early = (until - now) - Self::BURST;
        if too_early > TimeDelta::zero() {
            return Err(too_early);
        }
        Ok(PaidUntil(until))
    }

    /// Gives one request back.
    #[must_use]
    pub fn refund(&self, PaidUntil(until): PaidUntil) -> PaidUntil {
        PaidUntil(until - self.cost)
    }
}

impl PaidUntil {
    /// Whether there is nothing left to remember.
    #[must_use]
    pub fn is_over(self, now: Timestamp) -> bool {
        self.0 <= now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(requests: u32) -> RateLimit {
        RateLimit::per_second(NonZeroU32::new(requests).unwrap())
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_timestamp_millis(1_800_000_000_000 + millis).unwrap()
    }

    /// How many of these requests are taken.
    fn taken(limit: RateLimit, instants: impl IntoIterator<Item = i64>) -> usize {
        let mut paid = None;
        let mut count = 0;
        for instant in instants {
            if let Ok(until) = limit.charge(paid, at(instant)) {
                paid = Some(until);
                count += 1;
            }
        }
        count
    }

    #[test]
    fn ten_seconds_worth_may_be_had_at_once_and_then_one_as_each_is_paid_for() {
        let limit = limit(5);
        assert_eq!(taken(limit, std::iter::repeat_n(0, 1_000)), 50);
        let mut paid = None;
        for _ in 0..50 {
            paid = Some(limit.charge(paid, at(0)).unwrap());
        }
        assert_eq!(limit.charge(paid, at(0)), Err(TimeDelta::milliseconds(200)));
        assert_eq!(
            limit.charge(paid, at(50)),
            Err(TimeDelta::milliseconds(150))
        );
        assert!(limit.charge(paid, at(200)).is_ok());
    }

    #[test]
    fn who_has_been_quiet_has_saved_up_one_burst_and_no_more() {
        let limit = limit(5);
        let quiet = std::iter::once(0).chain(std::iter::repeat_n(3_600_000, 1_000));
        assert_eq!(taken(limit, quiet), 1 + 50);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_lock_anybody_out_for_longer_than_it_went_back() {
        let limit = limit(5);
        let paid = limit.charge(None, at(60_000)).unwrap();
        let wait = limit.charge(Some(paid), at(0)).unwrap_err();
        assert!(wait <= TimeDelta::seconds(60), "{wait}");
    }

    #[test]
    fn what_is_refunded_may_be_had_again() {
        let limit = limit(1);
        let before = limit.charge(None, at(0)).unwrap();
        let after = limit.charge(Some(before), at(0)).unwrap();
        assert_eq!(limit.refund(after), before);
        assert!(!before.is_over(at(999)) && before.is_over(at(1_000)));
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_the_rate_and_one_burst(
            requests in 1_u32..1_000,
            mut instants in proptest::collection::vec(0_i64..100_000, 0..2_000),
        ) {
            instants.sort_unstable();
            let span = instants.last().copied().unwrap_or(0) - instants.first().copied().unwrap_or(0);
            let most = (span + 10_000) * i64::from(requests) / 1_000 + 1;
            let taken = i64::try_from(taken(limit(requests), instants)).unwrap();
            prop_assert!(taken <= most, "{taken} > {most}");
        }
    }
}
