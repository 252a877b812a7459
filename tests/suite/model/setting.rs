//! What is explored: the policy, what clients do, what may go wrong, and how far to look.

use tokensmith::domain::rotation::{Generation, RotationPolicy};

use super::design::Design;
use super::world::{RETRY_WINDOW, Tick, ticks};

#[derive(Clone, Copy)]
pub(super) struct Setting {
    pub(super) design: Design,
    /// Devices of one person.
    pub(super) sessions: usize,
    pub(super) rotates: bool,
    pub(super) retry_window: RetryWindow,
    /// How many requests of a client may wait at once: its tabs, which share the stored token.
    pub(super) tabs: u8,
    pub(super) keys: Keys,
    pub(super) theft: Theft,
    /// What may happen, besides what always may: messages that are lost, repeated, delayed and
    /// reordered, and servers that stop at any point.
    pub(super) faults: &'static [Fault],
    /// What is taken for granted.
    pub(super) assuming: &'static [Assumption],
    pub(super) idle_lifetime: Tick,
    /// No token is used from this generation on.
    pub(super) last_generation: Generation,
    /// How often the retry window may pass.
    pub(super) ticks: Tick,
    /// How many requests servers may be busy with at once, for each session.
    pub(super) at_once: usize,
}

impl Setting {
    /// One client with one tab and a key for each request, no retry window, no thief, no fault
    /// that need not be and no assumption.
    pub(super) const PLAIN: Self = Self {
        design: Design::PRODUCTION,
        sessions: 1,
        rotates: true,
        retry_window: RetryWindow::Closed,
        tabs: 1,
        keys: Keys::ForEachRequest,
        theft: Theft::Never,
        faults: &[],
        assuming: &[],
        idle_lifetime: 100,
        last_generation: Generation(4),
        ticks: 2,
        at_once: 2,
    };

    pub(super) fn policy(&self) -> RotationPolicy {
        RotationPolicy {
            rotates: self.rotates,
            retry_window: match self.retry_window {
                RetryWindow::Open => RETRY_WINDOW,
                RetryWindow::Closed => chrono::TimeDelta::zero(),
            },
            idle_lifetime: ticks(self.idle_lifetime),
        }
    }

    pub(super) fn assumes(&self, assumption: Assumption) -> bool {
        self.assuming.contains(&assumption)
    }

    pub(super) fn allows(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryWindow {
    Open,
    Closed,
}

/// What a client sends as `Idempotency-Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    Never,
    /// A new one for each request, the same for its retries.
    ForEachRequest,
    /// One made when a token is stored, kept beside it and sent by whoever uses it.
    BesideTheToken,
}

/// What a thief gets hold of, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theft {
    Never,
    /// One refresh token, be it the current or an older one, stored or on the wire.
    OfAToken,
    /// One refresh token and the keys that are used with it.
    OfAStore,
    /// One refresh token, and every key, now and later: keys can be guessed, or are derived from
    /// the token.
    OfEveryKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Once, the database is put back to an earlier state.
    Restore,
    /// Once, the client forgets what it waits for, though not what it stored.
    ClientRestart,
    /// A server has a clock that is behind by more than the retry window.
    SlowClock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Assumption {
    /// A client does not use a token while a request with an older one is still on its way, be it
    /// in the network or in a server.
    TokensSettle,
    /// No copy of a request comes to a server after the request was answered.
    NoCopyComesLater,
    /// From the first sending of a request to its answer, and to the arrival of its last copy, it
    /// takes no longer than the retry window.
    AnswersComeInTime,
}
