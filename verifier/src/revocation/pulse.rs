//! Which heartbeats are believed, and for how long they make a reader fresh.
//!
//! A heartbeat says: the log ended here at the instant `as_of`. Its signature and its place in the
//! log are checked elsewhere; here it is about time. Whoever stands between server and reader
//! cannot forge one, but can hold it back, so that an old one arrives late and looks new. Four
//! rules bound what that gains:
//!
//! 1. **`as_of` must lie near the reader's own clock**, within the skew that is forgiven for tokens.
//!    Whatever else fails, an event cannot be hidden for longer than that: heartbeats signed before
//!    it get too old, those signed after it do not fit a log without it.
//! 2. **`as_of` must be later than any before.** A heartbeat that was already seen makes nobody
//!    fresh again.
//! 3. **Freshness counts from when the heartbeat would have arrived without the delay.** The
//!    difference between arrival and `as_of` is a constant (the clocks' offset and the shortest way)
//!    and the delay. Its minimum over the last minutes stands for the constant, the rest is delay and
//!    makes the heartbeat that much older. So who begins to hold heartbeats back gains nothing:
//!    they arrive stale. The minimum outlives a connection, else breaking it would begin anew. It does
//!    not outlive the window, because clocks drift and get corrected; the window is longer than rule
//!    1 lets any heartbeat live, so waiting for its end gains nothing either.
//! 4. **Ages are measured on the monotonic clock.** A wall clock that jumps makes nobody fresh.
//!
//! None of them locks a reader out for good when clocks are corrected. After the server's clock went
//! back by less than rule 1 allows, its `as_of` passes the latest one again after that time, and rule 3
//! has forgotten the old offset after two windows. A larger jump means that one of the two clocks is
//! wrong, and then nothing is believed until they agree again. If both went back together, the latest
//! `as_of` lies in the future as rule 1 sees it; then it was taken from clocks that were wrong, and
//! rule 2 forgets it. While the machine sleeps the monotonic clock may stand still: then the last
//! heartbeat counts for at most its two seconds after waking up.

use std::time::Duration;

/// The shortest time over which the least delay is remembered.
const SHORTEST_WINDOW: Duration = Duration::from_mins(1);
/// With less skew forgiven than this, the way from server to reader would be taken for skew.
const LEAST_LEEWAY: Duration = Duration::from_secs(2);

/// An instant by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// Milliseconds since 1970.
    pub(crate) wall: i64,
    /// Time since some instant, on a clock that never jumps.
    pub(crate) monotonic: Duration,
}

/// What is remembered of earlier heartbeats.
#[derive(Debug)]
pub(crate) struct Pulse {
    leeway: Duration,
    latest_as_of: Option<i64>,
    offsets: LeastOffset,
}

impl Pulse {
    pub(crate) fn new(leeway: Duration) -> Self {
        Self {
            leeway: leeway.max(LEAST_LEEWAY),
            latest_as_of: None,
            offsets: LeastOffset::new(leeway.max(SHORTEST_WINDOW)),
        }
    }

    /// Takes in a heartbeat that fits the log. The instant, on the monotonic clock, at which the
    /// reader knew that it had missed nothing; `None` when this heartbeat shows no such thing.
    pub(crate) fn take(&mut self, as_of: i64, now: Now) -> Option<Duration> {
        if !self.is_news(as_of, now) {
            return None;
        }
        self.latest_as_of = Some(as_of);
        let offset = millis(now.monotonic).saturating_sub(as_of);
        let least = self.offsets.least_with(offset, now.monotonic);
        let delay = Duration::from_millis(offset.saturating_sub(least).unsigned_abs());
        Some(now.monotonic.saturating_sub(delay))
    }

    /// Rules 1 and 2.
    pub(crate) fn is_news(&self, as_of: i64, now: Now) -> bool {
        let leeway = millis(self.leeway);
        let skew = as_of.saturating_sub(now.wall);
        let latest = self
            .latest_as_of
            .filter(|latest| *latest <= now.wall.saturating_add(leeway));
        (-leeway..=leeway).contains(&skew) && latest.is_none_or(|latest| as_of > latest)
    }
}

/// The minimum over a sliding window, in two halves: exact enough, and nothing to collect.
#[derive(Debug)]
struct LeastOffset {
    window: Duration,
    began: Duration,
    current: Option<i64>,
    previous: Option<i64>,
}

impl LeastOffset {
    const fn new(window: Duration) -> Self {
        Self {
            window,
            began: Duration::ZERO,
            current: None,
            previous: None,
        }
    }

    fn least_with(&mut self, offset: i64, at: Duration) -> i64 {
        let age = at.saturating_sub(self.began);
        if age >= self.window {
            self.previous = self.current.take().filter(|_| age < self.window * 2);
            self.began = at;
        }
        let current = self.current.map_or(offset, |least| least.min(offset));
        self.current = Some(current);
        self.previous.map_or(current, |least| least.min(current))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: i64 = 1_700_000_000_000;
    const BEAT: i64 = 500;

    /// `elapsed` milliseconds after the beginning, by clocks that agree.
    fn at(elapsed: i64) -> Now {
        Now {
            wall: WALL + elapsed,
            monotonic: Duration::from_millis(u64::try_from(3_600_000 + elapsed).unwrap()),
        }
    }

    fn pulse() -> Pulse {
        Pulse::new(Duration::from_secs(30))
    }

    /// How old the knowledge is right after a heartbeat, in milliseconds.
    fn age(pulse: &mut Pulse, as_of: i64, now: Now) -> Option<i64> {
        let good = pulse.take(WALL + as_of, now)?;
        Some(millis(now.monotonic.checked_sub(good).unwrap()))
    }

    #[test]
    fn a_heartbeat_on_time_makes_fresh_and_a_repeated_or_earlier_one_does_not() {
        let mut pulse = pulse();
        assert_eq!(age(&mut pulse, 0, at(10)), Some(0));
        assert_eq!(age(&mut pulse, 0, at(20)), None, "repeated");
        assert_eq!(age(&mut pulse, -BEAT, at(30)), None, "earlier");
        assert_eq!(age(&mut pulse, BEAT, at(BEAT + 10)), Some(0));
    }

    #[test]
    fn the_wall_clock_bounds_it_on_both_sides() {
        for (as_of, is_good) in [
            (-30_000, true),
            (-30_001, false),
            (30_000, true),
            (30_001, false),
        ] {
            assert_eq!(
                age(&mut pulse(), as_of, at(0)).is_some(),
                is_good,
                "{as_of}"
            );
        }
        // A verifier that forgives nothing must still allow for the way.
        let mut strict = Pulse::new(Duration::ZERO);
        assert_eq!(age(&mut strict, 0, at(100)), Some(0));
        assert_eq!(age(&mut strict, BEAT, at(10_000)), None);
    }

    #[test]
    fn a_delay_that_grows_counts_as_age() {
        let mut pulse = pulse();
        for beat in 0..40 {
            // Each heartbeat is held back a quarter of a second longer than the one before.
            let delay = 10 + beat * 250;
            let now = at(beat * BEAT + delay);
            assert_eq!(age(&mut pulse, beat * BEAT, now), Some(beat * 250));
        }
    }

    #[test]
    fn a_network_that_stutters_recovers_with_the_next_heartbeat_on_time() {
        let mut pulse = pulse();
        assert_eq!(age(&mut pulse, 0, at(10)), Some(0));
        // A lost packet: three heartbeats arrive together.
        assert_eq!(age(&mut pulse, BEAT, at(1_510)), Some(1_000));
        assert_eq!(age(&mut pulse, 2 * BEAT, at(1_510)), Some(500));
        assert_eq!(age(&mut pulse, 3 * BEAT, at(1_510)), Some(0));
    }

    #[test]
    fn an_event_cannot_be_hidden_for_longer_than_the_skew_whatever_is_replayed() {
        // Heartbeats up to the instant 0 were signed before the event. They are held back, and dealt
        // out from then on, faster or slower.
        for pace in [1, 2, 10, 50, 100, 1_000] {
            let mut pulse = pulse();
            assert_eq!(age(&mut pulse, -40_000, at(-40_000)), Some(0));
            let mut fresh_until = 0;
            for step in 0..4_000 {
                let now = step * 100;
                let as_of = (-40_000 + (step + 1) * pace).min(0);
                if let Some(age) = age(&mut pulse, as_of, at(now)) {
                    fresh_until = fresh_until.max(now - age + 2_000);
                }
            }
            assert!(fresh_until <= 2_000, "{pace}: {fresh_until}");
        }
        // Somebody who connects only now has nothing to compare with: the skew is the bound.
        let mut newcomer = pulse();
        for step in 0..4_000 {
            let as_of = -40_000 + (step + 1) * 10;
            if age(&mut newcomer, as_of.min(0), at(step * 100)).is_some() {
                assert!(step * 100 <= 30_000);
            }
        }
    }

    #[test]
    fn the_least_delay_is_remembered_over_the_whole_window_and_then_forgotten() {
        let mut pulse = pulse();
        assert_eq!(age(&mut pulse, 0, at(10)), Some(0));
        // From now on the way is two seconds longer. As long as an old heartbeat could pass for new,
        // that is taken for a delay.
        let mut ages = (1..400).map(|beat| {
            let as_of = beat * BEAT;
            (as_of, age(&mut pulse, as_of, at(as_of + 2_010)).unwrap())
        });
        let recovered = ages.find(|(_, age)| *age == 0).unwrap().0;
        assert!((60_000..=121_000).contains(&recovered), "{recovered}");
        assert!(ages.all(|(_, age)| age == 0));
    }

    #[test]
    fn a_server_clock_that_goes_back_locks_nobody_out() {
        let mut pulse = pulse();
        assert_eq!(
            age(&mut pulse, 20_000, at(0)),
            Some(0),
            "twenty seconds ahead"
        );
        // Corrected: the offset has changed, which looks like a delay until it is forgotten.
        let mut recovered = None;
        for beat in 1..600 {
            let elapsed = beat * BEAT;
            let age = age(&mut pulse, elapsed, at(elapsed));
            assert_eq!(age.is_none(), elapsed <= 20_000, "not later than before");
            recovered = recovered.or(age.filter(|age| *age == 0).map(|_| elapsed));
        }
        assert!(recovered.unwrap() <= 140_000, "{recovered:?}");
    }

    #[test]
    fn clocks_that_go_back_together_lock_nobody_out() {
        let mut pulse = pulse();
        let hour = 3_600_000;
        let mut now = at(0);
        now.wall += hour;
        assert_eq!(age(&mut pulse, hour, now), Some(0), "both an hour ahead");
        assert!(age(&mut pulse, BEAT, at(BEAT)).is_some(), "believed again");
        assert_eq!(age(&mut pulse, BEAT, at(BEAT + 1)), None, "but only once");
    }

    #[test]
    fn a_wall_clock_that_jumps_forward_makes_nobody_fresh() {
        let mut pulse = pulse();
        assert_eq!(age(&mut pulse, 0, at(0)), Some(0));
        let mut now = at(BEAT);
        now.wall += 60_000;
        assert_eq!(age(&mut pulse, BEAT, now), None);
        assert_eq!(age(&mut pulse, 2 * BEAT, at(2 * BEAT)), Some(0));
    }

    #[test]
    fn extreme_numbers_do_no_harm() {
        for as_of in [i64::MIN, -1, 0, i64::MAX] {
            for wall in [i64::MIN, 0, i64::MAX] {
                let monotonic = Duration::MAX;
                let _ = pulse().take(as_of, Now { wall, monotonic });
                let _ = pulse().take(
                    as_of,
                    Now {
                        wall,
                        monotonic: Duration::ZERO,
                    },
                );
            }
        }
    }
}
