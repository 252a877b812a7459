//! When each signing key signs. Pure: rows and an instant in, a plan out.
//!
//! A key is published at least one lead time before it signs, so that every verifier that honours
//! the JWKS `max-age` knows it by then; it stays published until the last token it signed has
//! died. A plan is applied by compare-and-swap on the version of the key table, so replicas may
//! plan at the same time and one of them wins.

use chrono::TimeDelta;

use super::Timestamp;
use super::algorithm::Algorithm;
use super::id::Kid;
use super::key::{KeySchedule, KeyState, SigningKey};

/// The durations that rule all keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationPolicy {
    /// How long a key signs.
    pub rotation_period: TimeDelta,
    /// How long a key is published before it signs.
    pub lead_time: TimeDelta,
    /// How long a key stays published after it last signed: the longest token and the clock skew.
    pub retention: TimeDelta,
}

impl RotationPolicy {
    fn schedule_from(&self, active_from: Timestamp) -> KeySchedule {
        self.schedule_until(active_from, active_from + self.rotation_period)
    }

    fn schedule_until(&self, active_from: Timestamp, retires_at: Timestamp) -> KeySchedule {
        KeySchedule {
            active_from,
            retires_at,
            removed_at: retires_at + self.retention,
        }
    }
}

/// When a key that an operator asks for starts to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// After the lead time: no verifier meets a key it has not seen.
    AfterLeadTime,
    /// As soon as every replica publishes it, two seconds later. Verifiers that cache the JWKS meet an unknown
    /// `kid` and have to fetch again; they find it wherever they ask.
    Immediately,
}

/// How long a key must have been there until every replica has read it and publishes it: a quarter of a
/// second, and room for clocks that differ.
const KNOWN_AFTER: TimeDelta = TimeDelta::seconds(2);

/// What to change. Empty when nothing is due.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyPlan {
    /// A key to make.
    pub new_key: Option<PlannedKey>,
    /// Keys whose instants move.
    pub reschedule: Vec<(Kid, KeySchedule)>,
    /// Keys that are withdrawn now.
    pub revoke: Vec<Kid>,
    /// Keys that can never sign again and whose private half is therefore destroyed.
    pub destroy_private: Vec<Kid>,
}

impl KeyPlan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A key to make, but for its key pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedKey {
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Its place in the chain.
    pub slot: i64,
    /// When it signs.
    pub schedule: KeySchedule,
}

/// The keys of one algorithm.
#[derive(Clone, Debug)]
pub struct KeyChain<'a> {
    algorithm: Algorithm,
    keys: Vec<&'a SigningKey>,
}

impl<'a> KeyChain<'a> {
    /// Selects the keys of one algorithm.
    pub fn of(keys: impl IntoIterator<Item = &'a SigningKey>, algorithm: Algorithm) -> Self {
        let keys = keys
            .into_iter()
            .filter(|key| key.algorithm == algorithm)
            .collect();
        Self { algorithm, keys }
    }

    /// The key that signs at `now`: of those whose time has come, the one that came last. A key
    /// past its retirement goes on when it has no successor: a late rotation is better than none.
    #[must_use]
    pub fn signer(&self, now: Timestamp) -> Option<&'a SigningKey> {
        let usable = || self.usable();
        usable()
            .filter(|key| key.schedule.active_from <= now)
            .max_by_key(|key| (key.schedule.active_from, key.slot))
            // A replica whose clock runs behind may know only keys that start in its near future.
            .or_else(|| usable().min_by_key(|key| (key.schedule.active_from, key.slot)))
    }

    /// The key that is published and waits for its time.
    #[must_use]
    pub fn pending(&self, now: Timestamp) -> Option<&'a SigningKey> {
        self.usable()
            .filter(|key| key.schedule.active_from > now)
            .max_by_key(|key| (key.schedule.active_from, key.slot))
    }

    /// Where a key of this chain is in its life.
    #[must_use]
    pub fn state(&self, key: &SigningKey, now: Timestamp) -> KeyState {
        if key.revoked_at.is_some() {
            KeyState::Revoked
        } else if self.signer(now).is_some_and(|signer| signer.kid == key.kid) {
            KeyState::Active
        } else if now < key.schedule.active_from {
            KeyState::Next
        } else if now < key.schedule.removed_at {
            KeyState::Retiring
        } else {
            KeyState::Gone
        }
    }

    /// How many keys verifiers find in the JWKS.
    #[must_use]
    pub fn published(&self, now: Timestamp) -> usize {
        self.keys
            .iter()
            .filter(|key| self.state(key, now).is_published())
            .count()
    }

    /// The ordinary work: the first key, the next key ahead of its time, and the end of keys that
    /// are gone.
    #[must_use]
    pub fn upkeep(&self, now: Timestamp, policy: &RotationPolicy) -> KeyPlan {
        let mut plan = KeyPlan {
            destroy_private: self.spent(now),
            ..KeyPlan::default()
        };
        match self.signer(now) {
            None => plan.new_key = Some(self.next_key(policy.schedule_from(now))),
            Some(signer) => {
                let due = now >= signer.schedule.retires_at - policy.lead_time;
                if due && self.pending(now).is_none() {
                    let handover = signer.schedule.retires_at.max(now + policy.lead_time);
                    plan.new_key = Some(self.next_key(policy.schedule_from(handover)));
                    plan.reschedule.extend(retire(signer, handover, policy));
                }
            }
        }
        plan
    }

    /// An operator wants the next key: it is published now and takes over as `activation` says. A
    /// key that is already waiting is brought forward instead of making another.
    #[must_use]
    pub fn rotate(
        &self,
        now: Timestamp,
        activation: Activation,
        policy: &RotationPolicy,
    ) -> KeyPlan {
        let mut plan = KeyPlan::default();
        let handover = match (self.pending(now), activation) {
            (None, _) => {
                let handover = self.start(now, activation, policy);
                plan.new_key = Some(self.next_key(policy.schedule_from(handover)));
                handover
            }
            (Some(next), activation) => {
                let earliest = match activation {
                    Activation::AfterLeadTime => now.max(next.created_at + policy.lead_time),
                    Activation::Immediately => now.max(next.created_at + KNOWN_AFTER),
                };
                if earliest >= next.schedule.active_from {
                    return plan;
                }
                plan.reschedule
                    .push((next.kid.clone(), policy.schedule_from(earliest)));
                earliest
            }
        };
        plan.reschedule.extend(
            self.signer(now)
                .and_then(|key| retire(key, handover, policy)),
        );
        plan
    }

    /// An operator brings a key: it takes the place of one that is waiting (and has signed
    /// nothing), and takes over as `activation` says.
    #[must_use]
    pub fn import(
        &self,
        now: Timestamp,
        activation: Activation,
        policy: &RotationPolicy,
    ) -> KeyPlan {
        let withdrawn: Vec<Kid> = self
            .pending(now)
            .map(|key| key.kid.clone())
            .into_iter()
            .collect();
        let handover = self.start(now, activation, policy);
        KeyPlan {
            new_key: Some(self.next_key(policy.schedule_from(handover))),
            reschedule: self
                .signer(now)
                .and_then(|key| retire(key, handover, policy))
                .into_iter()
                .collect(),
            revoke: withdrawn.clone(),
            destroy_private: withdrawn,
        }
    }

    /// A key is compromised: it leaves at once. When it was the signer, the waiting key signs from
    /// now on, or a new one is made. `None` when the chain has no such live key.
    #[must_use]
    pub fn revoke(&self, kid: &Kid, now: Timestamp, policy: &RotationPolicy) -> Option<KeyPlan> {
        let key = self
            .keys
            .iter()
            .find(|key| key.kid == *kid && key.revoked_at.is_none())?;
        let mut plan = KeyPlan {
            revoke: vec![key.kid.clone()],
            destroy_private: key.sealed_private.iter().map(|_| key.kid.clone()).collect(),
            ..KeyPlan::default()
        };
        if self.state(key, now) == KeyState::Active {
            match self.pending(now).filter(|next| next.kid != key.kid) {
                Some(next) => plan
                    .reschedule
                    .push((next.kid.clone(), policy.schedule_from(now))),
                None => plan.new_key = Some(self.next_key(policy.schedule_from(now))),
            }
        }
        Some(plan)
    }

    /// Whatever has sealed the private keys is compromised: all leave at once, and a new key signs.
    #[must_use]
    pub fn begin_anew(&self, now: Timestamp, policy: &RotationPolicy) -> KeyPlan {
        let kids = |is_meant: &dyn Fn(&SigningKey) -> bool| {
            let meant = self.keys.iter().filter(|key| is_meant(key));
            meant.map(|key| key.kid.clone()).collect::<Vec<Kid>>()
        };
        let has_private = |key: &SigningKey| key.sealed_private.is_some();
        let is_live = |key: &SigningKey| {
            let is_published = self.state(key, now).is_published();
            key.revoked_at.is_none() && (is_published || has_private(key))
        };
        KeyPlan {
            new_key: Some(self.next_key(policy.schedule_from(now))),
            revoke: kids(&is_live),
            destroy_private: kids(&has_private),
            ..KeyPlan::default()
        }
    }

    fn usable(&self) -> impl Iterator<Item = &'a SigningKey> {
        self.keys
            .iter()
            .copied()
            .filter(|key| key.revoked_at.is_none() && key.sealed_private.is_some())
    }

    fn spent(&self, now: Timestamp) -> Vec<Kid> {
        self.keys
            .iter()
            .filter(|key| key.sealed_private.is_some())
            .filter(|key| matches!(self.state(key, now), KeyState::Gone | KeyState::Revoked))
            .map(|key| key.kid.clone())
            .collect()
    }

    /// When a key that is made now takes over.
    fn start(&self, now: Timestamp, activation: Activation, policy: &RotationPolicy) -> Timestamp {
        match (self.signer(now), activation) {
            // The very first key has nobody to wait for.
            (None, _) => now,
            (Some(_), Activation::AfterLeadTime) => now + policy.lead_time,
            (Some(_), Activation::Immediately) => now + KNOWN_AFTER,
        }
    }

    fn next_key(&self, schedule: KeySchedule) -> PlannedKey {
        let last = self.keys.iter().map(|key| key.slot).max().unwrap_or(0);
        PlannedKey {
            algorithm: self.algorithm,
            slot: last + 1,
            schedule,
        }
    }
}

/// The signer's schedule when a successor takes over at `handover`.
fn retire(
    signer: &SigningKey,
    handover: Timestamp,
    policy: &RotationPolicy,
) -> Option<(Kid, KeySchedule)> {
    let schedule = policy.schedule_until(signer.schedule.active_from, handover);
    (schedule != signer.schedule).then(|| (signer.kid.clone(), schedule))
}

#[cfg(test)]
mod tests;
