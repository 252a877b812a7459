//! Rotation of refresh tokens, as a pure function.
//!
//! A session has one refresh token at a time, the one of its current *generation*. Using it moves
//! the session on by one. What makes this forgiving to honest clients and merciless to thieves is
//! decided here, in [`decide`], and applied by one guarded statement of the store: the row moves
//! from generation *n* only while it is still at *n*.
//!
//! RFC 9700 §4.14.2 asks for rotation with detection of reuse; the retry rules are ours.

use super::Timestamp;

/// Counts the refresh tokens of a session from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(pub u32);

impl Generation {
    /// The refresh token that comes with a new session.
    pub const FIRST: Self = Self(1);

    /// The one after this; `None` after four billion.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

/// Where the refresh token of a session stands: the part of the row that rotation reads and moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chain {
    /// The generation of the current refresh token.
    pub generation: Generation,
    /// When the current token was made.
    pub rotated_at: Timestamp,
    /// The `Idempotency-Key` of the request that made it.
    pub rotated_with: Option<RetryKeyDigest>,
    /// When the session ends unless it is used.
    pub idle_expires_at: Timestamp,
}

impl Chain {
    /// The chain of a session that begins now.
    #[must_use]
    pub fn new(now: Timestamp, policy: &RotationPolicy) -> Self {
        Self {
            generation: Generation::FIRST,
            rotated_at: now,
            rotated_with: None,
            idle_expires_at: now + policy.idle_lifetime,
        }
    }

    /// The chain after a step. The store does the same in SQL.
    #[must_use]
    pub fn after(self, step: &Step) -> Self {
        Self {
            generation: step.to,
            rotated_at: step.at,
            rotated_with: step.retry_key,
            idle_expires_at: step.idle_expires_at,
        }
    }
}

/// A keyed digest of an `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RetryKeyDigest(pub [u8; 16]);

/// A refresh token that was presented, after its MAC was found good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Presented {
    /// Of which generation it is.
    pub generation: Generation,
    /// The `Idempotency-Key` that came with it.
    pub retry_key: Option<RetryKeyDigest>,
}

/// What a client is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationPolicy {
    /// Whether each use makes a new refresh token. Clients that prove who they are keep theirs
    /// unless configured otherwise (FAPI 2.0 Security Profile §5.3.2.1).
    pub rotates: bool,
    /// How long after a rotation the token before may be used once more, by anybody who holds it.
    pub retry_window: chrono::TimeDelta,
    /// How long the session lives without being used.
    pub idle_lifetime: chrono::TimeDelta,
}

/// A move of the chain. It is applied only while the session is live and still at `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The generation that was read.
    pub from: Generation,
    /// The generation to move to.
    pub to: Generation,
    /// The instant of the move.
    pub at: Timestamp,
    /// The key that lets the same request be repeated.
    pub retry_key: Option<RetryKeyDigest>,
    /// When the session ends unless it is used again.
    pub idle_expires_at: Timestamp,
}

/// What a presented refresh token leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The current token: move on, and answer with the token of [`Step::to`].
    Rotate(Step),
    /// The current token of a client that keeps it: answer with the same.
    Keep,
    /// The request was made before and its answer was lost, or two came at once: answer with the
    /// current token again, byte for byte. Nothing is written.
    Repeat,
    /// A token that this database does not know yet: it was restored to an earlier state. Move to
    /// the token after it, or to it, when the client keeps its token.
    CatchUp(Step),
    /// A token that was replaced, outside the rules for a retry: two parties hold it, and one of
    /// them stole it. End the session.
    Reuse,
    /// The session is over.
    Dead,
}

/// Decides what a refresh token with a good MAC leads to. `is_live` says that the session has not
/// been ended and that its absolute lifetime is not over.
#[must_use]
pub fn decide(
    chain: &Chain,
    is_live: bool,
    presented: &Presented,
    now: Timestamp,
    policy: &RotationPolicy,
) -> Decision {
    if !is_live || now >= chain.idle_expires_at {
        return Decision::Dead;
    }
    let step = || {
        let to = presented.generation.next()?;
        Some(Step {
            from: chain.generation,
            to,
            at: now,
            retry_key: presented.retry_key,
            idle_expires_at: now + policy.idle_lifetime,
        })
    };
    if presented.generation == chain.generation {
        return match (policy.rotates, step()) {
            (false, _) => Decision::Keep,
            (true, Some(step)) => Decision::Rotate(step),
            (true, None) => Decision::Dead,
        };
    }
    if presented.generation > chain.generation {
        // A client that keeps its token keeps this one.
        let caught_up = |step: Step| Step {
            to: if policy.rotates {
                step.to
            } else {
                presented.generation
            },
            ..step
        };
        return step().map_or(Decision::Dead, |step| Decision::CatchUp(caught_up(step)));
    }
    let is_previous = presented.generation.next() == Some(chain.generation);
    if is_previous && is_retry(chain, presented, now, policy) {
        return Decision::Repeat;
    }
    Decision::Reuse
}

/// Whether the token before the current one may be used again.
fn is_retry(chain: &Chain, presented: &Presented, now: Timestamp, policy: &RotationPolicy) -> bool {
    let same_request = presented.retry_key.is_some() && presented.retry_key == chain.rotated_with;
    // A clock of another replica may be a little behind the one that rotated.
    let since = now - chain.rotated_at;
    let within_window = !policy.retry_window.is_zero() && since <= policy.retry_window;
    same_request || within_window
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const POLICY: RotationPolicy = RotationPolicy {
        rotates: true,
        retry_window: TimeDelta::seconds(30),
        idle_lifetime: TimeDelta::days(30),
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    fn chain(generation: u32) -> Chain {
        Chain {
            generation: Generation(generation),
            rotated_at: at(1_000),
            rotated_with: Some(RetryKeyDigest([1; 16])),
            idle_expires_at: at(1_000) + POLICY.idle_lifetime,
        }
    }

    fn present(generation: u32, key: Option<u8>) -> Presented {
        Presented {
            generation: Generation(generation),
            retry_key: key.map(|byte| RetryKeyDigest([byte; 16])),
        }
    }

    fn decision(presented: Presented, now: i64) -> Decision {
        decide(&chain(5), true, &presented, at(now), &POLICY)
    }

    #[test]
    fn the_current_token_moves_the_session_on_by_one() {
        let Decision::Rotate(step) = decision(present(5, Some(7)), 2_000) else {
            panic!("it does not");
        };
        assert_eq!((step.from, step.to), (Generation(5), Generation(6)));
        let moved = chain(5).after(&step);
        assert_eq!(moved.rotated_with, Some(RetryKeyDigest([7; 16])));
        assert_eq!(moved.rotated_at, at(2_000));
        assert_eq!(moved.idle_expires_at, at(2_000) + POLICY.idle_lifetime);
    }

    #[test]
    fn the_token_before_may_be_repeated_within_the_window() {
        assert_eq!(decision(present(4, None), 1_030), Decision::Repeat);
        assert_eq!(decision(present(4, None), 1_031), Decision::Reuse);
        assert_eq!(
            decision(present(4, None), 999),
            Decision::Repeat,
            "the clock of this replica is a second behind",
        );
    }

    #[test]
    fn the_token_before_may_be_repeated_with_its_key_for_as_long_as_the_session_lives() {
        assert_eq!(decision(present(4, Some(1)), 900_000), Decision::Repeat);
        assert_eq!(decision(present(4, Some(2)), 900_000), Decision::Reuse);
        let without_key = Chain {
            rotated_with: None,
            ..chain(5)
        };
        let presented = present(4, None);
        assert_eq!(
            decide(&without_key, true, &presented, at(900_000), &POLICY),
            Decision::Reuse,
            "no key is not the same key",
        );
    }

    #[test]
    fn a_window_of_zero_allows_no_retry_without_a_key() {
        let policy = RotationPolicy {
            retry_window: TimeDelta::zero(),
            ..POLICY
        };
        let retry = |key| decide(&chain(5), true, &present(4, key), at(1_000), &policy);
        assert_eq!(retry(None), Decision::Reuse);
        assert_eq!(retry(Some(1)), Decision::Repeat);
    }

    #[test]
    fn an_older_token_is_reuse_whatever_comes_with_it() {
        assert_eq!(decision(present(3, Some(1)), 1_001), Decision::Reuse);
        assert_eq!(decision(present(1, None), 1_001), Decision::Reuse);
    }

    #[test]
    fn a_token_from_the_future_of_a_restored_database_is_accepted() {
        let Decision::CatchUp(step) = decision(present(9, None), 1_001) else {
            panic!("it is not");
        };
        assert_eq!((step.from, step.to), (Generation(5), Generation(10)));
    }

    #[test]
    fn nothing_is_decided_about_a_session_that_is_over() {
        let end = (at(1_000) + POLICY.idle_lifetime).timestamp();
        for generation in [1, 4, 5, 9] {
            assert_eq!(decision(present(generation, Some(1)), end), Decision::Dead);
            let presented = present(generation, None);
            assert_eq!(
                decide(&chain(5), false, &presented, at(1_001), &POLICY),
                Decision::Dead
            );
        }
    }

    #[test]
    fn a_client_that_keeps_its_token_gets_the_same_again() {
        let policy = RotationPolicy {
            rotates: false,
            ..POLICY
        };
        let keep = |generation| {
            let presented = present(generation, None);
            decide(&chain(5), true, &presented, at(9_000), &policy)
        };
        assert_eq!(keep(5), Decision::Keep);
        let Decision::CatchUp(step) = keep(7) else {
            panic!("the database was restored");
        };
        assert_eq!(step.to, Generation(7));
        assert_eq!(keep(4), Decision::Reuse);
    }

    #[test]
    fn the_last_generation_has_no_successor() {
        let last = chain(u32::MAX);
        let presented = present(u32::MAX, None);
        assert_eq!(
            decide(&last, true, &presented, at(1_001), &POLICY),
            Decision::Dead
        );
    }
}
